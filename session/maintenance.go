package session

import (
	"context"
	"log/slog"
	"time"
)

const (
	// sweepInterval is how often the store is swept. A redemption refuses an
	// expired session also before that.
	sweepInterval = 5 * time.Minute

	// maintenanceTimeout bounds one task of a round.
	maintenanceTimeout = time.Minute
)

// maintenance is the background loop that sweeps the store, counts its sessions,
// writes buffered last uses, and retries buffered answers.
type maintenance struct {
	sweeper     sweeper
	counter     counter
	usage       *usage
	answers     *answerWriter
	clock       *clock
	log         *slog.Logger
	revocations chan<- struct{} // wakes the revoker
}

// run runs each task when it is due, until ctx ends.
func (m *maintenance) run(ctx context.Context) {
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	m.count(ctx)
	var flush, retry <-chan time.Time // nil while nothing is buffered
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
			if m.withTimeout(ctx, m.answers.retryAll) != nil { // the error was logged when the answer was buffered
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
			m.count(ctx)
		}
		if err != nil && ctx.Err() == nil {
			m.log.Warn("periodic session maintenance failed", "error", err)
		}
	}
}

// count counts the sessions. Only metrics need the number.
func (m *maintenance) count(ctx context.Context) {
	if err := m.withTimeout(ctx, m.counter.count); err != nil && ctx.Err() == nil {
		m.log.Warn("the sessions were not counted for the metrics", "error", err)
	}
}

// withTimeout runs one task with maintenanceTimeout. The next round continues
// what it does not finish.
func (m *maintenance) withTimeout(ctx context.Context, task func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, maintenanceTimeout)
	defer cancel()
	return task(ctx)
}

// flush writes the buffered last uses.
func (m *maintenance) flush(ctx context.Context) error { return m.usage.flush(ctx) }
