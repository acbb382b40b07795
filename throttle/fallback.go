package throttle

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	// storeTimeout is how long the store has to answer. It is short: a login
	// waits for it, and can do without.
	storeTimeout = 500 * time.Millisecond

	// storeRetry is how long a store that did not answer is left alone, so that
	// not every login waits for it in vain.
	storeRetry = 5 * time.Second
)

// What a store is asked for.
const (
	storeRead  = "read"
	storeWrite = "write"
)

// breakerStore is the circuit breaker of the store: after an error it is left
// alone for a while, and what stops and starts is logged once.
type breakerStore struct {
	store Store
	log   *slog.Logger

	mu     sync.Mutex
	failed string    // what it did not do, "" while it is up
	retry  time.Time // while it is down: until then it is not asked
}

// errDown says that the store does not answer.
var errDown = errors.New("the store of the throttle does not answer")

// do asks the store within storeTimeout. The error is ErrConflict, one of ctx, or
// errDown.
func (g *breakerStore) do(ctx context.Context, what string, ask func(context.Context, Store) error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !g.allow(time.Now()) {
		return errDown
	}
	limited, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := ask(limited, g.store)
	switch {
	case err == nil, errors.Is(err, ErrConflict):
		g.answered(what, nil)
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx) // which says nothing of the store
	}
	g.answered(what, err)
	return errDown
}

// allow reports whether the store may be asked at now. While it is down one of
// many may find out whether it is back.
func (g *breakerStore) allow(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.failed == "" {
		return true
	}
	if now.Before(g.retry) {
		return false
	}
	g.retry = now.Add(storeRetry)
	return true
}

// answered notes what came of asking. A store that could not write is down until it
// can, though it may be read meanwhile (a disk that is full, a standby).
func (g *breakerStore) answered(what string, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	was := g.failed
	switch {
	case err != nil:
		g.failed, g.retry = what, time.Now().Add(storeRetry)
		if was == "" {
			g.log.Warn("the store of the throttle does not answer; until it does, each replica counts wrong passwords for itself, with half the limit", "could_not", what, "error", err)
		}
	case was == storeWrite && what == storeRead:
		g.retry = time.Now() // for the write that may come of it
	case was != "":
		g.failed = ""
		g.log.Info("the store of the throttle answers again")
	}
}

// half returns the limit of a process that counts for itself.
func (l Limit) half() Limit {
	l.Passwords = max(l.Passwords/2, 1)
	return l
}
