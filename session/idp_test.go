package session_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

// idp is a fake OpenID provider that rotates refresh tokens at each use. A
// person can have several, or one.
type idp struct {
	one        bool // a login invalidates the token of the login before, as at Dex
	revokesAll bool // a revocation drops all tokens of the person, as at Keycloak before 26.1
	when       providers.RevokeWhen
	slow       time.Duration // before it checks the token

	mu      sync.Mutex
	count   int
	tokens  map[string]string // the person of each valid token
	asked   int
	revoked int
}

func newIDP() *idp { return &idp{tokens: make(map[string]string), when: providers.RevokeSignIn} }

// login returns the identity of a login, with a new refresh token.
func (p *idp) login(person string) *providers.Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.one {
		p.drop(person)
	}
	return p.identity(person)
}

// drop invalidates all tokens of a person. mu must be held.
func (p *idp) drop(person string) {
	for token, of := range p.tokens {
		if of == person {
			delete(p.tokens, token)
		}
	}
}

func (p *idp) identity(person string) *providers.Identity {
	p.count++
	token := fmt.Sprint("token ", p.count)
	p.tokens[token] = person
	return &providers.Identity{Provider: "idp", Fingerprint: "print", Subject: person, User: person, Method: providers.MethodPassword, RefreshToken: secret.New(token)}
}

func (p *idp) Revalidate(_ context.Context, id *providers.Identity) (*providers.Identity, error) {
	time.Sleep(p.slow)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.tokens[id.RefreshToken.Reveal()] != id.Subject {
		return nil, fmt.Errorf("invalid_grant: %w", providers.ErrGone)
	}
	delete(p.tokens, id.RefreshToken.Reveal())
	return p.identity(id.Subject), nil
}

func (p *idp) RevokeRefreshToken(_ context.Context, _ string, providerToken secret.Text) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked++
	if p.revokesAll {
		p.drop(p.tokens[providerToken.Reveal()])
	}
	delete(p.tokens, providerToken.Reveal())
	return nil
}

func (p *idp) Fingerprint(string) string              { return "print" }
func (p *idp) PerSignIn(string) bool                  { return !p.one }
func (p *idp) Reauthenticate(string) time.Duration    { return 0 }
func (p *idp) RevokeWhen(string) providers.RevokeWhen { return p.when }
func (*idp) Forget(func(*providers.Identity) bool)    {}

// newIDPCluster starts replicas with p as their only provider.
func newIDPCluster(t *testing.T, p *idp, replicas int) *cluster {
	t.Helper()
	s := &cluster{t: t, file: newStoreFile(t)}
	for range replicas {
		store, err := sqlite.Open(t.Context(), s.file)
		must(t, err)
		s.startFor(store, session.Config{}, p)
	}
	return s
}

// logIn issues a session for a login.
func (c *cluster) logIn(id *providers.Identity) secret.Text {
	c.t.Helper()
	token, _, err := c.replicas[0].Issue(c.t.Context(), id, service, laptop)
	must(c.t, err)
	return token
}

func (c *cluster) revoke(token secret.Text) {
	c.t.Helper()
	_, ended, err := c.replicas[0].Admin().RevokeToken(c.t.Context(), token, "test")
	if !ended || err != nil {
		c.t.Errorf("RevokeToken = %v, %v", ended, err)
	}
	synctest.Wait()
}

// TestRevokeWhen: how many refresh tokens are revoked as the three logins of a
// person end one after the other, and whether the other sessions survive at a
// provider where one revocation drops all tokens of the person.
func TestRevokeWhen(t *testing.T) {
	for _, tc := range []struct {
		when       providers.RevokeWhen
		revokesAll bool
		revoked    []int // after each end
		others     []string
	}{
		{providers.RevokeSignIn, false, []int{1, 2, 3}, []string{"ok", "ok"}},
		{providers.RevokeSignIn, true, []int{1, 2, 3}, []string{"401", "401"}},
		{providers.RevokeLast, true, []int{0, 0, 1}, []string{"ok", "ok"}},
		{providers.RevokeNever, false, []int{0, 0, 0}, []string{"ok", "ok"}},
	} {
		t.Run(fmt.Sprint(tc.when, ", revokes all: ", tc.revokesAll), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newIDP()
				p.when, p.revokesAll = tc.when, tc.revokesAll
				s := newIDPCluster(t, p, 1)
				defer s.close()
				var tokens []secret.Text
				for range 3 {
					tokens = append(tokens, s.logIn(p.login("alice")))
				}
				bob := s.logIn(p.login("bob"))
				for i, token := range tokens {
					s.revoke(token)
					if p.revoked != tc.revoked[i] {
						t.Errorf("after %d ends %d tokens were revoked, want %d", i+1, p.revoked, tc.revoked[i])
					}
					time.Sleep(5 * time.Minute)
					if i < len(tc.others) {
						s.expect("the next", tokens[i+1], tc.others[i])
					}
				}
				s.expect("of another person", bob, "ok")
			})
		})
	}
}

// TestOneTokenEach: at a provider with one refresh token per person (D14), a login
// replaces the token, and the sessions of both machines use the new one.
func TestOneTokenEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP()
		p.one = true
		s := newIDPCluster(t, p, 2)
		defer s.close()
		laptop, desktop := s.logIn(p.login("alice")), s.logIn(p.login("alice"))
		for range 3 {
			time.Sleep(5 * time.Minute)
			s.expect("the first machine", laptop, "ok")
			s.expect("the second machine", desktop, "ok")
		}
		if p.asked != 3 {
			t.Errorf("the provider was asked %d times, want three", p.asked)
		}
		s.revoke(laptop)
		time.Sleep(5 * time.Minute)
		s.expect("the second machine, after the first logged out", desktop, "ok")
		s.revoke(desktop)
		if p.revoked != 1 || len(p.tokens) != 0 {
			t.Errorf("%d tokens were revoked, and the provider has %v", p.revoked, p.tokens)
		}
	})
}

// TestLoginDuringARevalidation: a login invalidates the refresh token of a
// revalidation in progress. The refusal of that token is void.
func TestLoginDuringARevalidation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP()
		p.one = true
		s := newIDPCluster(t, p, 2)
		defer s.close()
		token := s.logIn(p.login("alice"))
		time.Sleep(5 * time.Minute)
		p.slow = 2 * time.Second
		var group sync.WaitGroup
		group.Go(func() { s.expect("during the revalidation", token, "ok") })
		time.Sleep(time.Second)
		another := s.logIn(p.login("alice"))
		group.Wait()
		if p.asked != 1 {
			t.Errorf("the provider was asked %d times, want once", p.asked)
		}
		for range 3 {
			time.Sleep(5 * time.Minute)
			s.expect("the earlier session", token, "ok")
			s.expect("the session of the login", another, "ok")
		}
	})
}

// TestLogInAgainAfterARevocation: if one revocation drops all tokens of the
// person, the other sessions get 401, and a new login works.
func TestLogInAgainAfterARevocation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newIDP()
		p.revokesAll = true
		s := newIDPCluster(t, p, 1)
		defer s.close()
		first, second := s.logIn(p.login("alice")), s.logIn(p.login("alice"))
		s.revoke(first)
		time.Sleep(5 * time.Minute)
		s.expect("the other session", second, "401")
		again := s.logIn(p.login("alice"))
		s.expect("a login after it", again, "ok")
		s.expect("the refused one after it", second, "401") // a login clears only the sign-in that it joins
		time.Sleep(time.Hour)
		s.expect("and later", again, "ok")
		if got := s.endReason(second); !slices.Contains([]session.Reason{"", session.ReasonGone}, got) {
			t.Errorf("it ended for %q", got)
		}
	})
}
