package session_test

import (
	"context"
	"errors"
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

// TestSessionIsRevalidatedOnce: two hundred clients redeem one token at three
// replicas. The provider, which rotates tokens and detects reuse, is asked
// once.
func TestSessionIsRevalidatedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 3, session.Config{})
		defer s.close()
		s.providers.slow = 3 * time.Second
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
			if s.providers.askCount() != round+1 || s.providers.reused != 0 {
				t.Errorf("round %d: the provider was asked %d times in all, and saw %d reuses", round, s.providers.askCount(), s.providers.reused)
			}
		}
	})
}

func TestPersonIsRevalidatedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 3, session.Config{})
		defer s.close()
		s.providers.slow = time.Second
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
		if n := s.providers.askCount(); n != 1 {
			t.Errorf("the directory was asked %d times, want once", n)
		}
	})
}

// TestDisconnectedClient: the rotated refresh token of a revalidation is stored
// also if the client disconnects.
func TestDisconnectedClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		s.providers.slow = 5 * time.Second
		token := s.issue("sso", "alice")
		for range 3 {
			time.Sleep(5 * time.Minute)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if _, err := s.replicas[0].Redeem(ctx, token, service, laptop, session.KindRefresh); outcome(err) != "503" || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Redeem by a client that disconnects = %v, want 503 for its deadline", err)
			}
			cancel()
			s.expect("by another", token, "ok")
		}
		if s.providers.reused != 0 || s.providers.askCount() != 3 {
			t.Errorf("the provider was asked %d times, and saw %d reuses", s.providers.askCount(), s.providers.reused)
		}
	})
}

// TestRedemptionDoesNotWaitWhileDown: redemptions do not wait for a provider
// that was down at the last revalidation.
func TestRedemptionDoesNotWaitWhileDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		token := s.issue("corp", "alice")
		s.providers.slow = time.Hour
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
		if n := s.providers.askCount(); n > 7 {
			t.Errorf("the provider was asked %d times in 200 s, want it left alone for 30 s each time", n)
		}
	})
}

// slow is a store that takes leases slowly.
type slow struct {
	*sqlite.Store
	wait time.Duration
}

func (s slow) LeaseSignIn(ctx context.Context, signIn int64, lastAsked, now, until time.Time) (bool, error) {
	won, err := s.Store.LeaseSignIn(ctx, signIn, lastAsked, now, until)
	time.Sleep(s.wait)
	return won, err
}

func (s slow) LeaseFirstUse(ctx context.Context, providerToken session.Hash, now, until time.Time) (bool, error) {
	won, err := s.Store.LeaseFirstUse(ctx, providerToken, now, until)
	time.Sleep(s.wait)
	return won, err
}

// TestSlowStore: a replica that gets a lease late does not ask. The lease would
// expire before its answer is stored, and another replica would ask with a
// used-up token.
func TestSlowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		store, err := sqlite.Open(t.Context(), s.file)
		must(t, err)
		s.startOn(slow{store, 6 * time.Second}, session.Config{})
		token := s.issue("sso", "alice")
		time.Sleep(5 * time.Minute)
		s.providers.slow = 9900 * time.Millisecond
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
		if s.providers.reused != 0 || s.providers.askCount() != 1 {
			t.Errorf("the provider was asked %d times and saw %d reuses, want once and none", s.providers.askCount(), s.providers.reused)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		store, err := sqlite.Open(t.Context(), s.file)
		must(t, err)
		s.startOn(slow{store, 6 * time.Second}, session.Config{})
		var asked atomic.Int32
		first := func(context.Context) (*providers.Identity, error) {
			asked.Add(1)
			time.Sleep(11 * time.Second)
			return s.providers.login("sso", "alice"), nil
		}
		_, _, err = s.replicas[1].RedeemProviderToken(t.Context(), secret.New("alice's own"), service, laptop, first)
		if outcome(err) != "503" || asked.Load() != 0 {
			t.Errorf("the first use by a replica that got its lease late: %v, and the provider was asked %d times, want 503 and never", err, asked.Load())
		}
		if _, _, err := s.replicas[0].RedeemProviderToken(t.Context(), secret.New("alice's own"), service, laptop, first); err != nil || asked.Load() != 1 {
			t.Errorf("by another: %v, and the provider was asked %d times, want once", err, asked.Load())
		}
	})
}

// TestLeaseExpires: a replica that dies while it holds a lease delays others
// until the lease expires.
func TestLeaseExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		token := s.issue("corp", "alice")
		time.Sleep(5 * time.Minute)
		s.providers.slow = time.Minute // longer than any timeout: the first replica gets no answer
		go s.replicas[1].Redeem(t.Context(), token, service, laptop, session.KindRefresh)
		time.Sleep(time.Second)
		s.providers.mu.Lock()
		s.providers.slow = 0
		s.providers.mu.Unlock()
		began := time.Now()
		s.expect("after the other one gave up", token, "ok")
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestClocksApart: replicas whose clocks differ by minutes use the store's
// clock.
func TestClocksApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		for ahead, want := range map[time.Duration]time.Duration{
			-5 * time.Minute: -5 * time.Minute, 5 * time.Minute: 5 * time.Minute, 300 * time.Millisecond: 0,
		} {
			r := s.startWithClock(ahead)
			_, made, err := r.Issue(t.Context(), s.providers.login("corp", "alice"), service, laptop)
			must(t, err)
			if got := time.Until(made.Created); (got - want).Abs() > time.Millisecond { // to which clocks are compared
				t.Errorf("a store %v ahead: a session was made in %v, want %v", ahead, got, want)
			}
		}
	})
}
