package providers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/throttle"
)

// slowStore is what replicas share: a store that takes its time.
type slowStore struct {
	throttle.Store
	slow time.Duration
}

func (s slowStore) ReadWindows(ctx context.Context, keys []throttle.MAC) ([]throttle.Row, time.Time, error) {
	time.Sleep(s.slow)
	return s.Store.ReadWindows(ctx, keys)
}

func (s slowStore) SwapWindows(ctx context.Context, changes []throttle.Change) error {
	time.Sleep(s.slow)
	return s.Store.SwapWindows(ctx, changes)
}

// TestGuessesAtOnceOnReplicas: a store answers in its time, and of guesses that
// come to several replicas at the same moment the directory hears of no more
// than of those that come one after another.
func TestGuessesAtOnceOnReplicas(t *testing.T) {
	for _, test := range []struct {
		name  string
		known bool // each replica has seen the account before
	}{{"an account that is not known yet", false}, {"a known one", true}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := slowStore{throttle.NewMemoryStore(), 5 * time.Millisecond}
				d := &directory{accounts: bob(), slow: time.Second}
				var replicas []*Chain
				for range 5 {
					c := chainOf(t, newReplica(t, store), Member{d, Config{Name: "corp", Kind: "ldap"}})
					replicas = append(replicas, c)
					if test.known {
						c.try(t, typed("bob", "right", home))
					}
				}
				time.Sleep(time.Minute)
				before := d.reached()
				var all sync.WaitGroup
				for i := range 50 {
					all.Go(func() {
						from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
						if got := outcome(replicas[i%5].try(t, typed("bob", fmt.Sprint("w", i), from))); got != "401" && got != "429" {
							t.Errorf("a guess = %s, want 401 or 429", got)
						}
					})
				}
				all.Wait()
				if n := d.reached() - before; n > strangers {
					t.Errorf("%d guesses reached the directory, want %d at most", n, strangers)
				}
				// Guesses that are over hold up no login.
				for i := range strangers {
					replicas[i].try(t, typed("bob", fmt.Sprint("later", i), stranger))
				}
				if n := d.reached() - before; n != strangers {
					t.Errorf("%d guesses reached the directory in all, want %d", n, strangers)
				}
			})
		})
	}
}

// TestOneWrongPasswordOnReplicas: fifty equal wrong passwords at once on five
// replicas are one bind.
func TestOneWrongPasswordOnReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := slowStore{throttle.NewMemoryStore(), 5 * time.Millisecond}
		d := &directory{accounts: bob(), slow: time.Second}
		var replicas []*Chain
		for range 5 {
			replicas = append(replicas, chainOf(t, newReplica(t, store), Member{d, Config{Name: "corp", Kind: "ldap"}}))
		}
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
				if got := outcome(replicas[i%5].try(t, typed("bob", "stale", from))); got != "401" {
					t.Errorf("a stale password = %s, want 401", got)
				}
			})
		}
		all.Wait()
		if d.reached() != 1 {
			t.Errorf("one wrong password, fifty times at once, reached the directory %d times, want once", d.reached())
		}
	})
}

// TestHeldIsNotCounted: a password that turned out to be right, or that did not
// reach its provider, takes no room in the windows.
func TestHeldIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), refuse: make(map[string]error)}
		c := one(t, d, nil)
		try := func(what, secret string, from netip.Addr, want string) {
			t.Helper()
			if got := outcome(c.try(t, typed("bob", secret, from))); got != want {
				t.Errorf("%s = %s, want %s", what, got, want)
			}
		}
		d.set(errors.New("connection refused"))
		for i := range 10 {
			try("while the directory is down", fmt.Sprint("w", i), stranger, "503")
		}
		d.set(nil)
		for i := range 10 {
			d.refuse[fmt.Sprint("w", i)] = NotSent(errors.New("connection refused"))
			try("while no bind is sent", fmt.Sprint("w", i), stranger, "503")
		}
		clear(d.refuse)
		for i := range 20 { // each from a place of its own
			try("the right one", "right", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), "200")
		}
		for i := range strangers {
			try("a wrong one", fmt.Sprint("w", i), stranger, "401")
		}
		try("one more", "w", stranger, "429")
	})
}

// TestMayHaveArrived: a password that was sent and not answered may be counted at
// the directory, each time that it is sent, so that it counts here as often; where
// nothing else fills the window the answer is 503.
func TestMayHaveArrived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), refuse: map[string]error{"slow": context.DeadlineExceeded}}
		c := one(t, d, nil)
		for i := range 3 * limit {
			if got := outcome(c.try(t, typed("bob", "slow", home))); got != "503" {
				t.Errorf("the login %d without an answer = %s, want 503", i, got)
			}
		}
		if d.reached() != strangers {
			t.Errorf("a password that is never answered was sent %d times, want %d", d.reached(), strangers)
		}
		if got := outcome(c.try(t, typed("alice", "right", home))); got != "200" {
			t.Errorf("another account = %s, want 200", got)
		}
		time.Sleep(window)
		if got := outcome(c.try(t, typed("bob", "right", home))); got != "200" {
			t.Errorf("the account later = %s, want 200", got)
		}
	})
}
