package providers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeStore is what replicas share: counters that may be lost.
type fakeStore struct {
	counters *LocalCounters
	slow     time.Duration // what each answer takes
	asked    atomic.Int32

	mu      sync.Mutex
	err     error
	hanging bool
}

func (s *fakeStore) set(err error, hanging bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.hanging = err, hanging
}

func (s *fakeStore) answer(ctx context.Context) error {
	s.asked.Add(1)
	time.Sleep(s.slow)
	s.mu.Lock()
	err, hanging := s.err, s.hanging
	s.mu.Unlock()
	if hanging {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (s *fakeStore) Marks(ctx context.Context, buckets []Mark) ([][]Counted, error) {
	if err := s.answer(ctx); err != nil {
		return nil, err
	}
	return s.counters.Marks(ctx, buckets), nil
}

func (s *fakeStore) Count(ctx context.Context, counts []Count) error {
	if err := s.answer(ctx); err != nil {
		return err
	}
	s.counters.Add(ctx, counts)
	return nil
}

func (s *fakeStore) Uncount(ctx context.Context, bucket, mark Mark) error {
	if err := s.answer(ctx); err != nil {
		return err
	}
	s.counters.mu.Lock()
	defer s.counters.mu.Unlock()
	marks, _ := s.counters.buckets.Get(bucket)
	s.counters.buckets.Put(bucket, slices.DeleteFunc(marks, func(c Counted) bool { return c.Mark == mark }))
	return nil
}

func TestSharedCountersAreSharedAndFallBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{counters: NewLocalCounters(time.Now)}
		var logged bytes.Buffer
		key := bytes.Repeat([]byte{7}, 32)
		log := slog.New(slog.NewTextHandler(&logged, nil))
		one, two := NewSharedCounters(store, key, log), NewSharedCounters(store, key, log)
		bucket := Mark{1}
		has := func(when string, c *SharedCounters, want ...Mark) {
			t.Helper()
			found := c.Marks(t.Context(), []Mark{{99}, bucket})
			if len(found) != 2 || len(found[0]) != 0 || len(found[1]) != len(want) {
				t.Errorf("%s: Marks = %v, want %v", when, found, want)
				return
			}
			for _, m := range want {
				if !holds(found[1], m) {
					t.Errorf("%s: Marks = %v, want %v in it", when, found[1], m)
				}
			}
		}
		took := func(when string, want time.Duration, do func()) {
			t.Helper()
			began := time.Now()
			do()
			if got := time.Since(began); got != want {
				t.Errorf("%s: it took %v, want %v", when, got, want)
			}
		}
		if !bytes.Equal(one.Key(), key) {
			t.Error("the key is another")
		}
		one.Add(t.Context(), []Count{{bucket, Mark{1}, time.Hour}})
		has("shared, here", one, Mark{1})
		has("shared, there", two, Mark{1})

		store.set(nil, true)
		took("the first who finds it hanging", sharedLimit, func() { one.Add(t.Context(), []Count{{bucket, Mark{2}, time.Hour}}) })
		asked := store.asked.Load()
		took("everybody after", 0, func() {
			for range 100 {
				has("what this process counted", one, Mark{1}, Mark{2})
			}
		})
		if got := store.asked.Load(); got != asked {
			t.Errorf("a store that hangs was asked %d times more", got-asked)
		}
		took("who counted nothing", sharedLimit, func() { has("who counted nothing", two) })

		time.Sleep(sharedRest)
		took("who tries again", sharedLimit, func() { has("still hanging", one, Mark{1}, Mark{2}) })
		store.set(errors.New("refused"), false)
		time.Sleep(sharedRest)
		took("who is refused", 0, func() { has("refused", one, Mark{1}, Mark{2}) })

		store.set(nil, false)
		time.Sleep(sharedRest)
		has("back: what was counted meanwhile", one, Mark{1}, Mark{2})
		has("back: what the others know", two, Mark{1})
		one.Add(t.Context(), []Count{{bucket, Mark{3}, time.Hour}})
		has("back: shared again", two, Mark{1}, Mark{3})
		if got := strings.Count(logged.String(), "does not answer"); got != 2 {
			t.Errorf("it was said %d times that the store does not answer, want once a process:\n%s", got, &logged)
		}
		if got := strings.Count(logged.String(), "answers again"); got != 2 {
			t.Errorf("it was said %d times that the store answers again, want once a process:\n%s", got, &logged)
		}
	})
}

// A client that goes away says nothing of the store.
func TestSharedCountersOfACancelledLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{counters: NewLocalCounters(time.Now)}
		c := NewSharedCounters(store, make([]byte, 32), slog.New(slog.DiscardHandler))
		store.set(nil, true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		c.Marks(ctx, []Mark{{1}})
		store.set(nil, false)
		asked := store.asked.Load()
		c.Marks(t.Context(), []Mark{{1}})
		if store.asked.Load() == asked {
			t.Error("the store was not asked after a client had gone away")
		}
	})
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
				store := &fakeStore{counters: NewLocalCounters(time.Now), slow: 5 * time.Millisecond}
				d := &directory{accounts: bob(), slow: time.Second}
				var replicas []*Chain
				for range 5 {
					counters := NewSharedCounters(store, make([]byte, 32), slog.New(slog.DiscardHandler))
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
				// Nobody is held up by guesses that are over.
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

// TestHeldIsNotCounted: a password that turned out to be right, or of which
// nobody could tell, takes nobody's room.
func TestHeldIsNotCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &fakeStore{counters: NewLocalCounters(time.Now)}
		d := &directory{accounts: bob()}
		c := chainOf(t, NewSharedCounters(store, make([]byte, 32), slog.New(slog.DiscardHandler)), Member{d, Config{Name: "corp", Kind: "ldap"}})
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
