package throttle

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"shorepass/internal/latency"
)

const (
	// storeTimeout is how long the store has to answer. It is short: a login waits
	// for the answer, and the process can count by itself.
	storeTimeout = 500 * time.Millisecond

	// storeRetry is how long the circuit breaker stays open before it lets one call
	// try the store again.
	storeRetry = 5 * time.Second
)

// Operations of a store, as the log and the metrics name them.
const (
	storeRead  = "read"
	storeWrite = "write"
)

// breakerStore is a store behind a circuit breaker: after an error it is not called for
// storeRetry. Each change between the two states is logged once.
type breakerStore struct {
	store Store
	log   *slog.Logger
	calls *latency.Recorder

	mu     sync.Mutex
	failed string    // the operation that failed; "" while the circuit is closed
	retry  time.Time // while the circuit is open: no call before this time
	opened uint64    // how often the circuit opened
}

func newBreakerStore(store Store, log *slog.Logger) *breakerStore {
	return &breakerStore{store: store, log: log, calls: latency.New(storeRead, storeWrite)}
}

// state reports whether the circuit is open, and how often it has opened.
func (b *breakerStore) state() (open bool, opened uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failed != "", b.opened
}

// errDown says that the circuit is open: the store does not answer.
var errDown = errors.New("the store of the throttle does not answer")

// do calls the store within storeTimeout. The error is ErrConflict, one of ctx, or
// errDown.
func (b *breakerStore) do(ctx context.Context, op string, call func(context.Context, Store) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !b.allow(time.Now()) {
		return errDown
	}
	limited, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	began := time.Now()
	err := call(limited, b.store)
	b.calls.Record(op, began, err != nil && !errors.Is(err, ErrConflict) && ctx.Err() == nil)
	switch {
	case err == nil, errors.Is(err, ErrConflict):
		b.record(op, nil)
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx) // the caller's end says nothing about the store
	}
	b.record(op, err)
	return errDown
}

// allow reports whether the store may be called at now. While the circuit is open, one
// call each storeRetry may find out whether the store answers again (half-open).
func (b *breakerStore) allow(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == "" {
		return true
	}
	if now.Before(b.retry) {
		return false
	}
	b.retry = now.Add(storeRetry)
	return true
}

// record opens or closes the circuit by the outcome of a call. After a failed write
// only a write closes it, since a store may be readable and not writable (a full disk,
// a standby).
func (b *breakerStore) record(op string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	was := b.failed
	switch {
	case err != nil:
		b.failed, b.retry = op, time.Now().Add(storeRetry)
		if was == "" {
			b.opened++
			b.log.Warn("the store of the throttle does not answer; until it does, each replica counts wrong passwords for itself, with half the limit", "could_not", op, "error", err)
		}
	case was == storeWrite && op == storeRead:
		b.retry = time.Now() // so that the write after this read is tried
	case was != "":
		b.failed = ""
		b.log.Info("the store of the throttle answers again")
	}
}
