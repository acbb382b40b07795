package providers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
)

// openIDProvider is a fake OpenID provider at which people sign in with a browser.
type openIDProvider struct {
	directory
	without  bool // the grant browser
	label    string
	signedIn *SignedIn
	err      error         // the answer to every request
	slow     time.Duration // how long each request takes
	requests int
}

func (p *openIDProvider) SignsIn() bool { return !p.without }
func (p *openIDProvider) Label() string { return p.label }

func (p *openIDProvider) request(ctx context.Context) error {
	p.mu.Lock()
	p.requests++
	p.mu.Unlock()
	select {
	case <-time.After(p.slow):
		return p.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (p *openIDProvider) AuthorizationURL(ctx context.Context, r AuthorizationRequest) (string, error) {
	return "https://sso/authorize?state=" + r.State, p.request(ctx)
}

func (p *openIDProvider) RedeemCode(ctx context.Context, _ AuthorizationResponse) (*SignedIn, error) {
	if err := p.request(ctx); err != nil {
		return nil, err
	}
	return p.signedIn, nil
}

func (p *openIDProvider) LogoutURL(ctx context.Context, returnTo string) (string, error) {
	return "https://sso/logout?to=" + returnTo, p.request(ctx)
}

func (p *openIDProvider) VerifyLogoutToken(ctx context.Context, _ secret.Text) (*LogoutToken, error) {
	if err := p.request(ctx); err != nil {
		return nil, err
	}
	return &LogoutToken{SID: "s1"}, nil
}

// TestBrowserProviders: the sign-in page offers the providers with the grant browser in the
// order of the chain, and the form where a file or a directory is configured.
func TestBrowserProviders(t *testing.T) {
	sso := &openIDProvider{label: "Corporate login"}
	member := func(p Provider, name, kind string) Member {
		return Member{p, Config{Name: name, Kind: kind, Prefix: pointer("")}}
	}
	for _, test := range []struct {
		name    string
		members []Member
		want    []BrowserProvider
		form    bool
	}{
		{"a directory", []Member{member(&directory{}, "corp", "ldap")}, nil, true},
		{"a file", []Member{member(&directory{}, "local", "file")}, nil, true},
		{"a provider without the grant", []Member{member(&openIDProvider{without: true}, "ci", "oidc")}, nil, false},
		{"several", []Member{member(&openIDProvider{label: "B"}, "b", "oidc"), member(&directory{}, "local", "file"), member(sso, "a", "oidc")},
			[]BrowserProvider{{"b", "B"}, {"a", "Corporate login"}}, true},
	} {
		c := chainOf(t, newThrottle(t), test.members...)
		if got := c.BrowserProviders(); !slices.Equal(got, test.want) || c.OffersForm() != test.form {
			t.Errorf("%s: BrowserProviders() = %v, OffersForm() = %v, want %v, %v", test.name, got, c.OffersForm(), test.want, test.form)
		}
	}
}

// TestSignIn: an identity of a sign-in with a browser meets the checks of every login, and
// the refresh token of one that they refuse is revoked.
func TestSignIn(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	alice := func(edit func(*Identity)) *SignedIn {
		id := &Identity{Subject: "1", User: "alice", Groups: []string{"devs"}, AuthTime: at, ACR: "gold", AMR: []string{"pwd", "otp"}, RefreshToken: secret.New("rt")}
		edit(id)
		return &SignedIn{Identity: id, SID: "s1"}
	}
	same := func(*Identity) {}
	refusedByProvider := &AuthorizationError{Code: "access_denied"}
	for _, test := range []struct {
		name     string
		provider string
		signedIn *SignedIn
		err      error
		doubted  bool
		want     string
		requests int
		revoked  int
	}{
		{"a person", "sso", alice(same), nil, false, "200", 1, 0},
		{"in none of the required groups", "sso", alice(func(id *Identity) { id.Groups = nil }), nil, false, "401", 1, 1},
		{"the name of a local user with the prefix", "sso", alice(func(id *Identity) { id.User = "root" }), nil, false, "200", 1, 0},
		{"the name of another provider's account", "sso", alice(func(id *Identity) { id.User = "x:bob" }), nil, false, "401", 1, 1},
		{"no user name", "sso", alice(func(id *Identity) { id.User = "" }), nil, false, "401", 1, 1},
		{"an odd subject", "sso", alice(func(id *Identity) { id.Subject = "a\n" }), nil, false, "401", 1, 1},
		{"a code that is refused", "sso", nil, fmt.Errorf("invalid_grant: %w", ErrRejected), false, "401", 1, 0},
		{"the same while the circuit is open", "sso", nil, fmt.Errorf("invalid_grant: %w", ErrRejected), true, "503", 1, 0},
		{"a person while the circuit is open", "sso", alice(same), nil, true, "200", 1, 0},
		{"refused by our configuration while it is open", "sso", alice(func(id *Identity) { id.Groups = nil }), nil, true, "401", 1, 1},
		{"not mine, which no provider answers", "sso", nil, ErrNotMine, false, "401", 1, 0},
		{"an error of the provider's", "sso", nil, refusedByProvider, false, "access_denied", 1, 0},
		{"the same while the circuit is open", "sso", nil, refusedByProvider, true, "access_denied", 1, 0},
		{"no answer", "sso", nil, errors.New("connection refused"), false, "503", 1, 0},
		{"neither an identity nor an error", "sso", nil, nil, false, "503", 1, 0},
		{"an unknown provider", "other", alice(same), nil, false, "401", 0, 0},
		{"another spelling of the name", "SSO", alice(same), nil, false, "401", 0, 0},
		{"a provider that is none for browsers", "corp", alice(same), nil, false, "401", 0, 0},
		{"a provider without the grant", "ci", alice(same), nil, false, "401", 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			sso := &openIDProvider{signedIn: test.signedIn, err: test.err}
			sso.revoke = RevokeSignIn
			ci := &openIDProvider{without: true, signedIn: test.signedIn}
			c := chainWith(t, newThrottle(t), Options{CircuitBreaker: &testBreaker{open: map[string]bool{"sso": test.doubted}}},
				Member{&directory{}, Config{Name: "corp", Kind: "ldap", Prefix: pointer("sso:x:")}},
				Member{sso, Config{Name: "sso", Kind: "oidc", Prefix: pointer("sso:"), RequireGroups: []string{"sso:devs"}}},
				Member{ci, Config{Name: "ci", Kind: "oidc", Prefix: pointer("ci:")}})
			got, err := c.SignIn(t.Context(), test.provider, AuthorizationResponse{})
			said := outcome(err)
			if refused, ok := errors.AsType[*AuthorizationError](err); ok {
				said = refused.Code
			}
			if said != test.want || sso.requests+ci.requests != test.requests || len(sso.revoked) != test.revoked {
				t.Fatalf("SignIn = %s (%v), %d requests, %d tokens revoked, want %s, %d, %d", said, err, sso.requests+ci.requests, len(sso.revoked), test.want, test.requests, test.revoked)
			}
			if said == "503" && !errors.Is(err, ErrUnavailable) || said == "401" && errors.Is(err, ErrUnavailable) {
				t.Errorf("SignIn = %v, want an error of one kind", err)
			}
			if err != nil {
				return
			}
			id := got.Identity
			if id.User != "sso:"+test.signedIn.Identity.User || !slices.Equal(id.Groups, []string{"authenticated", "sso:devs"}) || id.Provider != "sso" || id.Method != MethodBrowser ||
				!id.AuthTime.Equal(at) || id.ACR != "gold" || !slices.Equal(id.AMR, []string{"pwd", "otp"}) || got.SID != "s1" || id.RefreshToken.Reveal() != "rt" {
				t.Errorf("SignIn = %+v of session %q", id, got.SID)
			}
		})
	}
}

// TestSignInWithoutAuthTime: where the provider does not tell when the person
// authenticated, it is now.
func TestSignInWithoutAuthTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := chainOf(t, newThrottle(t), Member{&openIDProvider{signedIn: &SignedIn{Identity: &Identity{Subject: "1", User: "alice"}}}, Config{Name: "sso", Kind: "oidc"}})
		got, err := c.SignIn(t.Context(), "sso", AuthorizationResponse{})
		if err != nil || !got.Identity.AuthTime.Equal(time.Now()) {
			t.Fatalf("SignIn = %+v, %v, want the time now", got, err)
		}
	})
}

// TestSignInIsBounded: a sign-in runs to its end though the browser has gone, for ten seconds
// at most; one after Close is unavailable.
func TestSignInIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sso := &openIDProvider{signedIn: &SignedIn{Identity: &Identity{Subject: "1", User: "alice"}}, slow: time.Second}
		c := chainOf(t, newThrottle(t), Member{sso, Config{Name: "sso", Kind: "oidc"}})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := c.SignIn(ctx, "sso", AuthorizationResponse{}); err != nil {
			t.Errorf("SignIn of a browser that has gone = %v, want an identity", err)
		}
		sso.slow = time.Hour
		for name, call := range map[string]func() error{
			"SignIn":            func() error { _, err := c.SignIn(t.Context(), "sso", AuthorizationResponse{}); return err },
			"AuthorizationURL":  func() error { _, err := c.AuthorizationURL(t.Context(), "sso", AuthorizationRequest{}); return err },
			"LogoutURL":         func() error { _, err := c.LogoutURL(t.Context(), "sso", "/"); return err },
			"VerifyLogoutToken": func() error { _, err := c.VerifyLogoutToken(t.Context(), "sso", secret.New("t")); return err },
		} {
			began := time.Now()
			if err := call(); !errors.Is(err, ErrUnavailable) || time.Since(began) != chainLimit {
				t.Errorf("%s at a provider that hangs = %v after %v, want ErrUnavailable after %v", name, err, time.Since(began), chainLimit)
			}
		}
		sso.slow = 0
		c.Close()
		if _, err := c.SignIn(t.Context(), "sso", AuthorizationResponse{}); !errors.Is(err, ErrUnavailable) {
			t.Errorf("SignIn after Close = %v, want ErrUnavailable", err)
		}
	})
}

// TestSignInsLeaveRoom: sign-ins at a provider that hangs leave slots to passwords.
func TestSignInsLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sso := &openIDProvider{slow: time.Hour}
		c := chainOf(t, newThrottle(t), Member{&directory{accounts: bob()}, Config{Name: "corp", Kind: "ldap", Prefix: pointer("")}}, Member{sso, Config{Name: "sso", Kind: "oidc", Prefix: pointer("")}})
		var all sync.WaitGroup
		for range maxLogins {
			all.Go(func() {
				if _, err := c.SignIn(t.Context(), "sso", AuthorizationResponse{}); !errors.Is(err, ErrUnavailable) {
					t.Errorf("SignIn = %v, want ErrUnavailable", err)
				}
			})
		}
		synctest.Wait()
		if n := c.Stats().Logins; n != maxBrowserRequests {
			t.Errorf("%d sign-ins are in progress, want %d", n, maxBrowserRequests)
		}
		if got := outcome(c.try(t, typed("bob", "right", home))); got != "200" {
			t.Errorf("a password meanwhile = %s, want 200", got)
		}
		all.Wait()
	})
}

// TestBrowserCalls: the errors, the availability and the counters of what the chain asks of a
// provider for a browser.
func TestBrowserCalls(t *testing.T) {
	down, rejected := errors.New("connection refused"), fmt.Errorf("no: %w", ErrRejected)
	for _, test := range []struct {
		name     string
		err      error
		want     string
		down     bool
		outcomes string // of authorize, redeem_code, verify_logout_token
	}{
		{"well", nil, "200 200 200 200", false, "ok ok ok"},
		{"rejected", rejected, "401 401 401 401", true, "rejected rejected rejected"}, // a forged logout token shows nothing
		{"down", down, "503 503 503 503", true, "unavailable unavailable unavailable"},
		{"not sent", NotCounted(down), "503 503 503 503", true, "unavailable unavailable unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			sso := &openIDProvider{err: test.err, signedIn: &SignedIn{Identity: &Identity{Subject: "1", User: "alice"}}}
			c := chainOf(t, newThrottle(t), Member{sso, Config{Name: "sso", Kind: "oidc"}})
			_, err1 := c.AuthorizationURL(t.Context(), "sso", AuthorizationRequest{State: "x"})
			_, err2 := c.SignIn(t.Context(), "sso", AuthorizationResponse{})
			_, err3 := c.LogoutURL(t.Context(), "sso", "/")
			c.members[0].down.Store(test.down)
			_, err4 := c.VerifyLogoutToken(t.Context(), "sso", secret.New("token"))
			if got := fmt.Sprint(outcome(err1), " ", outcome(err2), " ", outcome(err3), " ", outcome(err4)); got != test.want {
				t.Errorf("AuthorizationURL, SignIn, LogoutURL, VerifyLogoutToken = %s, want %s", got, test.want)
			}
			if got := len(c.Down()) == 1; got != test.down {
				t.Errorf("the provider is down: %v, want %v", got, test.down)
			}
			calls, said := c.Stats().Providers[0].Calls, ""
			for _, operation := range []string{"authorize", "redeem_code", "verify_logout_token"} {
				for name, n := range calls[operation].Outcomes {
					if n == 1 {
						said += " " + name
					}
				}
			}
			if said != " "+test.outcomes {
				t.Errorf("the calls were counted as%s, want %s", said, test.outcomes)
			}
		})
	}
	c := chainOf(t, newThrottle(t), Member{&openIDProvider{without: true}, Config{Name: "sso", Kind: "oidc"}})
	if _, counted := c.Stats().Providers[0].Calls["redeem_code"]; counted {
		t.Error("a provider without the grant browser has a counter of codes")
	}
	for _, token := range []string{"", string(make([]byte, maxToken+1))} {
		sso := &openIDProvider{}
		c := chainOf(t, newThrottle(t), Member{sso, Config{Name: "sso", Kind: "oidc"}})
		if _, err := c.VerifyLogoutToken(t.Context(), "sso", secret.New(token)); outcome(err) != "401" || sso.requests != 0 {
			t.Errorf("a logout token of %d bytes = %v after %d requests, want 401 after none", len(token), err, sso.requests)
		}
	}
}
