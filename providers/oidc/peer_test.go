package oidc_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
	"shorepass/providers/providertest"
)

var registry = oidctest.Client{ID: "registry", Secret: "s&cret +/=%"}

// people returns the usual users.
func people() []oidctest.User {
	return []oidctest.User{
		{Name: "alice", Password: "alice's pass", Subject: "u-alice", Email: "alice@corp.example", Groups: []string{"ops", "devs", "ops"}, Roles: []string{"reg-push", "reg-pull"}},
		{Name: "bob", Password: "bobpw", Subject: "u-bob", Email: "bob@corp.example", EmailUnverified: true, Groups: []string{"ops"}},
	}
}

// start runs the real oidc-provider with the usual options, after change if not
// nil.
func start(t *testing.T, change func(*oidctest.Options)) *oidctest.Server {
	t.Helper()
	opts := oidctest.Options{Clients: []oidctest.Client{registry}, Users: people()}
	if change != nil {
		change(&opts)
	}
	return oidctest.Start(t, opts)
}

// newProvider returns a provider that is a client of issuer.
func newProvider(t *testing.T, issuer string, change func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	cfg := oidc.Config{
		Config:       providers.Config{Name: "sso", Kind: "oidc"},
		Issuer:       issuer,
		ClientID:     registry.ID,
		ClientSecret: secret.New(registry.Secret),
		Grants:       []string{"password", "refresh_token"},
		Groups:       oidc.Groups{Claim: "groups"},
	}
	if change != nil {
		change(&cfg)
	}
	cfg = cfg.WithDefaults()
	cfg.Validate(func(key, problem string) { t.Fatalf("config: %s %s", key, problem) })
	p, err := oidc.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// newCIProvider returns a provider that accepts ID tokens of issuer as passwords.
func newCIProvider(t *testing.T, issuer string, change func(*oidc.Config)) *oidc.Provider {
	return newProvider(t, issuer, func(c *oidc.Config) {
		c.ClientID, c.ClientSecret = "", secret.Text{}
		c.Grants = []string{"id_token"}
		c.Audience = []string{"registry"}
		c.AuthorizedParties = []string{"trusted-runner"}
		c.Users.Claim, c.Groups.Claim = "sub", ""
		if change != nil {
			change(c)
		}
	})
}

func password(login, text string) providers.Credential {
	return providers.Credential{Login: providers.Login(login), Secret: secret.New(text)}
}

func offline(login, text string) providers.Credential {
	cred := password(login, text)
	cred.Offline = true
	return cred
}

// authenticate logs in by password.
func authenticate(ctx context.Context, p *oidc.Provider, cred providers.Credential) (*providers.Identity, error) {
	return providertest.Authenticate(ctx, p, cred.Login, providers.LoginPassword{Secret: cred.Secret, Offline: cred.Offline})
}

// login logs in by password, and fails the test if that fails.
func login(t *testing.T, p *oidc.Provider, cred providers.Credential) *providers.Identity {
	t.Helper()
	id, err := authenticate(t.Context(), p, cred)
	if err != nil {
		t.Fatalf("Authenticate(%q) = %v, want an identity", cred.Login, err)
	}
	return id
}

// present logs in with an ID token as the password.
func present(p *oidc.Provider, t *testing.T, token string) (*providers.Identity, error) {
	t.Helper()
	return p.VerifyIDToken(t.Context(), secret.New(token))
}

// serveJSON returns a handler that answers with v.
func serveJSON(v any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
}

// isUnavailable reports whether err means that the provider is unavailable: it is
// an error of no other kind.
func isUnavailable(err error) bool {
	return err != nil && !errors.Is(err, providers.ErrRejected) && !errors.Is(err, providers.ErrNotMine) && !errors.Is(err, providers.ErrGone)
}
