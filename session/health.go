package session

import (
	"context"
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
	// healthWriteInterval is the rate limit of writes by health checks.
	healthWriteInterval = 10 * time.Second

	// fullTTL is how long a store that had no room for a session counts as
	// full, unless it stores another one in that time.
	fullTTL = time.Minute
)

// health is the health check of the store: whether it answers, and whether it
// can be written to. With a store that is full, locked or a read-only copy,
// sessions can be redeemed and no login can be stored.
type health struct {
	store   HealthStore
	replica string
	full    atomic.Int64 // when there was no room for a session, in nanoseconds since 1970; 0 if the last one was stored

	mu  sync.Mutex // guards at and err, and is held during a write
	at  time.Time  // of the last write
	err error      // of the last write
}

// check returns nil if the store is healthy. The test write is rate limited to
// one in healthWriteInterval.
func (h *health) check(ctx context.Context) error {
	if err := h.store.Ping(ctx); err != nil {
		return unavailable(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.Sub(h.at) >= healthWriteInterval {
		err := h.store.SetSetting(ctx, "alive", []byte(h.replica))
		h.at, h.err = now, err
	}
	if h.err != nil {
		return unavailable(fmt.Errorf("write to the store: %w", h.err))
	}
	// Rewriting a row can succeed where there is no room for a new one.
	if since := time.Since(time.Unix(0, h.full.Load())); since < fullTTL {
		return unavailable(fmt.Errorf("store a session, %v ago: %w", since.Round(time.Second), ErrFull))
	}
	return nil
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
