package oidc_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

func TestPassword(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, func(c *oidc.Config) { c.Claims = []string{"email", "realm_access"} })
	begun := time.Now()
	id := login(t, p, password("alice", "alice's pass"))
	want := &providers.Identity{
		Provider: "sso",
		Subject:  "u-alice",
		User:     "alice",
		Groups:   []string{"devs", "ops"},
		Claims: map[string]any{
			"email":        "alice@corp.example",
			"realm_access": map[string]any{"roles": []any{"reg-push", "reg-pull"}},
		},
		AuthTime: id.AuthTime,
	}
	if diff := cmp.Diff(want, id, cmp.AllowUnexported(secret.Text{})); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if id.AuthTime.Before(begun.Add(-2*time.Second)) || id.AuthTime.After(time.Now()) {
		t.Errorf("AuthTime = %v, want now", id.AuthTime)
	}
	if n := op.Requests("userinfo"); n != 0 {
		t.Errorf("%d userinfo requests, want none: the ID token has all claims", n)
	}
}

// TestWrongPasswordIsOneRequest: a second request would be a second failed
// login, and bring the account nearer to the provider's lockout.
func TestWrongPasswordIsOneRequest(t *testing.T) {
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			op := start(t, func(o *oidctest.Options) {
				o.Clients = []oidctest.Client{{ID: registry.ID, Secret: registry.Secret, Auth: method}}
				o.AuthMethods = []string{method}
			})
			p := newProvider(t, op.Issuer, nil)
			for n, cred := range []providers.Credential{
				password("alice", "wrong"),
				offline("alice", "wrong"),
				password("nobody", "alice's pass"),
				password("bob", "alice's pass"),
			} {
				_, err := authenticate(t.Context(), p, cred)
				if !errors.Is(err, providers.ErrRejected) {
					t.Errorf("Authenticate(%q) = %v, want ErrRejected", cred.Login, err)
				}
				if got := op.Requests("token"); got != n+1 {
					t.Fatalf("%d requests to the token endpoint, want %d", got, n+1)
				}
			}
			login(t, p, password("alice", "alice's pass"))
		})
	}
}

// TestWrongClientSecretIsUnavailable: a wrong client secret is not a wrong
// password.
func TestWrongClientSecretIsUnavailable(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, func(c *oidc.Config) { c.ClientSecret = secret.New("old") })
	if _, err := authenticate(t.Context(), p, password("alice", "alice's pass")); !isUnavailable(err) {
		t.Errorf("Authenticate = %v, want unavailable", err)
	}
	if n := op.Requests("token"); n != 1 {
		t.Errorf("%d requests to the token endpoint, want 1", n)
	}
}

func TestOddNames(t *testing.T) {
	names := []string{"josé", "o(brien", `CN=Doe\, J`, "a*", "bob@corp.example", "李雷", "x y", "100%", "a&b=c", "+", "'; --", strings.Repeat("n", 200)}
	op := start(t, func(o *oidctest.Options) {
		for _, name := range names {
			o.Users = append(o.Users, oidctest.User{Name: name, Password: name + "\t pässwörd&=%+", Subject: "u-" + name, Groups: []string{"team " + name}})
		}
	})
	p := newProvider(t, op.Issuer, nil)
	for _, name := range names {
		id := login(t, p, password(name, name+"\t pässwörd&=%+"))
		if id.User != name || !cmp.Equal(id.Groups, []string{"team " + name}) {
			t.Errorf("Authenticate(%q) = %q %q", name, id.User, id.Groups)
		}
	}
}

// TestOfflineAccess: a refresh token is requested only for an offline token,
// and only with the grant refresh_token.
func TestOfflineAccess(t *testing.T) {
	op := start(t, nil)
	both := newProvider(t, op.Issuer, nil)
	if id := login(t, both, password("alice", "alice's pass")); !id.RefreshToken.IsZero() {
		t.Error("RefreshToken is set without a request for an offline token")
	}
	if id := login(t, both, offline("alice", "alice's pass")); id.RefreshToken.IsZero() {
		t.Error("RefreshToken is empty after a request for an offline token")
	}
	only := newProvider(t, op.Issuer, func(c *oidc.Config) { c.Grants = []string{"password"} })
	id := login(t, only, offline("alice", "alice's pass"))
	if !id.RefreshToken.IsZero() {
		t.Error("RefreshToken is set without the grant refresh_token")
	}
	if _, err := only.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrCannotRevalidate) {
		t.Errorf("Revalidate = %v, want ErrCannotRevalidate", err)
	}
}

// TestScopesOfLogin: offline_access is requested for an offline token where
// discovery lists it or lists nothing, or where scopes has it (D16). A login that
// asked for a refresh token and got none is logged, once (D17).
func TestScopesOfLogin(t *testing.T) {
	i := oidctest.NewIssuer(t)
	var requested, refreshToken string
	i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
		requested = r.FormValue("scope")
		serveJSON(map[string]any{"access_token": "x", "refresh_token": refreshToken, "token_type": "Bearer", "id_token": i.IDToken(nil)})(w, r)
	})
	configured := []string{"openid", "offline_access"}
	for _, tt := range []struct {
		name      string
		supported any // scopes_supported
		scopes    []string
		cred      providers.Credential
		gives     string // the refresh token
		requested string
		log       string
	}{
		{"discovery lists it", []string{"openid", "offline_access"}, []string{"openid"}, offline("alice", "pw"), "r", "openid offline_access", ""},
		{"discovery lists nothing", nil, []string{"openid"}, offline("alice", "pw"), "r", "openid offline_access", ""},
		{"discovery lists others", []string{"openid"}, []string{"openid"}, offline("alice", "pw"), "", "openid", "add it to scopes"},
		{"discovery lists others, scopes has it", []string{"openid"}, configured, offline("alice", "pw"), "r", "openid offline_access", ""},
		{"scopes has it, no offline token", nil, configured, password("alice", "pw"), "", "openid", ""},
		{"the provider ignores it", nil, configured, offline("alice", "pw"), "", "openid offline_access", "allow the client the scope"},
		{"without asking for it", []string{"openid"}, []string{"openid"}, offline("alice", "pw"), "r", "openid", ""},
	} {
		refreshToken = tt.gives
		i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"scopes_supported": tt.supported})))
		p := newProvider(t, i.URL, func(c *oidc.Config) { c.Scopes, c.Users.Claim, c.Groups.Claim = tt.scopes, "sub", "" })
		var log strings.Builder
		p.SetLog(slog.New(slog.NewTextHandler(&log, nil)))
		for range 2 {
			if id := login(t, p, tt.cred); id.RefreshToken.Reveal() != tt.gives || requested != tt.requested {
				t.Errorf("%s: the scopes %q were requested, want %q", tt.name, requested, tt.requested)
			}
		}
		if lines := strings.Count(log.String(), "\n"); tt.log == "" && lines > 0 || tt.log != "" && (lines != 1 || !strings.Contains(log.String(), tt.log)) {
			t.Errorf("%s: the log is %q, want one line with %q", tt.name, &log, tt.log)
		}
	}
}

func TestKeyRotationUnderPasswords(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256", "PS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			op := start(t, func(o *oidctest.Options) { o.Algorithm = algorithm })
			p := newProvider(t, op.Issuer, nil)
			for range 6 { // more than the rate limit for client tokens
				login(t, p, password("bob", "bobpw"))
				op.RotateKeys()
				op.WithdrawOldKeys()
			}
		})
	}
}
