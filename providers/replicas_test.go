package providers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	throttle "shorepass/throttle/counting"
)

// fakeStore is what replicas share: counters that take their time.
type fakeStore struct {
	slow time.Duration // what each answer takes

	mu    sync.Mutex
	marks map[throttle.Mark][]throttle.Counted // by bucket
}

func newFakeStore(slow time.Duration) *fakeStore {
	return &fakeStore{slow: slow, marks: make(map[throttle.Mark][]throttle.Counted)}
}

func (s *fakeStore) Marks(_ context.Context, buckets []throttle.Mark) ([][]throttle.Counted, error) {
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([][]throttle.Counted, len(buckets))
	for i, b := range buckets {
		for _, m := range s.marks[b] {
			if time.Now().Before(m.Until) {
				found[i] = append(found[i], m)
			}
		}
	}
	return found, nil
}

func (s *fakeStore) Count(_ context.Context, counts []throttle.Count) error {
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range counts {
		until := time.Now().Add(n.For)
		for _, m := range s.marks[n.Bucket] {
			if m.Mark == n.Mark && m.Until.After(until) {
				until = m.Until
			}
		}
		s.remove(n.Bucket, n.Mark)
		s.marks[n.Bucket] = append(s.marks[n.Bucket], throttle.Counted{Mark: n.Mark, Until: until})
	}
	return nil
}

func (s *fakeStore) Uncount(_ context.Context, bucket, mark throttle.Mark) error {
	time.Sleep(s.slow)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(bucket, mark)
	return nil
}

// remove is called with mu held.
func (s *fakeStore) remove(bucket, mark throttle.Mark) {
	s.marks[bucket] = slices.DeleteFunc(s.marks[bucket], func(m throttle.Counted) bool { return m.Mark == mark })
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
				store := newFakeStore(5 * time.Millisecond)
				d := &directory{accounts: bob(), slow: time.Second}
				var replicas []*Chain
				for range 5 {
					counters := throttle.NewSharedCounters(store, make([]byte, 32), slog.New(slog.DiscardHandler))
					c := chainOf(t, counters, Member{d, Config{Name: "corp", Kind: "ldap"}})
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
				if n := d.reached() - before; n > 3 {
					t.Errorf("%d guesses reached the directory, want 3 at most", n)
				}
				// Guesses that are over hold up no login.
				for i := range 3 {
					replicas[i].try(t, typed("bob", fmt.Sprint("later", i), stranger))
				}
				if n := d.reached() - before; n != 3 {
					t.Errorf("%d guesses reached the directory in all, want 3", n)
				}
			})
		})
	}
}

// TestHeldIsNotCounted: a password that turned out to be right, or that no
// provider could check, takes no room in the counters.
func TestHeldIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newFakeStore(0)
		d := &directory{accounts: bob()}
		c := chainOf(t, throttle.NewSharedCounters(store, make([]byte, 32), slog.New(slog.DiscardHandler)), Member{d, Config{Name: "corp", Kind: "ldap"}})
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
		for i := range 20 { // each from a place of its own
			try("the right one", "right", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), "200")
		}
		for i := range 4 {
			try("a wrong one", fmt.Sprint("w", i), stranger, map[bool]string{true: "401", false: "429"}[i < 3])
		}
	})
}
