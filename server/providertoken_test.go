package server_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/providertest"
	"shorepass/server"
	"shorepass/session"
)

// issuer is an OpenID provider that takes refresh tokens and knows one.
type issuer struct {
	mu   sync.Mutex
	sent []string // the tokens that came to it
}

const goodRefresh = "good-refresh-token"

func (i *issuer) Fingerprint() string              { return "issuer" }
func (i *issuer) TrustsIssuer(string) bool         { return false }
func (i *issuer) Accepts(kind providers.Kind) bool { return kind == providers.RefreshToken }
func (i *issuer) Lookup(context.Context, providers.Login) (*providers.Account, error) {
	return nil, providers.ErrNotMine
}
func (i *issuer) RedeemRefreshToken(_ context.Context, token secret.Text) (*providers.Identity, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.sent = append(i.sent, token.Reveal())
	if token.Reveal() != goodRefresh {
		return nil, fmt.Errorf("invalid_grant: %w", providers.ErrRejected)
	}
	return &providers.Identity{Subject: "1", User: "robin", Groups: []string{"registry-admins"}}, nil
}

// firstUses counts what first uses of refresh tokens write.
type firstUses struct {
	*failingStore
	written atomic.Int64
}

func (c *firstUses) LeaseFirstUse(ctx context.Context, providerToken session.Hash, now, until time.Time) (bool, error) {
	c.written.Add(1)
	return c.failingStore.LeaseFirstUse(ctx, providerToken, now, until)
}

// withIssuer is a harness whose second provider takes refresh tokens, if there is
// one.
func withIssuer(t *testing.T, sso providers.Provider) (*harness, *firstUses) {
	t.Helper()
	h := newHarness(t, server.AuditConfig{})
	members := []providers.Member{{Provider: h.local, Config: providers.Config{Name: "local", Kind: "file"}.WithDefaults()}}
	if sso != nil {
		members = append(members, providers.Member{Provider: sso, Config: providers.Config{Name: "sso", Kind: "oidc", Prefix: new(string)}.WithDefaults()})
	}
	chain, err := providers.NewChain(members, providertest.NewThrottle(), providers.Options{})
	if err != nil {
		t.Fatal(err)
	}
	store := &firstUses{failingStore: h.store}
	sessions, err := session.New(t.Context(), session.Config{}.WithDefaults(), store, chain, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := server.OpenAudit(server.AuditConfig{To: "off"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	h.generation.Chain = chain
	h.server = server.New(sessions, sessions.Admin(), lines, server.NewMetrics(), slog.New(slog.DiscardHandler))
	h.Config.Handler = h.server
	t.Cleanup(func() {
		h.Close()
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
		if err := sessions.Close(); err != nil {
			t.Error(err)
		}
	})
	return h.reload(t), store
}

// TestGuessedRefreshTokens: a stranger who makes refresh tokens up has nothing
// written once it is clear that nobody will take them.
func TestGuessedRefreshTokens(t *testing.T) {
	t.Run("nobody takes any", func(t *testing.T) {
		h, store := withIssuer(t, nil)
		for i := range 20 {
			if a := h.get(t, "service=blue", "$refresh", fmt.Sprint("guess", i)); a.status != http.StatusUnauthorized {
				t.Errorf("guess %d = %d %s, want 401", i, a.status, a.body)
			}
		}
		if n := store.written.Load(); n != 0 {
			t.Errorf("20 guesses wrote %d leases, want none", n)
		}
	})
	t.Run("a provider does", func(t *testing.T) {
		sso := &issuer{}
		h, store := withIssuer(t, sso)
		for range 10 {
			h.get(t, "service=blue", "$refresh", "one guess")
		}
		if n := store.written.Load(); n != 1 || len(sso.sent) != 1 {
			t.Errorf("one guess ten times wrote %d leases and was sent %d times, want once each", n, len(sso.sent))
		}
		if a := h.get(t, "service=blue", "$refresh", goodRefresh); a.status != http.StatusOK {
			t.Fatalf("a good one = %d %s, want 200", a.status, a.body)
		}
		for i := range 60 {
			h.get(t, "service=blue", "$refresh", fmt.Sprint("guess", i))
		}
		if n := store.written.Load(); n > 40 {
			t.Errorf("60 guesses from one address wrote %d leases, want no more than the address has failures", n)
		}
		if a := h.get(t, "service=blue", "$refresh", goodRefresh); a.status != http.StatusOK {
			t.Errorf("one that has its session = %d %s once the address has no guesses left, want 200", a.status, a.body)
		}
	})
}

// TestFirstUseOfARefreshToken: what docker login then keeps is the token of the
// session that the provider's token stands for, and no second session is made.
func TestFirstUseOfARefreshToken(t *testing.T) {
	h, _ := withIssuer(t, &issuer{})
	first := h.get(t, "service=blue&offline_token=true", "$refresh", goodRefresh)
	token, _ := first.json["refresh_token"].(string)
	if !strings.HasPrefix(token, "sp_r_") {
		t.Fatalf("the first use = %d %s, want a refresh token", first.status, first.body)
	}
	again := h.get(t, "service=blue&offline_token=true", "$refresh", goodRefresh)
	if _, found := again.json["refresh_token"]; again.status != http.StatusOK || found {
		t.Errorf("the second use = %d %s, want 200 and no refresh token: the provider's goes on being good", again.status, again.body)
	}
	if a := h.post(t, refreshForm(token, "blue")); a.status != http.StatusOK {
		t.Errorf("the token of the session = %d %s, want 200", a.status, a.body)
	}
	alive, err := h.sessions.Admin().List(t.Context(), session.Selector{})
	if err != nil || len(alive) != 1 || alive[0].ID != idOf(token) {
		t.Errorf("sessions %v, %v, want one", alive, err)
	}
}

// TestRevokeAProvidersRefreshToken: a provider's refresh token that has a session
// is a token of that session to whoever holds it, and to operators.
func TestRevokeAProvidersRefreshToken(t *testing.T) {
	h, _ := withIssuer(t, &issuer{})
	token, _ := h.get(t, "service=blue&offline_token=true", "$refresh", goodRefresh).json["refresh_token"].(string)
	look := func() map[string]any {
		t.Helper()
		a := h.call(t, "/oauth/introspect", url.Values{"token": {goodRefresh}}, "carol", password)
		if a.status != http.StatusOK {
			t.Errorf("introspect = %d %s, want 200", a.status, a.body)
		}
		return a.json
	}
	if found := look(); found["active"] != true || found["username"] != "robin" || found["session"] != idOf(token) {
		t.Errorf("introspect says %v, want robin's session", found)
	}
	if a := h.call(t, "/oauth/revoke", url.Values{"token": {goodRefresh}}); a.status != http.StatusOK {
		t.Errorf("revoke = %d %s, want 200", a.status, a.body)
	}
	if found := look(); found["active"] != false {
		t.Errorf("introspect says %v once it is revoked", found)
	}
	if a := h.get(t, "service=blue", "$refresh", goodRefresh); a.status != http.StatusUnauthorized {
		t.Errorf("once it is revoked = %d %s, want 401", a.status, a.body)
	}
	if a := h.post(t, refreshForm(token, "blue")); a.status != http.StatusUnauthorized {
		t.Errorf("the token of its session = %d %s, want 401", a.status, a.body)
	}
}

// lender is an OpenID provider that gives a refresh token of its own to each
// login with a password.
type lender struct {
	issuer
	returned chan string
}

func (l *lender) Accepts(kind providers.Kind) bool { return kind == providers.Password }

func (l *lender) Lookup(context.Context, providers.Login) (*providers.Account, error) {
	return &providers.Account{Prove: func(context.Context, providers.Proof) (*providers.Identity, error) {
		return &providers.Identity{Subject: "1", User: "robin", RefreshToken: secret.New("lent")}, nil
	}}, nil
}

func (l *lender) Revoke(_ context.Context, refreshToken secret.Text) error {
	l.returned <- refreshToken.Reveal()
	return nil
}

// TestRefreshTokenOfAFailedLoginIsRevoked: an answer that cannot be given leaves nothing at
// the provider.
func TestRefreshTokenOfAFailedLoginIsRevoked(t *testing.T) {
	sso := &lender{returned: make(chan string, 10)}
	h, _ := withIssuer(t, sso)
	if a := h.get(t, "service=blue&offline_token=true", "robin", "her-password"); a.status != http.StatusOK || a.json["refresh_token"] == nil {
		t.Fatalf("a login = %d %s, want a refresh token", a.status, a.body)
	}
	var scopes strings.Builder
	for i := range 250 {
		fmt.Fprintf(&scopes, "&scope=repository:public/%s%d:pull", strings.Repeat("a", 200), i)
	}
	if a := h.get(t, "service=blue&offline_token=true"+scopes.String(), "robin", "her-password"); a.status != http.StatusBadRequest {
		t.Fatalf("a login with too many long scopes = %d, want 400", a.status)
	}
	select {
	case lent := <-sso.returned:
		if lent != "lent" || len(sso.returned) > 0 {
			t.Errorf("%q was given back, and %d more", lent, len(sso.returned))
		}
	case <-time.After(5 * time.Second):
		t.Error("what the provider gave was not given back")
	}
}

// TestOurTokenReachesNoProvider: one of our own tokens is shown to no provider, also
// where it is called a provider's.
func TestOurTokenReachesNoProvider(t *testing.T) {
	sso := &issuer{}
	h, _ := withIssuer(t, sso)
	token, _ := h.get(t, "service=blue&offline_token=true", "alice", password).json["refresh_token"].(string)
	if token == "" {
		t.Fatal("alice got no refresh token")
	}
	for _, secret := range []string{"sso:" + token, "sso:" + token[:20], "sso: " + token, "sso:sp_b_x"} {
		if a := h.get(t, "service=blue", "$refresh", secret); a.status != http.StatusUnauthorized {
			t.Errorf("%.12q… = %d %s, want 401", secret, a.status, a.body)
		}
	}
	if len(sso.sent) > 0 {
		t.Errorf("the provider was shown %d of our tokens", len(sso.sent))
	}
}

// TestRefreshTokenMakesNoOperator: neither at its first use nor later.
func TestRefreshTokenMakesNoOperator(t *testing.T) {
	h, _ := withIssuer(t, &issuer{})
	for _, use := range []string{"first", "second"} {
		a := h.call(t, "/oauth/revoke", url.Values{"user": {"alice"}}, "$refresh", goodRefresh)
		if a.status != http.StatusForbidden {
			t.Errorf("the %s use of an operator's refresh token ends everyone's sessions: %d %s, want 403", use, a.status, a.body)
		}
	}
}
