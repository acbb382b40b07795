package session_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

// Two hundred clients redeem one token at three replicas: a provider that
// rotates, and punishes reuse, is asked once.
func TestOneQuestionForOneSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3, session.Config{})
		defer s.close()
		s.house.slow = 3 * time.Second
		token := s.issue("sso", "alice")
		for round := range 3 {
			time.Sleep(5 * time.Minute)
			var group sync.WaitGroup
			for i := range 200 {
				group.Go(func() {
					if _, err := s.replicas[i%3].Redeem(t.Context(), token, service, laptop, session.KindRefresh); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			if s.house.questions() != round+1 || s.house.reused != 0 {
				t.Errorf("round %d: the provider was asked %d times in all, and saw %d reuses", round, s.house.questions(), s.house.reused)
			}
		}
	})
}

func TestOneQuestionForOnePerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3, session.Config{})
		defer s.close()
		s.house.slow = time.Second
		var tokens []secret.Text
		for range 50 {
			tokens = append(tokens, s.issue("corp", "alice"))
		}
		time.Sleep(5 * time.Minute)
		var group sync.WaitGroup
		for i, token := range tokens {
			group.Go(func() {
				if _, err := s.replicas[i%3].Redeem(t.Context(), token, service, laptop, session.KindRefresh); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if n := s.house.questions(); n != 1 {
			t.Errorf("the directory was asked %d times, want once", n)
		}
	})
}

// A client that goes away does not take the rotated token with it.
func TestClientGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		s.house.slow = 5 * time.Second
		token := s.issue("sso", "alice")
		for range 3 {
			time.Sleep(5 * time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := s.replicas[0].Redeem(ctx, token, service, laptop, session.KindRefresh); outcome(err) != "503" || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Redeem by a client that goes away = %v, want 503 for its deadline", err)
			}
			cancel()
			s.expect("by another", token, "ok")
		}
		if s.house.reused != 0 || s.house.questions() != 3 {
			t.Errorf("the provider was asked %d times, and saw %d reuses", s.house.questions(), s.house.reused)
		}
	})
}

// While a provider is known to be down, nobody waits for it.
func TestNobodyWaitsForWhatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		token := s.issue("corp", "alice")
		s.house.slow = time.Hour
		time.Sleep(5 * time.Minute)
		redeem := func(want time.Duration) {
			t.Helper()
			began := time.Now()
			s.expect("while it hangs", token, "ok")
			if took := time.Since(began); took != want {
				t.Errorf("it took %v, want %v", took, want)
			}
		}
		redeem(10 * time.Second)
		for range 10 {
			time.Sleep(20 * time.Second)
			redeem(0)
		}
		if n := s.house.questions(); n > 7 {
			t.Errorf("the provider was asked %d times in 200 s, want it left alone for 30 s each time", n)
		}
	})
}

// slow is a store that takes its time to say that a lease is given, or a claim.
type slow struct {
	*sqlite.Store
	wait time.Duration
}

func (s slow) Lease(ctx context.Context, person int64, asked, now, until time.Time) (bool, error) {
	won, err := s.Store.Lease(ctx, person, asked, now, until)
	time.Sleep(s.wait)
	return won, err
}

func (s slow) Claim(ctx context.Context, upstream session.Hash, now, until time.Time) (bool, error) {
	won, err := s.Store.Claim(ctx, upstream, now, until)
	time.Sleep(s.wait)
	return won, err
}

// TestSlowStore: a replica that was told late that it may ask does not: before
// its answer were kept, another one would ask with what is used up by then.
func TestSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		store, err := sqlite.Open(t.Context(), s.file)
		must(t, err)
		s.startOn(slow{store, 6 * time.Second}, session.Config{})
		token := s.issue("sso", "alice")
		time.Sleep(5 * time.Minute)
		s.house.slow = 9900 * time.Millisecond
		var clients sync.WaitGroup
		for _, replica := range []int{1, 0} { // the slow one first
			clients.Go(func() {
				if _, err := s.replicas[replica].Redeem(t.Context(), token, service, laptop, session.KindRefresh); err != nil {
					t.Errorf("replica %d: %v", replica, err)
				}
			})
			time.Sleep(time.Second)
		}
		clients.Wait()
		if s.house.reused != 0 || s.house.questions() != 1 {
			t.Errorf("the provider was asked %d times and saw %d reuses, want once and none", s.house.questions(), s.house.reused)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		store, err := sqlite.Open(t.Context(), s.file)
		must(t, err)
		s.startOn(slow{store, 6 * time.Second}, session.Config{})
		var asked atomic.Int32
		first := func(context.Context) (*providers.Identity, error) {
			asked.Add(1)
			time.Sleep(11 * time.Second)
			return s.house.login("sso", "alice"), nil
		}
		_, _, err = s.replicas[1].RedeemUpstream(t.Context(), secret.New("alice's own"), service, laptop, first)
		if outcome(err) != "503" || asked.Load() != 0 {
			t.Errorf("the first use by a replica that was told late: %v, and the provider was asked %d times, want 503 and never", err, asked.Load())
		}
		if _, _, err := s.replicas[0].RedeemUpstream(t.Context(), secret.New("alice's own"), service, laptop, first); err != nil || asked.Load() != 1 {
			t.Errorf("by another: %v, and the provider was asked %d times, want once", err, asked.Load())
		}
	})
}

// A replica that died while it asked holds up others for the lease, no longer.
func TestLeaseOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 2, session.Config{})
		defer s.close()
		token := s.issue("corp", "alice")
		time.Sleep(5 * time.Minute)
		s.house.slow = time.Minute // longer than anybody waits: the first one's answer never comes
		go s.replicas[1].Redeem(t.Context(), token, service, laptop, session.KindRefresh)
		time.Sleep(time.Second)
		s.house.mu.Lock()
		s.house.slow = 0
		s.house.mu.Unlock()
		began := time.Now()
		s.expect("after the other one gave up", token, "ok")
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

func TestGuard(t *testing.T) {
	for _, tc := range []struct {
		name        string
		all, refuse int
		change      func(*account)
		want        string
	}{
		{"nine of nine are gone", 9, 9, func(a *account) { a.missing = true }, "401"},
		{"ten of ten are gone", 10, 10, func(a *account) { a.missing = true }, "503"},
		{"ten of ten are disabled", 10, 10, func(a *account) { a.disabled = true }, "503"},
		{"ten of ten have a new stamp", 10, 10, func(a *account) { a.stamp = "s2" }, "503"},
		{"ten of forty are disabled", 40, 10, func(a *account) { a.disabled = true }, "503"},
		{"ten of fifty are disabled", 50, 10, func(a *account) { a.disabled = true }, "401"},
		{"twenty of twenty are locked for a while", 20, 20, func(a *account) { a.locked = true }, "401"},
	} {
		for _, replicas := range []int{1, 3} {
			t.Run(fmt.Sprintf("%s, on %d", tc.name, replicas), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSite(t, replicas, session.Config{})
					defer s.close()
					var tokens []secret.Text
					for i := range tc.all {
						name := fmt.Sprint("user", i)
						tokens = append(tokens, s.issue("corp", name))
						if i >= tc.all-tc.refuse {
							s.house.change(name, tc.change)
						}
					}
					expect := func(when string, i int, want string) {
						t.Helper()
						r := s.replicas[i%replicas]
						if _, err := r.Redeem(t.Context(), tokens[i], service, laptop, session.KindRefresh); want != "" && outcome(err) != want {
							t.Errorf("%s: Redeem = %v for user%d, want %s", when, err, i, want)
						}
					}
					first := tc.all - tc.refuse
					time.Sleep(5 * time.Minute)
					for i := range first {
						expect("before", i, "ok")
					}
					time.Sleep(15 * time.Second) // by then the replicas know of each other's answers
					for i := range tc.refuse {
						expect("", first+i, "")
					}
					for i := range tc.refuse {
						expect("refused", first+i, tc.want)
					}
					if tc.want == "401" {
						return
					}
					for i := range tc.all {
						s.house.change(fmt.Sprint("user", i), func(a *account) { *a = account{stamp: "s1"} })
					}
					time.Sleep(30 * time.Second)
					for i := range tc.refuse {
						expect("after the mistake", first+i, "ok")
					}
				})
			})
		}
	}
}

// TestGuardAtOnce has a broken provider refuse everybody at the same moment, on
// several replicas: whatever the order, nobody's session ends, and whoever comes
// again is told that the provider is unavailable for as long as it is broken.
func TestGuardAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3, session.Config{})
		defer s.close()
		const people = 30
		var tokens []secret.Text
		for i := range people {
			name := fmt.Sprint("user", i)
			tokens = append(tokens, s.issue("corp", name))
			s.house.change(name, func(a *account) { a.disabled = true })
		}
		time.Sleep(5 * time.Minute)
		s.house.slow = 100 * time.Millisecond
		all := func(check func(i int, err error)) {
			var group sync.WaitGroup
			for i, token := range tokens {
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
		for i := range people {
			s.house.change(fmt.Sprint("user", i), func(a *account) { a.disabled = false })
		}
		time.Sleep(31 * time.Second)
		all(func(i int, err error) {
			if err != nil {
				t.Errorf("user%d once it is mended: %v", i, err)
			}
		})
	})
}

// TestGuardLetsGo: once a provider refuses few again, those few are believed,
// however often they come.
func TestGuardLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		var tokens []secret.Text
		disable := func(i int, disabled bool) {
			s.house.change(fmt.Sprint("user", i), func(a *account) { a.disabled = disabled })
		}
		for i := range 12 {
			tokens = append(tokens, s.issue("corp", fmt.Sprint("user", i)))
			disable(i, true)
		}
		time.Sleep(5 * time.Minute)
		for _, token := range tokens {
			s.redeem(token)
		}
		s.expect("while nobody is believed", tokens[0], "503")
		for i := 1; i < len(tokens); i++ {
			disable(i, false)
		}
		time.Sleep(31 * time.Second)
		for _, token := range tokens[1:] {
			s.expect("who was refused by mistake", token, "ok")
		}
		for range 3 {
			s.redeem(tokens[0])
			time.Sleep(31 * time.Second)
		}
		s.expect("who was not", tokens[0], "401")
		if got := s.why(tokens[0]); got != session.ReasonEnded {
			t.Errorf("it ended for %q, want %q", got, session.ReasonEnded)
		}
	})
}

// TestGuardCountsPersons: a leaver with many sessions, each of which an OpenID
// provider is asked about, is one of them.
func TestGuardCountsPersons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		leaver := s.house.login("sso", "leaver")
		var tokens []secret.Text
		for range 20 {
			token, _, err := s.replicas[0].Issue(t.Context(), leaver, service, laptop)
			must(t, err)
			tokens = append(tokens, token)
		}
		s.house.change("leaver", func(a *account) { a.missing = true })
		time.Sleep(5 * time.Minute)
		for _, token := range tokens {
			s.expect("a leaver's session", token, "401")
		}
	})
}

// What is taken back keeps its renewal.
func TestGuardKeepsRenewals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		var tokens []secret.Text
		for i := range 12 {
			tokens = append(tokens, s.issue("sso", fmt.Sprint("user", i)))
			s.house.change(fmt.Sprint("user", i), func(a *account) { a.disabled = true })
		}
		time.Sleep(5 * time.Minute)
		for _, token := range tokens {
			s.redeem(token)
		}
		for i := range tokens {
			s.house.change(fmt.Sprint("user", i), func(a *account) { a.disabled = false })
		}
		time.Sleep(10 * time.Minute)
		// The house returns a renewal with ErrEnded to nobody, so that these
		// grants are used up: what counts is that none was revoked.
		if len(s.house.revoked) != 0 {
			t.Errorf("revoked renewals = %q, want none", s.house.revoked)
		}
	})
}

// A provider's refresh token as the password reaches the provider once,
// however many bring it to however many replicas.
func TestRedeemUpstream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 3, session.Config{})
		defer s.close()
		s.house.login("sso", "alice") // so that she has a renewal
		upstream := secret.New("alice renewal 0")
		var asked atomic.Int32
		first := func(ctx context.Context) (*providers.Identity, error) {
			asked.Add(1)
			return s.house.Revalidate(ctx, &providers.Identity{Provider: "sso", Subject: "alice", Renewal: upstream})
		}
		s.house.slow = 2 * time.Second
		var made atomic.Int32
		var token secret.Text
		redeem := func(replica int, service string) *session.Session {
			found, first, err := s.replicas[replica].RedeemUpstream(t.Context(), upstream, service, laptop, first)
			if err != nil {
				t.Error(err)
				return nil
			}
			if first == found.Token.IsZero() {
				t.Errorf("made = %v, with the token: %v", first, !found.Token.IsZero())
			}
			if first {
				made.Add(1)
				token = found.Token
			}
			return found
		}
		var group sync.WaitGroup
		for i := range 60 {
			group.Go(func() { redeem(i%3, service) })
		}
		group.Wait()
		if asked.Load() != 1 || made.Load() != 1 {
			t.Fatalf("the provider was asked %d times, and %d sessions were made", asked.Load(), made.Load())
		}
		found := redeem(1, "another service")
		if found.Service != service || found.Identity.User != "alice" {
			t.Errorf("for another service: %+v", found)
		}
		s.expect("its own token", token, "ok")
		if _, err := s.replicas[0].Redeem(t.Context(), token, "another service", laptop, session.KindRefresh); outcome(err) != "401" {
			t.Errorf("its own token for another service: %v", err)
		}
		for range 3 {
			time.Sleep(5 * time.Minute)
			redeem(2, service)
		}
		if s.house.reused != 0 || s.house.rotated != 4 {
			t.Errorf("the provider rotated %d times and saw %d reuses", s.house.rotated, s.house.reused)
		}
		if n, err := s.replicas[0].Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "alice"); n != 1 || err != nil {
			t.Errorf("Revoke = %d, %v", n, err)
		}
		if _, _, err := s.replicas[1].RedeemUpstream(t.Context(), upstream, service, laptop, first); outcome(err) != "401" || asked.Load() != 1 {
			t.Errorf("after its revocation: %v, and the provider was asked %d times", err, asked.Load())
		}
	})
}

// TestReloadDuringALogin: a session is one of the provider that proved its
// login, though a reload has pointed the name elsewhere before it was kept.
// The one that has the name now is shown nothing.
func TestReloadDuringALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		proved, other := s.house.login("sso", "alice"), s.house.login("sso", "bob")
		upstream := secret.New("alice's own")
		s.house.prints["sso"] = "another tenant"
		token, _, err := s.replicas[0].Issue(t.Context(), proved, service, laptop)
		must(t, err)
		_, _, err = s.replicas[0].RedeemUpstream(t.Context(), upstream, service, laptop, func(context.Context) (*providers.Identity, error) { return other, nil })
		must(t, err)
		time.Sleep(5 * time.Minute)
		s.expect("the password's session", token, "401")
		if _, _, err := s.replicas[0].RedeemUpstream(t.Context(), upstream, service, laptop, nil); outcome(err) != "401" {
			t.Errorf("the refresh token's session: %v, want 401", err)
		}
		s.replicas[0].Abandon(proved)
		synctest.Wait()
		if s.house.asked != 0 || len(s.house.revoked) != 0 {
			t.Errorf("the new tenant was asked %d times and shown %q", s.house.asked, s.house.revoked)
		}
		s.house.prints["sso"] = "oidc" // as it was
		s.expect("back at the first", token, "ok")
	})
}

// TestAbandonedLogin: what a provider gave to a login that comes to nothing is
// given back, or each retry while the disk is full would leave one there.
func TestAbandonedLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		s.replicas[0].Abandon(s.house.login("sso", "alice"))
		s.replicas[0].Abandon(s.house.login("corp", "bob")) // who has none
		s.replicas[0].Abandon(nil)
		synctest.Wait()
		if want := []string{"sso alice renewal 0"}; !slices.Equal(s.house.revoked, want) {
			t.Errorf("revoked renewals = %q, want %q", s.house.revoked, want)
		}
		nameless := s.house.login("sso", "carol")
		nameless.Subject = "" // which cannot be kept
		_, _, err := s.replicas[0].RedeemUpstream(t.Context(), secret.New("carol's own"), service, laptop,
			func(context.Context) (*providers.Identity, error) { return nameless, nil })
		synctest.Wait()
		if err == nil || len(s.house.revoked) != 2 {
			t.Errorf("RedeemUpstream = %v, and revoked renewals are %q, want an error and carol's too", err, s.house.revoked)
		}
	})
}

func TestRedeemUpstreamFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 2, session.Config{})
		defer s.close()
		upstream := secret.New("no token of anybody")
		for _, want := range []error{providers.ErrRejected, providers.ErrGone, errors.New("down"), &providers.RotatedError{Err: errors.New("down")}} {
			for i := range 2 {
				_, _, err := s.replicas[i].RedeemUpstream(t.Context(), upstream, service, laptop, func(context.Context) (*providers.Identity, error) { return nil, want })
				if !errors.Is(err, want) || outcome(err) == "401" || outcome(err) == "503" {
					t.Errorf("RedeemUpstream = %v, want %v as it is", err, want)
				}
			}
		}
		if _, _, err := s.replicas[0].RedeemUpstream(t.Context(), secret.Text{}, service, laptop, nil); outcome(err) != "401" {
			t.Errorf("RedeemUpstream of nothing = %v", err)
		}
	})
}

// Clocks that are minutes apart agree on the store's.
func TestClocksApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, 1, session.Config{})
		defer s.close()
		for ahead, want := range map[time.Duration]time.Duration{
			-5 * time.Minute: -5 * time.Minute, 5 * time.Minute: 5 * time.Minute, 300 * time.Millisecond: 0,
		} {
			r := s.startWithClock(ahead)
			_, made, err := r.Issue(t.Context(), s.house.login("corp", "alice"), service, laptop)
			must(t, err)
			if got := time.Until(made.Created); got != want {
				t.Errorf("a store %v ahead: a session was made in %v, want %v", ahead, got, want)
			}
		}
	})
}
