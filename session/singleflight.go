package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// callTimeout bounds one call, the wait for another replica's lease included.
const callTimeout = 30 * time.Second

// singleFlight merges concurrent calls: callers with the same key share one
// call of a function. The call belongs to tasks and not to a request, so that a
// client that disconnects does not cancel it: a rotated refresh token would be
// lost.
type singleFlight[K comparable, V any] struct {
	tasks *tasks
	log   *slog.Logger
	bound int // of concurrent calls; 0 is none

	mu    sync.Mutex // guards calls
	calls map[K]*call[V]
}

// call is one call in progress. value and err are read after done is closed.
type call[V any] struct {
	done  chan struct{}
	value V
	err   error
}

var errTooMany = errors.New("too many concurrent calls")

// join returns the call in progress for key, or starts one; started reports
// which. The context of do has the values of ctx and callTimeout, and is not
// canceled with ctx.
func (f *singleFlight[K, V]) join(ctx context.Context, key K, do func(context.Context) (V, error)) (c *call[V], started bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.calls[key]; c != nil {
		return c, false, nil
	}
	if f.bound > 0 && len(f.calls) >= f.bound {
		return nil, false, errTooMany
	}
	c = &call[V]{done: make(chan struct{})}
	err = f.tasks.begin(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		c.err = catchPanic(f.log, func() (err error) {
			c.value, err = do(ctx)
			return err
		})
		f.mu.Lock()
		delete(f.calls, key)
		f.mu.Unlock()
		close(c.done)
	})
	if err != nil {
		return nil, false, err
	}
	if f.calls == nil {
		f.calls = make(map[K]*call[V])
	}
	f.calls[key] = c
	return c, true, nil
}
