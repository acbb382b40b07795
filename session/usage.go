package session

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// lastUseResolution is the resolution of a session's stored last use.
	lastUseResolution = time.Minute

	// flushInterval is how long a last use is buffered to be written with
	// others. The first use of a session is written immediately, since it keeps
	// the session from ending unused.
	flushInterval = 10 * time.Second

	// maxPending bounds the buffer.
	maxPending = 100_000

	// batchSize is how many rows one write to the store changes, so that other
	// writers get their turn in between.
	batchSize = 500
)

// UseStore stores when sessions were redeemed last.
type UseStore interface {
	WriteLastUses(ctx context.Context, uses []LastUse) error
}

// usage is a write-behind buffer of last uses: many redemptions are one write
// to the store. What is in the buffer is lost in a crash.
type usage struct {
	store     UseStore
	flushNow  chan struct{} // signals: write now
	flushSoon chan struct{} // signals: write within flushInterval

	mu      sync.Mutex
	pending map[Hash]LastUse
}

func newUsage(store UseStore) *usage {
	return &usage{store: store, flushNow: make(chan struct{}, 1), flushSoon: make(chan struct{}, 1), pending: make(map[Hash]LastUse)}
}

// record buffers that a session was redeemed, unless the stored last use is
// younger than lastUseResolution.
func (u *usage) record(row *Row, client Client, now time.Time) {
	if now.Sub(row.LastUsed) < lastUseResolution {
		return
	}
	use := LastUse{Token: row.Hash, At: now, Client: client.truncated()}
	u.mu.Lock()
	_, buffered := u.pending[row.Hash]
	if buffered || len(u.pending) < maxPending {
		u.pending[row.Hash] = use
	}
	count := len(u.pending)
	u.mu.Unlock()
	switch {
	case count >= maxPending, row.LastUsed.IsZero() && !buffered:
		wake(u.flushNow)
	case count == 1:
		wake(u.flushSoon)
	}
}

// drain empties the buffer, and returns what was in it.
func (u *usage) drain() []LastUse {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := make([]LastUse, 0, len(u.pending))
	for _, use := range u.pending {
		all = append(all, use)
	}
	clear(u.pending)
	return all
}

// flush writes the buffer to the store. What the store does not take is lost
// until the session's next redemption.
func (u *usage) flush(ctx context.Context) error {
	for uses := range slices.Chunk(u.drain(), batchSize) {
		if err := u.store.WriteLastUses(ctx, uses); err != nil {
			return fmt.Errorf("write when sessions were used: %w", err)
		}
	}
	return nil
}

// wake sends a signal on a channel with a buffer of one, without blocking.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // a signal is pending
	}
}
