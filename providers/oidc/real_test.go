package oidc_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// Tests against the real oidc-provider.

var registry = oidctest.Client{ID: "registry", Secret: "s&cret +/=%"}

func people() []oidctest.User {
	return []oidctest.User{
		{Name: "alice", Password: "alice's pass", Subject: "u-alice", Email: "alice@corp.example", Groups: []string{"ops", "devs", "ops"}, Roles: []string{"reg-push", "reg-pull"}},
		{Name: "bob", Password: "bobpw", Subject: "u-bob", Email: "bob@corp.example", EmailUnverified: true, Groups: []string{"ops"}},
	}
}

// start runs the real provider, with what change makes of the usual options.
func start(t *testing.T, change func(*oidctest.Options)) *oidctest.Server {
	t.Helper()
	opts := oidctest.Options{Clients: []oidctest.Client{registry}, Users: people()}
	if change != nil {
		change(&opts)
	}
	return oidctest.Start(t, opts)
}

// client makes a provider that is a client of issuer.
func client(t *testing.T, issuer string, change func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	cfg := oidc.Config{
		Config:       providers.Config{Name: "sso", Kind: "oidc"},
		Issuer:       issuer,
		ClientID:     registry.ID,
		ClientSecret: providers.NewSecret(registry.Secret),
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

func password(login, secret string) providers.Credential {
	return providers.Credential{Login: providers.Login(login), Secret: providers.NewSecret(secret), Kind: providers.Password}
}

func offline(login, secret string) providers.Credential {
	cred := password(login, secret)
	cred.Offline = true
	return cred
}

func login(t *testing.T, p *oidc.Provider, cred providers.Credential) *providers.Identity {
	t.Helper()
	id, err := p.Authenticate(t.Context(), cred)
	if err != nil {
		t.Fatalf("Authenticate(%s %q) = %v, want an identity", cred.Kind, cred.Login, err)
	}
	return id
}

// cannotTell reports whether err is none of the outcomes that a person is told
// of.
func cannotTell(err error) bool {
	return err != nil && !errors.Is(err, providers.ErrRejected) && !errors.Is(err, providers.ErrNotMine) && !errors.Is(err, providers.ErrGone)
}

func TestPassword(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, func(c *oidc.Config) { c.Claims = []string{"email", "realm_access"} })
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
		Method:   providers.MethodPassword,
		AuthTime: id.AuthTime,
	}
	if diff := cmp.Diff(want, id, cmp.AllowUnexported(providers.Secret{})); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if id.AuthTime.Before(begun.Add(-2*time.Second)) || id.AuthTime.After(time.Now()) {
		t.Errorf("AuthTime = %v, want now", id.AuthTime)
	}
	if n := op.Requests("userinfo"); n != 0 {
		t.Errorf("userinfo was asked %d times, want 0: the ID token says all", n)
	}
}

// One wrong password is one request, whatever the provider makes of it: a
// second one would be a second failure on the way to its lockout.
func TestWrongPasswordIsOneRequest(t *testing.T) {
	for _, method := range []string{"client_secret_basic", "client_secret_post"} {
		t.Run(method, func(t *testing.T) {
			op := start(t, func(o *oidctest.Options) {
				o.Clients = []oidctest.Client{{ID: registry.ID, Secret: registry.Secret, Auth: method}}
				o.AuthMethods = []string{method}
			})
			p := client(t, op.Issuer, nil)
			for n, cred := range []providers.Credential{
				password("alice", "wrong"),
				offline("alice", "wrong"),
				password("nobody", "alice's pass"),
				password("bob", "alice's pass"),
			} {
				_, err := p.Authenticate(t.Context(), cred)
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

// A client that the provider does not know is our fault and not the person's.
func TestWrongClientSecretCannotTell(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, func(c *oidc.Config) { c.ClientSecret = providers.NewSecret("old") })
	if _, err := p.Authenticate(t.Context(), password("alice", "alice's pass")); !cannotTell(err) {
		t.Errorf("Authenticate = %v, want an error that is no verdict", err)
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
	p := client(t, op.Issuer, nil)
	for _, name := range names {
		id := login(t, p, password(name, name+"\t pässwörd&=%+"))
		if id.User != name || !cmp.Equal(id.Groups, []string{"team " + name}) {
			t.Errorf("Authenticate(%q) = %q %q", name, id.User, id.Groups)
		}
	}
}

func TestUserinfo(t *testing.T) {
	for name, change := range map[string]func(*oidctest.Options){
		"thin ID token": func(o *oidctest.Options) { o.ThinIDToken = true },
		"no ID token":   func(o *oidctest.Options) { o.OmitIDToken = true },
	} {
		t.Run(name, func(t *testing.T) {
			op := start(t, change)
			p := client(t, op.Issuer, nil)
			id := login(t, p, offline("alice", "alice's pass"))
			if id.User != "alice" || id.Subject != "u-alice" || len(id.Groups) != 2 {
				t.Errorf("identity = %+v", id)
			}
			op.SetGroups("alice", "late")
			id, err := p.Revalidate(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if !cmp.Equal(id.Groups, []string{"late"}) {
				t.Errorf("Groups = %q, want those of userinfo now", id.Groups)
			}
			if n := op.Requests("userinfo"); n != 2 {
				t.Errorf("userinfo was asked %d times, want 2", n)
			}
		})
	}
}

// A claim that is configured and missing rejects; there is no other to take
// its place.
func TestClaims(t *testing.T) {
	op := start(t, func(o *oidctest.Options) {
		o.Users = append(o.Users, oidctest.User{Name: "carol", Password: "pw", Subject: "u-carol", Email: "a@evil@corp.example"})
		o.Users = append(o.Users, oidctest.User{Name: "dave", Password: "pw", Subject: "u-dave", Email: "Dave@Corp.example", Groups: []string{"Ops"}})
	})
	email := func(c *oidc.Config) { c.Users.Claim = "email" }
	tests := []struct {
		name   string
		change func(*oidc.Config)
		cred   providers.Credential
		user   string // "": rejected
		groups []string
	}{
		{"nested groups", func(c *oidc.Config) { c.Groups.Claim = "realm_access.roles" }, password("alice", "alice's pass"), "alice", []string{"reg-pull", "reg-push"}},
		{"groups by pointer", func(c *oidc.Config) { c.Groups.Claim = "/realm_access/roles" }, password("alice", "alice's pass"), "alice", []string{"reg-pull", "reg-push"}},
		{"no groups asked for", func(c *oidc.Config) { c.Groups.Claim = "" }, password("alice", "alice's pass"), "alice", nil},
		{"groups missing", func(c *oidc.Config) { c.Groups.Claim = "teams" }, password("alice", "alice's pass"), "", nil},
		{"groups missing and optional", func(c *oidc.Config) { c.Groups.Claim, c.Groups.Optional = "teams", true }, password("alice", "alice's pass"), "alice", nil},
		{"groups of another kind", func(c *oidc.Config) { c.Groups.Claim = "realm_access" }, password("alice", "alice's pass"), "", nil},
		{"one text is one group", func(c *oidc.Config) { c.Groups.Claim = "preferred_username" }, password("alice", "alice's pass"), "alice", []string{"alice"}},
		{"user claim missing", func(c *oidc.Config) { c.Users.Claim = "upn" }, password("alice", "alice's pass"), "", nil},
		{"user claim of another kind", func(c *oidc.Config) { c.Users.Claim = "groups" }, password("alice", "alice's pass"), "", nil},
		{"verified email", email, password("alice", "alice's pass"), "alice@corp.example", []string{"devs", "ops"}},
		{"email by pointer is email", func(c *oidc.Config) { c.Users.Claim = "/email" }, password("bob", "bobpw"), "", nil},
		{"unverified email", email, password("bob", "bobpw"), "", nil},
		{"email with two @", email, password("carol", "pw"), "", nil},
		{"case kept", email, password("dave", "pw"), "Dave@Corp.example", []string{"Ops"}},
		{"case ignored", func(c *oidc.Config) { email(c); c.IgnoreCase = true }, password("dave", "pw"), "dave@corp.example", []string{"ops"}},
		{"subject claim missing", func(c *oidc.Config) { c.Subject = []string{"tid", "oid"} }, password("alice", "alice's pass"), "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := client(t, op.Issuer, tt.change)
			id, err := p.Authenticate(t.Context(), tt.cred)
			if tt.user == "" {
				if !errors.Is(err, providers.ErrRejected) {
					t.Errorf("Authenticate = %v, %v, want ErrRejected", id, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if id.User != tt.user || !cmp.Equal(id.Groups, tt.groups) {
				t.Errorf("Authenticate = %q %q, want %q %q", id.User, id.Groups, tt.user, tt.groups)
			}
		})
	}
}

// Renewal is asked for only where it is wanted and can be used.
func TestOfflineAccess(t *testing.T) {
	op := start(t, nil)
	both := client(t, op.Issuer, nil)
	if id := login(t, both, password("alice", "alice's pass")); !id.Renewal.IsZero() {
		t.Error("Renewal is set though nobody asked for an offline token")
	}
	if id := login(t, both, offline("alice", "alice's pass")); id.Renewal.IsZero() {
		t.Error("Renewal is empty though an offline token was asked for")
	}
	only := client(t, op.Issuer, func(c *oidc.Config) { c.Grants = []string{"password"} })
	id := login(t, only, offline("alice", "alice's pass"))
	if !id.Renewal.IsZero() {
		t.Error("Renewal is set though grants lack refresh_token")
	}
	if _, err := only.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrCannotRevalidate) {
		t.Errorf("Revalidate = %v, want ErrCannotRevalidate", err)
	}
}

func TestRevalidate(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, nil)
	first := login(t, p, offline("alice", "alice's pass"))
	op.SetGroups("alice", "new")
	second, err := p.Revalidate(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	if second.Renewal.Equal(first.Renewal) || second.Renewal.IsZero() {
		t.Error("Renewal did not rotate")
	}
	if second.Subject != first.Subject || !cmp.Equal(second.Groups, []string{"new"}) || second.Method != providers.MethodPassword {
		t.Errorf("Revalidate = %+v", second)
	}

	op.Disable("alice")
	if _, err := p.Revalidate(t.Context(), second); !errors.Is(err, providers.ErrGone) || errors.Is(err, providers.ErrRejected) {
		t.Errorf("Revalidate of a disabled account = %v, want ErrGone alone", err)
	}
	op.Enable("alice")
	third, err := p.Revalidate(t.Context(), second)
	if err != nil {
		t.Fatalf("Revalidate after the provider took the account back: %v", err)
	}

	// A used token is a theft to the provider: it ends the grant.
	if _, err := p.Revalidate(t.Context(), first); !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate with a used token = %v, want ErrGone", err)
	}
	if _, err := p.Revalidate(t.Context(), third); !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate after the reuse = %v, want ErrGone", err)
	}
}

// Each session has its own token at the provider, so many can be asked about at
// once.
func TestRevalidateAtOnce(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, nil)
	var wg sync.WaitGroup
	for range 20 {
		id := login(t, p, offline("alice", "alice's pass"))
		wg.Go(func() {
			for range 3 {
				next, err := p.Revalidate(t.Context(), id)
				if err != nil {
					t.Errorf("Revalidate = %v", err)
					return
				}
				id = next
			}
		})
	}
	wg.Wait()
	if n := op.Requests("discovery"); n != 1 {
		t.Errorf("discovery was read %d times, want once", n)
	}
	if n := op.Requests("jwks"); n != 1 {
		t.Errorf("keys were read %d times, want once", n)
	}
}

// Flow 3: the provider's refresh token, got elsewhere, as the password.
func TestRefreshTokenAsPassword(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, nil)
	theirs := op.Tokens(registry, "bob", "bobpw")
	cred := providers.Credential{Login: "$refresh", Secret: providers.NewSecret(theirs.Refresh), Kind: providers.RefreshToken}
	id := login(t, p, cred)
	if id.User != "bob" || id.Subject != "u-bob" || id.Method != providers.MethodRefresh {
		t.Errorf("identity = %+v", id)
	}
	if id.Renewal.IsZero() || id.Renewal.Reveal() == theirs.Refresh {
		t.Error("Renewal is not the rotated token")
	}
	if _, err := p.Revalidate(t.Context(), id); err != nil {
		t.Errorf("Revalidate = %v", err)
	}
	op.Reset()
	cred.Secret = providers.NewSecret("no-such-token")
	if _, err := p.Authenticate(t.Context(), cred); !errors.Is(err, providers.ErrRejected) {
		t.Errorf("Authenticate with an unknown refresh token = %v, want ErrRejected", err)
	}
	if n := op.Requests("token"); n != 1 {
		t.Errorf("%d requests to the token endpoint, want 1", n)
	}
}

// A provider that does not rotate gives no new token; the old one is kept.
func TestRefreshWithoutRotation(t *testing.T) {
	no := false
	op := start(t, func(o *oidctest.Options) { o.Rotate = &no })
	p := client(t, op.Issuer, nil)
	id := login(t, p, offline("alice", "alice's pass"))
	for range 3 {
		next, err := p.Revalidate(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if !next.Renewal.Equal(id.Renewal) {
			t.Error("Renewal changed though the provider does not rotate")
		}
	}
}

// When a step after the rotation fails, the new token is not lost.
func TestRotatedTokenIsKept(t *testing.T) {
	op := start(t, func(o *oidctest.Options) { o.ThinIDToken = true })
	p := client(t, op.Issuer, nil)
	id := login(t, p, offline("alice", "alice's pass"))

	op.Fail("userinfo", 502, "", 1) // met with a second try
	id, err := p.Revalidate(t.Context(), id)
	if err != nil {
		t.Fatalf("Revalidate with one failure of userinfo = %v", err)
	}

	op.Fail("userinfo", 502, "", 0)
	_, err = p.Revalidate(t.Context(), id)
	rotated, ok := errors.AsType[*providers.RotatedError](err)
	if !ok || !cannotTell(err) {
		t.Fatalf("Revalidate = %v, want a RotatedError that is no verdict", err)
	}
	op.Release()
	id.Renewal = rotated.Renewal
	if _, err := p.Revalidate(t.Context(), id); err != nil {
		t.Errorf("Revalidate with the token of the RotatedError = %v", err)
	}
}

func TestRevoke(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, nil)
	id := login(t, p, offline("alice", "alice's pass"))
	if err := p.Revoke(t.Context(), id.Renewal); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate with a revoked token = %v, want ErrGone", err)
	}
	if err := p.Revoke(t.Context(), id.Renewal); err != nil {
		t.Errorf("Revoke of what is revoked = %v, want nil", err)
	}
}

// Flow 4 with tokens that the real provider signed.
func TestIDTokenAsPassword(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, func(c *oidc.Config) { c.Grants, c.Audience = []string{"id_token"}, []string{"registry"} })
	tokens := op.Tokens(registry, "alice", "alice's pass")
	cred := providers.Credential{Login: "$oidc", Secret: providers.NewSecret(tokens.ID), Kind: providers.IDToken}
	id := login(t, p, cred)
	if id.User != "alice" || id.Method != providers.MethodIDToken || !id.Renewal.IsZero() {
		t.Errorf("identity = %+v", id)
	}
	if _, err := p.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrCannotRevalidate) {
		t.Errorf("Revalidate = %v, want ErrCannotRevalidate", err)
	}

	op.RotateKeys()
	cred.Secret = providers.NewSecret(op.Tokens(registry, "alice", "alice's pass").ID)
	login(t, p, cred) // by the new key
	cred.Secret = providers.NewSecret(tokens.ID)
	login(t, p, cred) // by the old one, which is still published

	op.ForgetOldKeys()
	other := client(t, op.Issuer, func(c *oidc.Config) { c.Grants, c.Audience = []string{"id_token"}, []string{"registry"} })
	if _, err := other.Authenticate(t.Context(), cred); !errors.Is(err, providers.ErrRejected) {
		t.Errorf("Authenticate with a token of a withdrawn key = %v, want ErrRejected", err)
	}
}

func TestKeyRotationUnderPasswords(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256", "PS256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			op := start(t, func(o *oidctest.Options) { o.Algorithm = algorithm })
			p := client(t, op.Issuer, nil)
			for range 6 { // more often than strangers may have keys read
				login(t, p, password("bob", "bobpw"))
				op.RotateKeys()
				op.ForgetOldKeys()
			}
		})
	}
}

// A provider that is down, hangs or fails is never a wrong password, and the
// answer comes in bounded time.
func TestProviderInTrouble(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, func(c *oidc.Config) { c.Timeout = time.Second })
	id := login(t, p, offline("alice", "alice's pass"))
	try := func(what string) {
		t.Helper()
		op.Reset()
		begun := time.Now()
		if _, err := p.Authenticate(t.Context(), password("alice", "alice's pass")); !cannotTell(err) {
			t.Errorf("%s: Authenticate = %v, want an error that is no verdict", what, err)
		}
		if n := op.Requests("token"); n > 1 {
			t.Errorf("%s: the password was sent %d times", what, n)
		}
		if _, err := p.Revalidate(t.Context(), id); !cannotTell(err) {
			t.Errorf("%s: Revalidate = %v, want an error that is no verdict", what, err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("%s: took %v, want two time limits of 1s at most", what, took)
		}
	}
	for _, answer := range []struct {
		status int
		body   string
	}{
		{500, `{"error":"server_error"}`},
		{503, `{"error":"invalid_grant"}`}, // what some answer when they are broken
		{429, `{"error":"invalid_grant"}`},
		{400, `{"error":"invalid_client"}`},
		{400, `{"error":"unsupported_grant_type"}`},
		{400, `{"error":"invalid_scope"}`},
		{400, `<html>`},
		{404, ``},
		{401, `{}`},
		{302, ``},
		{200, ``},
		{200, `{"access_token":""}`},
		{200, `{"access_token":"x","token_type":"Bearer","id_token":"not.a.token"}`},
	} {
		op.Fail("token", answer.status, answer.body, 0)
		try(answer.body)
		op.Release()
	}
	op.Hang("token")
	try("hanging")
	op.Release()
	op.Down()
	fresh := client(t, op.Issuer, nil)
	if _, err := p.Authenticate(t.Context(), password("alice", "alice's pass")); !cannotTell(err) {
		t.Errorf("down: Authenticate = %v, want an error that is no verdict", err)
	}
	if _, err := fresh.Authenticate(t.Context(), password("alice", "alice's pass")); !cannotTell(err) {
		t.Errorf("down from the start: Authenticate = %v, want an error that is no verdict", err)
	}
	if _, err := fresh.Ping(t.Context()); err == nil {
		t.Error("down: Ping = nil, want an error")
	}
	op.Up()
	if _, err := p.Revalidate(t.Context(), id); err != nil {
		t.Errorf("up again: Revalidate = %v: the refresh token was used up by failures", err)
	}
	time.Sleep(1100 * time.Millisecond) // for which a failed discovery holds
	login(t, fresh, password("alice", "alice's pass"))
}

func TestPing(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, nil)
	found, err := p.Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(found, "\n")
	for _, want := range []string{"discovery in", "keys: 1 (RS256)", "grant password: advertised", "grant refresh_token: advertised", "revocation endpoint: " + op.Issuer} {
		if !strings.Contains(text, want) {
			t.Errorf("Ping says nothing of %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "warning") {
		t.Errorf("Ping warns:\n%s", text)
	}
}

func TestStart(t *testing.T) {
	op := start(t, nil)
	p := client(t, op.Issuer, nil)
	p.Start(t.Context())
	deadline := time.Now().Add(5 * time.Second)
	for op.Requests("jwks") == 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	login(t, p, password("bob", "bobpw"))
	if d, k := op.Requests("discovery"), op.Requests("jwks"); d != 1 || k != 1 {
		t.Errorf("discovery %d and keys %d times, want once each, in the background", d, k)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
