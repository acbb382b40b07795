package counting

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
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
		store := &fakeStore{counters: NewLocalCounters()}
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
		store := &fakeStore{counters: NewLocalCounters()}
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
