package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// TimeSource is the clock that all replicas go by.
type TimeSource interface {
	Now(ctx context.Context) (time.Time, error)
}

// clockLeeway is how far a clock may be off before it is corrected: below it,
// the time that reading the other one takes would count as a difference.
const clockLeeway = time.Second

// clock is this machine's clock, set by the store's, so that leases and ends of
// life mean the same on all replicas.
type clock struct {
	store TimeSource
	log   *slog.Logger
	ahead atomic.Int64 // how far the store's clock is ahead of ours, as a time.Duration
}

// set reads the store's clock.
func (c *clock) set(ctx context.Context) error {
	before := time.Now()
	theirs, err := c.store.Now(ctx)
	if err != nil {
		return unavailable(fmt.Errorf("read the store's clock: %w", err))
	}
	ahead := theirs.Sub(before.Add(time.Since(before) / 2))
	if ahead.Abs() < clockLeeway {
		ahead = 0
	}
	if was := time.Duration(c.ahead.Swap(int64(ahead))); (was - ahead).Abs() >= clockLeeway {
		c.log.Warn("this machine's clock differs from the store's, which sessions go by", "store_is_ahead_by", ahead.Round(time.Millisecond))
	}
	return nil
}

// now is the time by the store's clock, as exactly as the store keeps it.
func (c *clock) now() time.Time {
	return time.Now().Add(c.offset()).UTC().Truncate(time.Millisecond)
}

// offset is how far the store's clock is ahead of ours.
func (c *clock) offset() time.Duration { return time.Duration(c.ahead.Load()) }
