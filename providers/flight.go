package providers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"shorepass/throttle"
)

// Bounds of the logins under way at once, those that wait included. Each holds
// its connection, its request and a secret of at most maxToken bytes, some 40 KiB
// in all, so that this bounds the memory that a directory which hangs can cost.
// One name has a quarter, so that no account takes the room of all others.
const (
	maxLogins       = 1024
	maxLoginsOfName = maxLogins / 4
)

var (
	errBusy   = errors.New("too many logins at once")
	errClosed = errors.New("the providers are closed")
)

// flights bound the logins under way, let equal ones that come at once share one
// answer (single-flight), and see each through to its end though its client has
// gone: a password that was sent counts at the directory, so that its answer must
// be counted here.
type flights struct {
	log *slog.Logger

	mu      sync.Mutex
	flying  map[throttle.MAC]*flight
	count   int            // logins under way
	names   map[string]int // of them those of a name
	closed  bool
	working sync.WaitGroup
}

func newFlights(log *slog.Logger) flights {
	return flights{log: log, flying: make(map[throttle.MAC]*flight), names: make(map[string]int)}
}

// flight is one login under way. identity and err may be read once landed is
// closed.
type flight struct {
	landed   chan struct{}
	identity *Identity
	err      error
}

// enter takes room for a login of a name, "" for one that counts for none. The
// caller leaves it.
func (f *flights) enter(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return errClosed
	case f.count >= maxLogins, f.names[name] >= maxLoginsOfName:
		return errBusy
	}
	f.count++
	if name != "" {
		f.names[name]++
	}
	f.working.Add(1)
	return nil
}

func (f *flights) leave(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.count--
	if f.names[name]--; f.names[name] <= 0 {
		delete(f.names, name)
	}
	f.working.Done()
}

// fly leads the flight under key, or waits for that of another login. The error
// is that of a wait which ends with ctx.
func (f *flights) fly(ctx context.Context, ends time.Time, key throttle.MAC, ask func(context.Context) (*Identity, error)) (_ *flight, lead bool, err error) {
	f.mu.Lock()
	if other := f.flying[key]; other != nil {
		f.mu.Unlock()
		select {
		case <-other.landed:
			return other, false, nil
		case <-ctx.Done():
			return nil, false, fmt.Errorf("wait for an equal login: %w", context.Cause(ctx))
		}
	}
	own := &flight{landed: make(chan struct{})}
	f.flying[key] = own
	f.mu.Unlock()

	own.identity, own.err = f.flyAlone(ctx, ends, ask)

	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.flying, key)
	close(own.landed)
	return own, true, nil
}

// flyAlone asks on a flight that no other login joins. It takes no notice of
// ctx's end, but of ends, and turns a panic into an error, which others may wait
// for as well.
func (f *flights) flyAlone(ctx context.Context, ends time.Time, ask func(context.Context) (*Identity, error)) (id *Identity, err error) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), ends)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			f.log.Error("a provider panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			id, err = nil, errors.New("a provider panicked")
		}
	}()
	return ask(ctx)
}

// close waits for the logins under way, and refuses any other.
func (f *flights) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.working.Wait()
}
