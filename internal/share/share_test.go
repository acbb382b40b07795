package share

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestOneKeyHoldsAQuarter: one key holds at most a quarter of the slots,
// at least one, however many requests it has.
func TestOneKeyHoldsAQuarter(t *testing.T) {
	for slots, want := range map[int]int64{1: 1, 2: 1, 3: 1, 4: 1, 7: 1, 8: 2, 16: 4, 17: 4} {
		synctest.Test(t, func(t *testing.T) {
			s := New(slots, 400)
			var now, most atomic.Int64
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					release, err := s.Acquire(t.Context(), "one")
					if err != nil {
						t.Error(err)
						return
					}
					defer release()
					for n := now.Add(1); n > most.Load(); {
						most.Store(n)
					}
					time.Sleep(time.Second)
					now.Add(-1)
				})
			}
			all.Wait()
			if got := most.Load(); got != want {
				t.Errorf("of %d slots one key held %d, want %d", slots, got, want)
			}
		})
	}
}

// TestOthersDoNotWait: 700 requests of one key delay a later request of
// another key by at most one turn of each key.
func TestOthersDoNotWait(t *testing.T) {
	const turn = 20 * time.Millisecond
	for _, slots := range []int{1, 2, 4, 16} {
		synctest.Test(t, func(t *testing.T) {
			s := New(slots, 4096)
			var all sync.WaitGroup
			use := func(key string) (waited time.Duration) {
				began := time.Now()
				release, err := s.Acquire(t.Context(), key)
				if err != nil {
					t.Error(err)
					return 0
				}
				waited = time.Since(began)
				time.Sleep(turn)
				release()
				return waited
			}
			for range 700 {
				all.Go(func() { use("flood") })
			}
			synctest.Wait()
			for i := range 5 {
				all.Go(func() {
					if waited := use(fmt.Sprint("another", i)); waited > 6*turn {
						t.Errorf("with %d slots another key waited %s, want at most a turn for each of the six keys", slots, waited)
					}
				})
			}
			all.Wait()
		})
	}
}

// TestOrder: the queue is first in, first out within a key, and round robin
// between keys.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(1, 64)
		first, err := s.Acquire(t.Context(), "x")
		if err != nil {
			t.Fatal(err)
		}
		var order []string // appended to by one request at a time
		var all sync.WaitGroup
		for _, name := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
			all.Go(func() {
				release, err := s.Acquire(t.Context(), name[:1])
				if err != nil {
					t.Error(err)
					return
				}
				order = append(order, name)
				release()
			})
			synctest.Wait()
		}
		first()
		all.Wait()
		if got, want := fmt.Sprint(order), "[a1 b1 c1 a2 b2 a3]"; got != want {
			t.Errorf("the slot went to %s, want %s", got, want)
		}
	})
}

// TestQueueIsBounded: a request is refused immediately if the queue is full,
// and one key cannot fill it.
func TestQueueIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(1, 8)
		release, err := s.Acquire(t.Context(), "flood")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var full, ended atomic.Int32
		var all sync.WaitGroup
		wait := func(key string) {
			all.Go(func() {
				release, err := s.Acquire(ctx, key)
				switch {
				case err == nil:
					release()
				case !errors.Is(err, ErrBusy):
					t.Error(err)
				case errors.Is(err, errFull):
					full.Add(1)
				case errors.Is(err, context.Canceled):
					ended.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		for range 100 {
			wait("flood")
		}
		synctest.Wait()
		if got := full.Load(); got != 98 {
			t.Errorf("%d requests of one key were refused, want the 98 beyond a quarter of 8", got)
		}
		for i := range 10 {
			wait(fmt.Sprint(i))
		}
		synctest.Wait()
		if got := full.Load(); got != 98+4 {
			t.Errorf("%d requests were refused, want 4 more beyond the 8 that may wait", got)
		}
		cancel()
		all.Wait()
		if got := ended.Load(); got != 8 {
			t.Errorf("%d waiters ended with their context, want 8", got)
		}
		release()
		if again, err := s.Acquire(t.Context(), "later"); err != nil {
			t.Errorf("Acquire after that = %v, want a slot", err)
		} else {
			again()
		}
		if len(s.keys) != 0 || s.eligible.Len() != 0 || s.free != 1 || s.queueRoom != 8 {
			t.Errorf("%d keys, %d of them eligible, %d free slots and queue room for %d are left, want 0, 0, 1, 8", len(s.keys), s.eligible.Len(), s.free, s.queueRoom)
		}
	})
}

// TestCanceledContext: a request with a canceled context gets no slot, even if
// one is free.
func TestCanceledContext(t *testing.T) {
	s := New(4, 4)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Acquire(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("Acquire with an ended context = %v, want %v", err, context.Canceled)
	}
}

// TestConcurrentUse: no slot is lost or given twice.
func TestConcurrentUse(t *testing.T) {
	const slots = 5
	s := New(slots, 1000)
	var now atomic.Int64
	var all sync.WaitGroup
	for i := range 400 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%7)*time.Millisecond)
			defer cancel()
			release, err := s.Acquire(ctx, fmt.Sprint(i%11))
			if err != nil {
				return
			}
			if n := now.Add(1); n > slots {
				t.Errorf("%d requests hold one of %d slots", n, slots)
			}
			now.Add(-1)
			release()
		})
	}
	all.Wait()
	if len(s.keys) != 0 || s.free != slots || s.queueRoom != 1000 {
		t.Errorf("%d keys, %d free slots and queue room for %d are left, want 0, %d, 1000", len(s.keys), s.free, s.queueRoom, slots)
	}
}

func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(2, 8)
		release, err := s.Acquire(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if release, err := s.Acquire(t.Context(), "a"); err == nil { // its key has its quarter
				release()
			}
		}()
		synctest.Wait()
		if got, want := s.Stats(), (Stats{Held: 1, Free: 1, Waiting: 1}); got != want {
			t.Errorf("Stats = %+v, want %+v", got, want)
		}
		release()
		synctest.Wait()
		if got, want := s.Stats(), (Stats{Free: 2}); got != want {
			t.Errorf("Stats after the release = %+v, want %+v", got, want)
		}
	})
}
