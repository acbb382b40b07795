package counting

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"shorepass/internal/lru"
)

// Counters remember, for a while, which marks were put into which buckets. It
// is all that the throttle needs kept: how many distinct wrong passwords an
// account had is the number of marks in its bucket. Replicas that share their
// counters share their throttles.
//
// Both names and passwords come as marks only, so that nothing can be read
// from the counters or guessed offline without the key.
type Counters interface {
	// Key is what marks are made under: at least 32 bytes, the same on every
	// replica that shares the counters, and not kept beside them.
	Key() []byte

	// Marks returns, bucket by bucket in the order asked, the marks that are
	// in it and not over yet. At least the 64 that end last are kept in each.
	// It never fails: counters that cannot reach what is shared answer from
	// what this process counted itself.
	Marks(ctx context.Context, buckets []Mark) [][]Counted

	// Recount returns what Marks found in buckets a moment ago, with what this
	// process has put there since. It reaches for nothing that is shared.
	Recount(buckets []Mark, found [][]Counted) [][]Counted

	// Hold puts a mark into a bucket for the time in which it is not known yet
	// whether it belongs there, where other processes see it, and Release takes
	// it out before that is over. In this process neither does anything, and
	// neither ever fails.
	Hold(ctx context.Context, c Count)
	Release(ctx context.Context, c Count)

	// Add puts marks into buckets. One that is there already stays until the
	// later of both times. It never fails either.
	Add(ctx context.Context, counts []Count)
}

// Counted is a mark in a bucket, and when it is over.
type Counted struct {
	Mark  Mark
	Until time.Time
}

// Count is a mark to put into a bucket.
type Count struct {
	Bucket, Mark Mark
	For          time.Duration
}

// Bounds of the local counters.
const (
	maxBuckets = 50_000
	maxMarks   = 64
)

// LocalCounters are the counters of one process. They are bounded: of more
// than 50,000 buckets the one used longest ago is forgotten.
type LocalCounters struct {
	key []byte

	mu      sync.Mutex
	buckets *lru.Cache[Mark, []Counted] // mu guards the slices too
}

var _ Counters = (*LocalCounters)(nil)

// NewLocalCounters returns empty counters under a key of their own.
func NewLocalCounters() *LocalCounters {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return newKeyedCounters(key)
}

// newKeyedCounters returns empty counters under a given key, for standing in
// while counters that are shared under it cannot be reached.
func newKeyedCounters(key []byte) *LocalCounters {
	return &LocalCounters{key: slices.Clone(key), buckets: lru.New[Mark, []Counted](maxBuckets)}
}

// Key implements [Counters].
func (c *LocalCounters) Key() []byte { return slices.Clone(c.key) }

// Marks implements [Counters].
func (c *LocalCounters) Marks(_ context.Context, buckets []Mark) [][]Counted {
	now := time.Now()
	found := make([][]Counted, len(buckets))
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, b := range buckets {
		marks, ok := c.buckets.Get(b)
		if !ok {
			continue
		}
		marks = over(marks, now)
		if len(marks) == 0 {
			c.buckets.Delete(b)
			continue
		}
		c.buckets.Put(b, marks)
		found[i] = slices.Clone(marks)
	}
	return found
}

// Recount implements [Counters].
func (c *LocalCounters) Recount(buckets []Mark, _ [][]Counted) [][]Counted {
	return c.Marks(context.Background(), buckets)
}

// Hold implements [Counters]. There is no other process.
func (c *LocalCounters) Hold(context.Context, Count) {}

// Release implements [Counters].
func (c *LocalCounters) Release(context.Context, Count) {}

// Add implements [Counters].
func (c *LocalCounters) Add(_ context.Context, counts []Count) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range counts {
		marks, _ := c.buckets.Get(n.Bucket)
		c.buckets.Put(n.Bucket, counted(over(marks, now), Counted{n.Mark, now.Add(n.For)}))
	}
}

// over returns marks without those that are over.
func over(marks []Counted, now time.Time) []Counted {
	return slices.DeleteFunc(marks, func(m Counted) bool { return !now.Before(m.Until) })
}

// counted puts one more mark into marks.
func counted(marks []Counted, more Counted) []Counted {
	i := slices.IndexFunc(marks, func(m Counted) bool { return m.Mark == more.Mark })
	if i >= 0 {
		if more.Until.After(marks[i].Until) {
			marks[i].Until = more.Until
		}
		return marks
	}
	if len(marks) >= maxMarks {
		first := slices.MinFunc(marks, func(a, b Counted) int { return a.Until.Compare(b.Until) })
		marks = slices.DeleteFunc(marks, func(m Counted) bool { return m == first })
	}
	return append(marks, more)
}
