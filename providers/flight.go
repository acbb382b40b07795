package providers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// maxFlights is how many logins are under way at once in all. Whoever comes
// beyond it is told to come again.
const maxFlights = 4096

var (
	errBusy   = errors.New("too many logins at once")
	errClosed = errors.New("the providers are closed")
)

// flights let equal logins that come at once share one answer, and see each
// login through to its end though whoever asked has gone: what has been sent
// to a directory counts there, so that its answer must be counted here.
type flights struct {
	log *slog.Logger

	mu      sync.Mutex
	flying  map[Mark]*flight
	count   int // those in flying, and those that fly alone
	closed  bool
	working sync.WaitGroup
}

// flight is one login under way. identity and err may be read once landed is
// closed.
type flight struct {
	landed   chan struct{}
	identity *Identity
	err      error
}

// join returns the flight under key, begun with ask if there is none yet, and
// whether it was begun here. Alone begins one in any case, that nobody joins.
func (f *flights) join(ctx context.Context, key Mark, alone bool, ask func(context.Context) (*Identity, error)) (own *flight, lead bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other := f.flying[key]; other != nil && !alone {
		return other, false, nil
	}
	switch {
	case f.closed:
		return nil, false, errClosed
	case f.count >= maxFlights:
		return nil, false, errBusy
	}
	own = &flight{landed: make(chan struct{})}
	if !alone {
		f.flying[key] = own
	}
	f.count++
	f.working.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), chainLimit)
		defer cancel()
		own.identity, own.err = f.guarded(ctx, ask)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.count--
		if !alone {
			delete(f.flying, key)
		}
		close(own.landed)
	})
	return own, true, nil
}

// guarded turns a panic into an error: the goroutine is not a handler's, whose
// panics net/http would keep from ending the process.
func (f *flights) guarded(ctx context.Context, ask func(context.Context) (*Identity, error)) (id *Identity, err error) {
	defer func() {
		if p := recover(); p != nil {
			f.log.Error("a provider panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			id, err = nil, errors.New("a provider panicked")
		}
	}()
	return ask(ctx)
}

// close waits for those under way. Nobody is let in any more.
func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.working.Wait()
}
