package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// TimeSource is the store's clock, which all replicas use.
type TimeSource interface {
	Now(ctx context.Context) (time.Time, error)
}

// clockLeeway is the smallest clock offset that is corrected. A smaller one
// cannot be told from the time that reading the store's clock takes.
const clockLeeway = time.Second

// clock is this machine's clock, corrected by its offset to the store's, so
// that leases and timeouts are the same on all replicas.
type clock struct {
	store TimeSource
	log   *slog.Logger
	ahead atomic.Int64 // the store's clock minus this machine's, a time.Duration
}

// set measures the offset to the store's clock.
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

// now returns the time by the store's clock, to the millisecond, as stores have
// it.
func (c *clock) now() time.Time {
	return time.Now().Add(c.offset()).UTC().Truncate(time.Millisecond)
}

// offset returns the store's clock minus this machine's.
func (c *clock) offset() time.Duration { return time.Duration(c.ahead.Load()) }
