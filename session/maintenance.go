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
type maintenance struct {
	sweeper     sweeper
	usage       *usage
	answers     *answerWriter
	clock       *clock
	log         *slog.Logger
	revocations chan<- struct{} // wakes the revoker
}

// run does chores as they become due, until ctx ends.
func (m *maintenance) run(ctx context.Context) {
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	var flush, retry <-chan time.Time // nil while nothing waits
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-m.usage.flushSoon:
			if flush == nil {
				flush = time.After(flushInterval)
			}
		case <-m.usage.flushNow:
			err = m.withTimeout(ctx, m.flush)
		case <-flush:
			flush = nil
			err = m.withTimeout(ctx, m.flush)
		case <-m.answers.retries:
			retry = time.After(pollInterval)
		case <-retry:
			retry = nil
			if m.withTimeout(ctx, m.answers.retryAll) != nil { // logged when it was buffered
				retry = time.After(pollInterval)
			}
		case <-sweep.C:
			err = m.withTimeout(ctx, func(ctx context.Context) error {
				if err := m.clock.set(ctx); err != nil {
					return err
				}
				return m.sweeper.sweep(ctx)
			})
			wake(m.revocations)
		}
		if err != nil && ctx.Err() == nil {
			m.log.Warn("periodic session maintenance failed", "error", err)
		}
	}
}

// limited runs one chore. What it does not finish is done the next time.
func (m *maintenance) withTimeout(ctx context.Context, chore func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, maintenanceTimeout)
	defer cancel()
	return chore(ctx)
}

// flush writes the uses that wait.
func (m *maintenance) flush(ctx context.Context) error { return m.usage.flush(ctx) }
