package session_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
)

// crowd is a number of people with one session each.
type crowd struct {
	*cluster
	provider string
	tokens   []secret.Text
}

// newCrowd logs people in.
func newCrowd(s *cluster, provider string, people int) *crowd {
	c := &crowd{cluster: s, provider: provider}
	for i := range people {
		c.tokens = append(c.tokens, s.issue(provider, c.name(i)))
	}
	return c
}

func (c *crowd) name(i int) string { return fmt.Sprint("user", i) }

// change changes the accounts in a range.
func (c *crowd) change(from, to int, change func(*account)) {
	for i := from; i < to; i++ {
		c.providers.change(c.name(i), change)
	}
}

// redeem redeems the tokens in a range, spread over the replicas, and counts
// the outcomes.
func (c *crowd) redeem(from, to int) map[string]int {
	outcomes := make(map[string]int)
	for i := from; i < to; i++ {
		_, err := c.replicas[i%len(c.replicas)].Redeem(c.t.Context(), c.tokens[i], service, laptop, session.KindRefresh)
		outcomes[outcome(err)]++
	}
	return outcomes
}

// expectAll redeems the tokens in a range, and checks that each has the
// outcome.
func (c *crowd) expectAll(when string, from, to int, want string) {
	c.t.Helper()
	if got := c.redeem(from, to); got[want] != to-from {
		c.t.Errorf("%s: outcomes %v, want %d times %s", when, got, to-from, want)
	}
}

// TestBreakerVoidsRefusals: a provider refuses some of the people that it is
// asked about. Below the thresholds they get 401, above them 503.
func TestBreakerVoidsRefusals(t *testing.T) {
	for _, tc := range []struct {
		name        string
		all, refuse int
		change      func(*account)
		want        string
	}{
		{"four of four are gone", 4, 4, func(a *account) { a.missing = true }, "401"},
		{"five of five are gone", 5, 5, func(a *account) { a.missing = true }, "503"},
		{"ten of ten are gone", 10, 10, func(a *account) { a.missing = true }, "503"},
		{"ten of ten are disabled", 10, 10, func(a *account) { a.disabled = true }, "503"},
		{"ten of ten have a new stamp", 10, 10, func(a *account) { a.stamp = "s2" }, "401"},
		{"ten of forty are disabled", 40, 10, func(a *account) { a.disabled = true }, "503"},
		{"ten of fifty are disabled", 50, 10, func(a *account) { a.disabled = true }, "401"},
		{"twenty of twenty are locked for a while", 20, 20, func(a *account) { a.locked = true }, "401"},
	} {
		for _, replicas := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, on %d", tc.name, replicas), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newCluster(t, replicas, session.Config{})
					defer s.close()
					c, first := newCrowd(s, "corp", tc.all), tc.all-tc.refuse
					c.change(first, tc.all, tc.change)
					time.Sleep(5 * time.Minute)
					c.expectAll("before", 0, first, "ok")
					time.Sleep(15 * time.Second) // the replicas share their tallies
					c.redeem(first, tc.all)
					c.expectAll("refused", first, tc.all, tc.want)
					if tc.want == "401" {
						return
					}
					c.change(0, tc.all, func(a *account) { *a = account{stamp: "s1"} })
					time.Sleep(30 * time.Second)
					c.expectAll("after the mistake", first, tc.all, "ok")
				})
			})
		}
	}
}

// TestBreakerAgainstConcurrentRefusals: a broken provider refuses all people at
// the same time, on several replicas. In any order no session ends, and clients
// that retry get 503 for as long as the provider is broken.
func TestBreakerAgainstConcurrentRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 3, session.Config{})
		defer s.close()
		const people = 15
		c := newCrowd(s, "corp", people)
		c.change(0, people, func(a *account) { a.disabled = true })
		time.Sleep(5 * time.Minute)
		s.providers.slow = 100 * time.Millisecond
		all := func(check func(i int, err error)) {
			var group sync.WaitGroup
			for i, token := range c.tokens {
				group.Go(func() {
					_, err := s.replicas[i%3].Redeem(t.Context(), token, service, laptop, session.KindRefresh)
					check(i, err)
				})
			}
			group.Wait()
		}
		all(func(int, error) {})
		for range 20 { // ten minutes
			time.Sleep(31 * time.Second)
			all(func(i int, err error) {
				if outcome(err) != "503" {
					t.Errorf("user%d while the provider is broken: %v, want 503", i, err)
				}
			})
		}
		c.change(0, people, func(a *account) { a.disabled = false })
		time.Sleep(31 * time.Second)
		all(func(i int, err error) {
			if err != nil {
				t.Errorf("user%d once it is mended: %v", i, err)
			}
		})
	})
}

// TestBreakerCloses: once a provider refuses few people again, the sessions
// that it vouches for go on immediately, and its refusals count again within
// eleven minutes, however often they are retried.
func TestBreakerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		c := newCrowd(s, "corp", 12)
		c.change(0, 12, func(a *account) { a.disabled = true })
		time.Sleep(5 * time.Minute)
		c.redeem(0, 12)
		s.expect("while the breaker is open", c.tokens[0], "503")
		c.change(1, 12, func(a *account) { a.disabled = false })
		time.Sleep(31 * time.Second)
		c.expectAll("refused by mistake", 1, 12, "ok")
		for range 21 {
			s.redeem(c.tokens[0])
			time.Sleep(31 * time.Second)
		}
		s.expect("refused rightly", c.tokens[0], "401")
		if got := s.endReason(c.tokens[0]); got != session.ReasonEnded {
			t.Errorf("it ends for %q, want %q", got, session.ReasonEnded)
		}
	})
}

// TestBreakerClosesAfterGrace: if a provider goes on refusing, its refusals
// count after grace, and the sessions end.
func TestBreakerClosesAfterGrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{Grace: 30 * time.Minute})
		defer s.close()
		const people = 12
		c := newCrowd(s, "corp", people)
		c.expectAll("before", 0, people, "ok")
		c.change(0, people, func(a *account) { a.disabled = true })
		time.Sleep(5 * time.Minute)
		c.redeem(0, people)
		for range 58 { // half an hour, all but a little
			c.expectAll("within grace", 0, people, "503")
			time.Sleep(31 * time.Second)
		}
		time.Sleep(time.Minute)
		for range 45 { // longer than an end is pending
			c.expectAll("after grace", 0, people, "401")
			time.Sleep(31 * time.Second)
		}
		for _, token := range c.tokens {
			if got := s.endReason(token); got != session.ReasonEnded {
				t.Errorf("it ended for %q, want %q", got, session.ReasonEnded)
			}
		}
	})
}

// TestBreakerCountsPersons: a leaver whose many sign-ins an OpenID provider
// refuses counts as one person.
func TestBreakerCountsPersons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		leaver := s.providers.login("sso", "leaver")
		var tokens []secret.Text
		for range 20 {
			token, _, err := s.replicas[0].Issue(t.Context(), leaver, service, laptop)
			must(t, err)
			tokens = append(tokens, token)
		}
		s.providers.change("leaver", func(a *account) { a.missing = true })
		time.Sleep(5 * time.Minute)
		for _, token := range tokens {
			s.expect("a leaver's session", token, "401")
		}
	})
}

// TestBreakerRevokesNoToken: after void refusals no refresh token is revoked.
func TestBreakerRevokesNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		c := newCrowd(s, "sso", 12)
		c.change(0, 12, func(a *account) { a.disabled = true })
		time.Sleep(5 * time.Minute)
		for range 25 { // longer than an end is pending
			c.redeem(0, 12)
			time.Sleep(time.Minute)
		}
		// fakeProviders returns no refresh token with ErrEnded, so that these
		// grants are used up; what counts is that no token was revoked.
		if len(s.providers.revoked) != 0 {
			t.Errorf("revoked refresh tokens = %q, want none", s.providers.revoked)
		}
	})
}

// TestSweepSkipsVoidRefusals: the sweep ends no session for a void refusal,
// also if no client comes again and the circuit breaker has closed.
func TestSweepSkipsVoidRefusals(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		const people = 12
		c := newCrowd(s, "corp", people)
		c.change(0, people, func(a *account) { a.disabled = true })
		time.Sleep(5 * time.Minute)
		c.redeem(0, people)
		time.Sleep(25 * time.Minute) // longer than an end is pending
		c.change(0, people, func(a *account) { a.disabled = false })
		c.expectAll("with the accounts enabled again", 0, people, "ok")
	})
}

// TestChangedPasswordsOpenNoBreaker: a company changes all passwords. No
// circuit breaker opens: old sessions get 401, and people can log in.
func TestChangedPasswordsOpenNoBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		const people = 60
		c := newCrowd(s, "corp", people)
		c.expectAll("before", 0, people, "ok")
		c.change(0, people, func(a *account) { a.stamp = "s2" })
		time.Sleep(5 * time.Minute)
		c.expectAll("after it", 0, people, "401")
		old := c.tokens[0]
		for i := range people {
			c.tokens[i] = s.issue("corp", c.name(i))
		}
		c.expectAll("after a login", 0, people, "ok")
		time.Sleep(20 * time.Minute)
		c.expectAll("later", 0, people, "ok")
		s.expect("an old one", old, "401")
		if got := s.endReason(old); got != session.ReasonStamp {
			t.Errorf("it ended for %q, want %q", got, session.ReasonStamp)
		}
	})
}

// TestLostReadRightEndsNoSession: the service account loses its right to read
// people in the directory, so that all of them seem gone. The circuit breaker
// opens after the first few: they get 503, no session ends, and with the right
// back all go on.
func TestLostReadRightEndsNoSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		const people = 12
		c := newCrowd(s, "corp", people)
		c.change(0, people, func(a *account) { a.missing = true })
		time.Sleep(5 * time.Minute)
		c.redeem(0, people)
		for range 25 {
			c.expectAll("while the right is lost", 0, people, "503")
			time.Sleep(time.Minute)
		}
		c.change(0, people, func(a *account) { a.missing = false })
		time.Sleep(31 * time.Second)
		c.expectAll("with the right back", 0, people, "ok")
		time.Sleep(25 * time.Minute) // longer than an end is pending
		c.expectAll("later", 0, people, "ok")
		all, err := s.replicas[0].Admin().List(t.Context(), session.Selector{})
		must(t, err)
		if len(all) != people {
			t.Errorf("%d sessions live, want all %d", len(all), people)
		}
	})
}
