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

// slowStore is a slow store that replicas share.
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

// TestConcurrentGuessesOnReplicas: of concurrent guesses on several replicas no more reach the
// directory than of those that come one after another.
func TestConcurrentGuessesOnReplicas(t *testing.T) {
	for _, test := range []struct {
		name  string
		known bool // the account has logged in on each replica
	}{{"an account without a window", false}, {"an account that logged in before", true}} {
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
				// Guesses that have ended delay no login.
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

// TestOneWrongPasswordOnReplicas: fifty concurrent equal wrong passwords on five replicas are
// one bind.
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
			t.Errorf("one wrong password, fifty times concurrently, reached the directory %d times, want once", d.reached())
		}
	})
}

// TestRightAndUnsentPasswordsTakeNoRoom: a right password, and one that did not reach the
// provider, leave no entry in the windows.
func TestRightAndUnsentPasswordsTakeNoRoom(t *testing.T) {
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
			d.refuse[fmt.Sprint("w", i)] = NotCounted(errors.New("connection refused"))
			try("while no bind is sent", fmt.Sprint("w", i), stranger, "503")
		}
		clear(d.refuse)
		for i := range 20 { // each from another address
			try("the right one", "right", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), "200")
		}
		for i := range strangers {
			try("a wrong one", fmt.Sprint("w", i), stranger, "401")
		}
		try("one more", "w", stranger, "429")
	})
}

// TestMayBeCounted: a password that was sent and not answered counts each time that it is
// sent, as it may at the directory. A window full of these alone is 503.
func TestMayBeCounted(t *testing.T) {
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
