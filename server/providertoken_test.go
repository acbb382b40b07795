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

// issuer is an OpenID provider that accepts one refresh token and records what it
// receives.
type issuer struct {
	mu   sync.Mutex
	sent []string // the tokens that it received
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

// firstUses is a store that counts the leases of first uses.
type firstUses struct {
	*failingStore
	written atomic.Int64
}

func (c *firstUses) LeaseFirstUse(ctx context.Context, providerToken session.Hash, now, until time.Time) (bool, error) {
	c.written.Add(1)
	return c.failingStore.LeaseFirstUse(ctx, providerToken, now, until)
}

// withIssuer returns a harness with a second provider, sso, unless that is nil.
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
	lines, err := server.OpenAudit(server.AuditConfig{To: "off"}, nil, server.NewMetrics(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h.generation.Chain = chain
	h.server = server.New(lines, server.NewMetrics(), slog.New(slog.DiscardHandler))
	h.server.Open(sessions, sessions.Admin())
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

// TestGuessedRefreshTokens: guessed refresh tokens cause no write to the store once the
// chain refuses them without asking a provider.
func TestGuessedRefreshTokens(t *testing.T) {
	t.Run("no provider takes refresh tokens", func(t *testing.T) {
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
	t.Run("a provider takes refresh tokens", func(t *testing.T) {
		sso := &issuer{}
		h, store := withIssuer(t, sso)
		for range 10 {
			h.get(t, "service=blue", "$refresh", "one guess")
		}
		if n := store.written.Load(); n != 1 || len(sso.sent) != 1 {
			t.Errorf("one guess ten times wrote %d leases and was sent %d times, want once each", n, len(sso.sent))
		}
		if a := h.get(t, "service=blue", "$refresh", goodRefresh); a.status != http.StatusOK {
			t.Fatalf("a valid one = %d %s, want 200", a.status, a.body)
		}
		for i := range 60 {
			h.get(t, "service=blue", "$refresh", fmt.Sprint("guess", i))
		}
		if n := store.written.Load(); n > 40 {
			t.Errorf("60 guesses from one address wrote %d leases, want at most the address's budget of failures", n)
		}
		if a := h.get(t, "service=blue", "$refresh", goodRefresh); a.status != http.StatusOK {
			t.Errorf("one that has a session = %d %s after the address's budget is spent, want 200", a.status, a.body)
		}
	})
}

// TestFirstUseOfARefreshToken: the first use of a provider's refresh token makes a
// session, whose token docker login stores; a second use makes no other.
func TestFirstUseOfARefreshToken(t *testing.T) {
	h, _ := withIssuer(t, &issuer{})
	first := h.get(t, "service=blue&offline_token=true", "$refresh", goodRefresh)
	token, _ := first.json["refresh_token"].(string)
	if !strings.HasPrefix(token, "sp_r_") {
		t.Fatalf("the first use = %d %s, want a refresh token", first.status, first.body)
	}
	again := h.get(t, "service=blue&offline_token=true", "$refresh", goodRefresh)
	if _, found := again.json["refresh_token"]; again.status != http.StatusOK || found {
		t.Errorf("the second use = %d %s, want 200 and no refresh token, since the provider's stays valid", again.status, again.body)
	}
	if a := h.post(t, refreshForm(token, "blue")); a.status != http.StatusOK {
		t.Errorf("the token of the session = %d %s, want 200", a.status, a.body)
	}
	alive, err := h.sessions.Admin().List(t.Context(), session.Selector{})
	if err != nil || len(alive) != 1 || alive[0].ID != idOf(token) {
		t.Errorf("sessions %v, %v, want one", alive, err)
	}
}

// TestRevokeAProvidersRefreshToken: a provider's refresh token that has a session can be
// introspected and revoked like the session's own token.
func TestRevokeAProvidersRefreshToken(t *testing.T) {
	h, _ := withIssuer(t, &issuer{})
	token, _ := h.get(t, "service=blue&offline_token=true", "$refresh", goodRefresh).json["refresh_token"].(string)
	introspect := func() map[string]any {
		t.Helper()
		a := h.call(t, "/oauth/introspect", url.Values{"token": {goodRefresh}}, "carol", password)
		if a.status != http.StatusOK {
			t.Errorf("introspect = %d %s, want 200", a.status, a.body)
		}
		return a.json
	}
	if found := introspect(); found["active"] != true || found["username"] != "robin" || found["session"] != idOf(token) {
		t.Errorf("introspect says %v, want robin's session", found)
	}
	if a := h.call(t, "/oauth/revoke", url.Values{"token": {goodRefresh}}); a.status != http.StatusOK {
		t.Errorf("revoke = %d %s, want 200", a.status, a.body)
	}
	if found := introspect(); found["active"] != false {
		t.Errorf("introspect says %v once it is revoked", found)
	}
	if a := h.get(t, "service=blue", "$refresh", goodRefresh); a.status != http.StatusUnauthorized {
		t.Errorf("once it is revoked = %d %s, want 401", a.status, a.body)
	}
	if a := h.post(t, refreshForm(token, "blue")); a.status != http.StatusUnauthorized {
		t.Errorf("the token of its session = %d %s, want 401", a.status, a.body)
	}
}

// lender is an OpenID provider that returns a refresh token of its own for each login
// with a password.
type lender struct {
	issuer
	revoked chan string
}

func (l *lender) Accepts(kind providers.Kind) bool { return kind == providers.Password }

func (l *lender) Lookup(context.Context, providers.Login) (*providers.Account, error) {
	return &providers.Account{Prove: func(context.Context, providers.LoginPassword) (*providers.Identity, error) {
		return &providers.Identity{Subject: "1", User: "robin", RefreshToken: secret.New("lent")}, nil
	}}, nil
}

func (l *lender) Revoke(_ context.Context, refreshToken secret.Text) error {
	l.revoked <- refreshToken.Reveal()
	return nil
}

// TestRefreshTokenOfAFailedLoginIsRevoked: where a login gets no answer, the provider
// revokes the refresh token that it returned for it.
func TestRefreshTokenOfAFailedLoginIsRevoked(t *testing.T) {
	sso := &lender{revoked: make(chan string, 10)}
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
	case token := <-sso.revoked:
		if token != "lent" || len(sso.revoked) > 0 {
			t.Errorf("%q was revoked, and %d more", token, len(sso.revoked))
		}
	case <-time.After(5 * time.Second):
		t.Error("the provider's refresh token was not revoked")
	}
}

// TestOurTokenReachesNoProvider: a token of ours is sent to no provider, even where the
// user name says that it is a provider's.
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
		t.Errorf("the provider received %d of our tokens", len(sso.sent))
	}
}

// TestRefreshTokenMakesNoOperator: a provider's refresh token does not make its owner an
// operator, neither at its first use nor later.
func TestRefreshTokenMakesNoOperator(t *testing.T) {
	h, _ := withIssuer(t, &issuer{})
	for _, use := range []string{"first", "second"} {
		a := h.call(t, "/oauth/revoke", url.Values{"user": {"alice"}}, "$refresh", goodRefresh)
		if a.status != http.StatusForbidden {
			t.Errorf("the %s use of an operator's refresh token ends everyone's sessions: %d %s, want 403", use, a.status, a.body)
		}
	}
}
