package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// HealthStore is what a health check asks of a store.
type HealthStore interface {
	// Ping reports whether the store answers.
	Ping(ctx context.Context) error

	// SetSetting keeps a value under a name, in the place of another.
	SetSetting(ctx context.Context, name string, value []byte) error
}

const (
	// healthWriteInterval is the rate limit of writes by health checks.
	healthWriteInterval = 10 * time.Second

	// fullTTL is how long a store that had no room for a session counts as
	// full, unless it takes another one meanwhile.
	fullTTL = time.Minute
)

// health checks whether the store answers and can be written to: one that is
// full, locked, or a read-only copy still redeems, but keeps no login.
type health struct {
	store   HealthStore
	replica string
	full    atomic.Int64 // when there was no room for a session, in nanoseconds since 1970; 0 once there was

	mu  sync.Mutex // held while a write is tried
	at  time.Time  // of the last write
	err error      // of the last write
}

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
	// A row that is written again may fit where a new one does not.
	if since := time.Since(time.Unix(0, h.full.Load())); since < fullTTL {
		return unavailable(fmt.Errorf("keep a session, %v ago: %w", since.Round(time.Second), ErrFull))
	}
	return nil
}

// recordCreate notes whether the store had room for a new session.
func (h *health) recordCreate(err error) {
	switch {
	case err == nil:
		h.full.Store(0)
	case errors.Is(err, ErrFull):
		h.full.Store(time.Now().UnixNano())
	}
}
