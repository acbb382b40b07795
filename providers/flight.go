package providers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	throttle "shorepass/throttle/counting"
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
	flying  map[throttle.Mark]*flight
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

// fly returns the flight under key: that of another caller, to be waited for,
// or one of this caller's own, which has landed by then and says so by lead. A
// flight takes no notice of ctx's end, but of ends. Alone makes one in any case,
// that nobody joins.
func (f *flights) fly(ctx context.Context, ends time.Time, key throttle.Mark, alone bool, ask func(context.Context) (*Identity, error)) (_ *flight, lead bool, err error) {
	own, other, err := f.begin(key, alone)
	if own == nil {
		return other, false, err
	}
	defer f.land(own, key, alone)
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), ends)
	defer cancel()
	own.identity, own.err = f.guarded(ctx, ask)
	return own, true, nil
}

// begin returns a flight of the caller's own, or that of another.
func (f *flights) begin(key throttle.Mark, alone bool) (own, other *flight, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other := f.flying[key]; other != nil && !alone {
		return nil, other, nil
	}
	switch {
	case f.closed:
		return nil, nil, errClosed
	case f.count >= maxFlights:
		return nil, nil, errBusy
	}
	own = &flight{landed: make(chan struct{})}
	if !alone {
		f.flying[key] = own
	}
	f.count++
	f.working.Add(1)
	return own, nil, nil
}

func (f *flights) land(own *flight, key throttle.Mark, alone bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count--
	if !alone {
		delete(f.flying, key)
	}
	close(own.landed)
	f.working.Done()
}

// guarded turns a panic into an error, which others may wait for as well.
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
