package session

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// HealthStore is the part of a store that the health check needs.
type HealthStore interface {
	// Ping reports whether the store answers.
	Ping(ctx context.Context) error

	// SetSetting stores a value under a name, and replaces the one before.
	SetSetting(ctx context.Context, name string, value []byte) error
}

const (
	// healthWriteInterval is the rate limit of test writes by health checks, and
	// healthRetryInterval that while the store counts as broken, so that it counts
	// as healthy within seconds after it is.
	healthWriteInterval = 10 * time.Second
	healthRetryInterval = time.Second

	// roomBytes is how much the test write needs after there was no room for a
	// session: rewriting a small row can succeed where there is none for a new one.
	roomBytes = 64 << 10
)

// health is the health check of the store: whether it answers, and whether it
// can be written to. With a store that is full, locked or a read-only copy,
// sessions can be redeemed and no login can be stored.
type health struct {
	store   HealthStore
	replica string
	full    atomic.Int64 // when there was no room for a session, in nanoseconds since 1970; 0 once there is

	mu  sync.Mutex // guards at and err, and is held during a write
	at  time.Time  // of the last test write
	err error      // of the last test write
}

// check returns nil if the store is healthy.
func (h *health) check(ctx context.Context) error {
	if err := h.store.Ping(ctx); err != nil {
		return unavailable(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	full, interval := h.full.Load(), healthWriteInterval
	if full != 0 || h.err != nil {
		interval = healthRetryInterval
	}
	if now := time.Now(); now.Sub(h.at) >= interval {
		h.at, h.err = now, h.testWrite(ctx, full != 0)
		if h.err == nil {
			h.full.CompareAndSwap(full, 0)
		}
	}
	if h.err != nil {
		return unavailable(fmt.Errorf("write to the store: %w", h.err))
	}
	if at := h.full.Load(); at != 0 {
		return unavailable(fmt.Errorf("store a session, %v ago: %w", time.Since(time.Unix(0, at)).Round(time.Second), ErrFull))
	}
	return nil
}

// testWrite rewrites a row and, where the store was full, makes it large first.
func (h *health) testWrite(ctx context.Context, wasFull bool) error {
	if wasFull {
		large := make([]byte, roomBytes)
		rand.Read(large) // a store may compress anything else
		if err := h.store.SetSetting(ctx, "alive", large); err != nil {
			return err
		}
	}
	return h.store.SetSetting(ctx, "alive", []byte(h.replica))
}

// recordCreate records whether the store had room for a new session.
func (h *health) recordCreate(err error) {
	switch {
	case err == nil:
		h.full.Store(0)
	case errors.Is(err, ErrFull):
		h.full.Store(time.Now().UnixNano())
	}
}
