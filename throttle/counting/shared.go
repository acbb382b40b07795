package counting

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// CounterStore keeps marks where all replicas see them. It is safe for
// concurrent use. An error means that it cannot tell, or did not keep them.
//
// storetest plays this contract on every store.
type CounterStore interface {
	// Marks returns, bucket by bucket in the order asked, the marks that are
	// in it and not over yet: at least the 64 that end last, whose
	// Until is by the clock of this machine, whatever that of others says.
	Marks(ctx context.Context, buckets []Mark) ([][]Counted, error)

	// Count puts marks into buckets, several of them the same perhaps. One
	// that is there already stays until the later of both times.
	Count(ctx context.Context, counts []Count) error

	// Uncount takes a mark out of a bucket, if it is there.
	Uncount(ctx context.Context, bucket, mark Mark) error
}

const (
	// sharedLimit is how long the store of the counters has to answer. It is
	// short: a login waits for it, and can do without.
	sharedLimit = 500 * time.Millisecond

	// sharedRest is how long a store that did not answer is left alone, so
	// that not every login waits for it in vain.
	sharedRest = 5 * time.Second
)

// SharedCounters are counters that replicas share through a store. What this
// process counted it also knows by itself: that is what holds while the store
// does not answer, and what was counted meanwhile holds after it too.
type SharedCounters struct {
	store CounterStore
	local *LocalCounters
	log   *slog.Logger

	mu    sync.Mutex
	down  bool
	retry time.Time // while down: until then it is not asked
}

var _ Counters = (*SharedCounters)(nil)

// NewSharedCounters returns counters that are kept in store under key, which
// all replicas must have and which is not kept in the store.
func NewSharedCounters(store CounterStore, key []byte, log *slog.Logger) *SharedCounters {
	return &SharedCounters{store: store, local: newKeyedCounters(key), log: log}
}

// Key implements [Counters].
func (c *SharedCounters) Key() []byte { return c.local.Key() }

// Marks implements [Counters].
func (c *SharedCounters) Marks(ctx context.Context, buckets []Mark) [][]Counted {
	found := c.local.Marks(ctx, buckets)
	c.ask(ctx, "read", func(ctx context.Context) error {
		shared, err := c.store.Marks(ctx, buckets)
		if err != nil {
			return err
		}
		for i := range found {
			found[i] = union(shared[i], found[i])
		}
		return nil
	})
	return found
}

// Recount implements [Counters].
func (c *SharedCounters) Recount(buckets []Mark, found [][]Counted) [][]Counted {
	all := c.local.Recount(buckets, nil)
	for i := range all {
		all[i] = union(found[i], all[i])
	}
	return all
}

// Hold implements [Counters].
func (c *SharedCounters) Hold(ctx context.Context, n Count) {
	c.ask(ctx, "write", func(ctx context.Context) error { return c.store.Count(ctx, []Count{n}) })
}

// Release implements [Counters].
func (c *SharedCounters) Release(ctx context.Context, n Count) {
	c.ask(ctx, "write", func(ctx context.Context) error { return c.store.Uncount(ctx, n.Bucket, n.Mark) })
}

// union returns all marks of both, each until the later of its times.
func union(a, b []Counted) []Counted {
	for _, m := range b {
		i := slices.IndexFunc(a, func(o Counted) bool { return o.Mark == m.Mark })
		switch {
		case i < 0:
			a = append(a, m)
		case m.Until.After(a[i].Until):
			a[i].Until = m.Until
		}
	}
	return a
}

// Add implements [Counters].
func (c *SharedCounters) Add(ctx context.Context, counts []Count) {
	c.local.Add(ctx, counts)
	c.ask(ctx, "write", func(ctx context.Context) error { return c.store.Count(ctx, counts) })
}

// ask turns to the store, unless it is known not to answer.
func (c *SharedCounters) ask(ctx context.Context, what string, do func(context.Context) error) {
	if !c.mayAsk(time.Now()) {
		return
	}
	limited, cancel := context.WithTimeout(ctx, sharedLimit)
	defer cancel()
	err := do(limited)
	if err != nil && ctx.Err() != nil {
		return // whoever asked is gone; that says nothing of the store
	}
	c.answered(what, err)
}

// mayAsk reports whether the store may be asked at now. While it is down one of
// many may find out whether it is back.
func (c *SharedCounters) mayAsk(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.down {
		return true
	}
	if now.Before(c.retry) {
		return false
	}
	c.retry = now.Add(sharedRest)
	return true
}

// answered notes what came of asking.
func (c *SharedCounters) answered(what string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.down
	c.down = err != nil
	switch {
	case c.down:
		c.retry = time.Now().Add(sharedRest)
		if !was {
			c.log.Warn("the store of the counters of wrong passwords does not answer; each replica counts for itself", "could_not", what, "error", err)
		}
	case was:
		c.log.Info("the store of the counters of wrong passwords answers again")
	}
}
