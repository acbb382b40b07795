package session

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

const (
	// lastUseResolution is how exactly a session's last use is kept.
	lastUseResolution = time.Minute

	// flushInterval is how long a use waits to be kept with others. The first
	// one is kept at once, since it saves a session from ending unused.
	flushInterval = 10 * time.Second

	// maxPending bounds what waits.
	maxPending = 100_000

	// batchSize is how many rows one write to the store changes, so that others
	// get their turn in between.
	batchSize = 500
)

// UseStore keeps when sessions were redeemed last.
type UseStore interface {
	WriteLastUses(ctx context.Context, uses []LastUse) error
}

// usage is a buffer of when sessions were redeemed, so that the store is written
// to once for many redemptions.
type usage struct {
	store     UseStore
	flushNow  chan struct{} // there is something to keep at once
	flushSoon chan struct{} // there is something to keep in a while

	mu      sync.Mutex
	pending map[Hash]LastUse
}

func newUsage(store UseStore) *usage {
	return &usage{store: store, flushNow: make(chan struct{}, 1), flushSoon: make(chan struct{}, 1), pending: make(map[Hash]LastUse)}
}

// record keeps in mind that a session was redeemed, unless the store has that
// nearly right already.
func (u *usage) record(row *Row, client Client, now time.Time) {
	if now.Sub(row.Used) < lastUseResolution {
		return
	}
	use := LastUse{Token: row.Hash, At: now, Client: client.truncated()}
	u.mu.Lock()
	_, waits := u.pending[row.Hash]
	if waits || len(u.pending) < maxPending {
		u.pending[row.Hash] = use
	}
	count := len(u.pending)
	u.mu.Unlock()
	switch {
	case count >= maxPending, row.Used.IsZero() && !waits:
		wake(u.flushNow)
	case count == 1:
		wake(u.flushSoon)
	}
}

// drain returns what waits.
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

// flush keeps what waits. What the store does not take is lost: the next
// redemption notes it again.
func (u *usage) flush(ctx context.Context) error {
	for uses := range slices.Chunk(u.drain(), batchSize) {
		if err := u.store.WriteLastUses(ctx, uses); err != nil {
			return fmt.Errorf("keep when sessions were used: %w", err)
		}
	}
	return nil
}

// wake sends a signal to a channel that has room for one.
func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // one is there already
	}
}
