package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// callTimeout is how long one flight may take, waiting for another replica's
// lease included.
const callTimeout = 30 * time.Second

var errClosed = unavailable(errors.New("shutting down"))

// tasks owns every goroutine of Sessions. None begins once it is closed.
type tasks struct {
	mu     sync.Mutex // guards closed, and is held while one begins
	closed bool
	group  sync.WaitGroup
}

// begin runs do in a goroutine, or returns errClosed.
func (t *tasks) begin(do func()) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return errClosed
	}
	t.group.Go(do)
	return nil
}

// close lets no further task begin, and reports whether it was open until now.
func (t *tasks) close() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := !t.closed
	t.closed = true
	return was
}

// flights is a single-flight: callers that come with one key at once share one
// run of a function. A run belongs to tasks and not to a request: a client that
// goes away must not take a rotated token with it.
type flights[K comparable, V any] struct {
	tasks *tasks
	log   *slog.Logger
	bound int // of the runs at once; 0 is none

	mu   sync.Mutex
	runs map[K]*flight[V]
}

// flight is one run. value and err are read after done.
type flight[V any] struct {
	done  chan struct{} // closed at its end
	value V
	err   error
}

var errTooMany = errors.New("too many at once")

// join joins the run of key, or begins one; ours reports whether it did. The
// context of do has the values of ctx and callTimeout, but does not end with ctx.
func (f *flights[K, V]) join(ctx context.Context, key K, do func(context.Context) (V, error)) (run *flight[V], ours bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if run := f.runs[key]; run != nil {
		return run, false, nil
	}
	if f.bound > 0 && len(f.runs) >= f.bound {
		return nil, false, errTooMany
	}
	run = &flight[V]{done: make(chan struct{})}
	err = f.tasks.begin(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		run.err = guarded(f.log, func() (err error) {
			run.value, err = do(ctx)
			return err
		})
		f.mu.Lock()
		delete(f.runs, key)
		f.mu.Unlock()
		close(run.done)
	})
	if err != nil {
		return nil, false, err
	}
	if f.runs == nil {
		f.runs = make(map[K]*flight[V])
	}
	f.runs[key] = run
	return run, true, nil
}

// guarded turns a panic into an error: a goroutine of our own has no handler
// whose panics net/http would keep from ending the process.
func guarded(log *slog.Logger, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("a provider panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = unavailable(errors.New("a provider panicked"))
		}
	}()
	return do()
}
