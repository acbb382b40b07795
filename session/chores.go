package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

const (
	// sweepEvery is how often sessions whose life is over are ended in the
	// store. A redemption refuses them even before that.
	sweepEvery = 5 * time.Minute

	// choreLimit is how long one round of chores may take.
	choreLimit = time.Minute
)

// Sweeper ends and forgets sessions in the store.
type Sweeper interface {
	// Sweep ends up to limit sessions whose time has come, and forgets up to
	// limit that ended long ago, or before they were ever used and with no
	// renewal left to revoke, with what nobody needs any more. One that
	// answers to a provider's refresh token is never forgotten: that token may
	// still be good there, and would make another. It returns how many rows it
	// touched: less than limit when nothing is left to do.
	Sweep(ctx context.Context, times SweepTimes, limit int) (int, error)
}

// chores are the periodic maintenance: they sweep, write last uses, retry answers
// that the store could not take, and share counts of answers with other replicas.
type chores struct {
	store       Sweeper
	usage       *usage
	answers     *answerWriter
	guards      *guards
	clock       *clock
	rules       *atomic.Pointer[rules]
	log         *slog.Logger
	revocations chan<- struct{} // wakes the revoker
}

// run does chores as they become due, until ctx ends.
func (c *chores) run(ctx context.Context) {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	var flush, retry <-chan time.Time // nil while nothing waits
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-c.usage.waits:
			if flush == nil {
				flush = time.After(flushEvery)
			}
		case <-c.usage.wake:
			err = c.limited(ctx, c.flush)
		case <-flush:
			flush = nil
			err = c.limited(ctx, c.flush)
		case <-c.answers.retries:
			retry = time.After(pollEvery)
		case <-retry:
			retry = nil
			if c.limited(ctx, c.answers.retryAll) != nil { // logged when it was buffered
				retry = time.After(pollEvery)
			}
		case <-sweep.C:
			err = c.limited(ctx, func(ctx context.Context) error {
				if err := c.clock.set(ctx); err != nil {
					return err
				}
				return c.sweep(ctx)
			})
			wake(c.revocations)
		}
		if err != nil && ctx.Err() == nil {
			c.log.Warn("periodic session maintenance failed", "error", err)
		}
	}
}

// limited runs one chore. What it does not finish is done the next time.
func (c *chores) limited(ctx context.Context, chore func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, choreLimit)
	defer cancel()
	return chore(ctx)
}

// sweep ends and forgets sessions, a bounded number at a time.
func (c *chores) sweep(ctx context.Context) error {
	cfg := &c.rules.Load().cfg
	for {
		touched, err := c.store.Sweep(ctx, cfg.sweepTimes(c.clock.now()), batch)
		switch {
		case err != nil:
			return fmt.Errorf("sweep: %w", err)
		case touched < batch:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery): // others write too
		}
	}
}

// flush writes the uses that wait, and tells the other replicas how many answers
// this one had.
func (c *chores) flush(ctx context.Context) error {
	if err := c.guards.tell(ctx); err != nil {
		return err
	}
	return c.usage.flush(ctx)
}
