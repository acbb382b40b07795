package session

import (
	"context"
	"log/slog"
	"time"
)

const (
	// sweepInterval is how often sessions whose life is over are ended in the
	// store. A redemption refuses them even before that.
	sweepInterval = 5 * time.Minute

	// maintenanceTimeout is how long one round of chores may take.
	maintenanceTimeout = time.Minute
)

// chores are the periodic maintenance: they sweep, write last uses, and retry
// answers that the store could not take.
type chores struct {
	sweeper     sweeper
	usage       *usage
	answers     *answerWriter
	clock       *clock
	log         *slog.Logger
	revocations chan<- struct{} // wakes the revoker
}

// run does chores as they become due, until ctx ends.
func (c *chores) run(ctx context.Context) {
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	var flush, retry <-chan time.Time // nil while nothing waits
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-c.usage.flushSoon:
			if flush == nil {
				flush = time.After(flushInterval)
			}
		case <-c.usage.flushNow:
			err = c.limited(ctx, c.flush)
		case <-flush:
			flush = nil
			err = c.limited(ctx, c.flush)
		case <-c.answers.retries:
			retry = time.After(pollInterval)
		case <-retry:
			retry = nil
			if c.limited(ctx, c.answers.retryAll) != nil { // logged when it was buffered
				retry = time.After(pollInterval)
			}
		case <-sweep.C:
			err = c.limited(ctx, func(ctx context.Context) error {
				if err := c.clock.set(ctx); err != nil {
					return err
				}
				return c.sweeper.sweep(ctx)
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
	ctx, cancel := context.WithTimeout(ctx, maintenanceTimeout)
	defer cancel()
	return chore(ctx)
}

// flush writes the uses that wait.
func (c *chores) flush(ctx context.Context) error { return c.usage.flush(ctx) }
