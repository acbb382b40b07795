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
type logins struct {
	log *slog.Logger

	mu      sync.Mutex
	calls   map[throttle.MAC]*call
	count   int            // logins under way
	names   map[string]int // of them those of a name
	closed  bool
	working sync.WaitGroup
}

func newLogins(log *slog.Logger) logins {
	return logins{log: log, calls: make(map[throttle.MAC]*call), names: make(map[string]int)}
}

// flight is one login under way. identity and err may be read once done is
// closed.
type call struct {
	done     chan struct{}
	identity *Identity
	err      error
}

// enter takes room for a login of a name, "" for one that counts for none. The
// caller leaves it.
func (f *logins) enter(name string) error {
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

func (f *logins) leave(name string) {
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
func (f *logins) do(ctx context.Context, ends time.Time, key throttle.MAC, ask func(context.Context) (*Identity, error)) (_ *call, lead bool, err error) {
	f.mu.Lock()
	if other := f.calls[key]; other != nil {
		f.mu.Unlock()
		select {
		case <-other.done:
			return other, false, nil
		case <-ctx.Done():
			return nil, false, fmt.Errorf("wait for an equal login: %w", context.Cause(ctx))
		}
	}
	own := &call{done: make(chan struct{})}
	f.calls[key] = own
	f.mu.Unlock()

	own.identity, own.err = f.doAlone(ctx, ends, ask)

	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.calls, key)
	close(own.done)
	return own, true, nil
}

// doAlone asks on a flight that no other login joins. It takes no notice of
// ctx's end, but of ends, and turns a panic into an error, which others may wait
// for as well.
func (f *logins) doAlone(ctx context.Context, ends time.Time, ask func(context.Context) (*Identity, error)) (id *Identity, err error) {
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
func (f *logins) close() {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	f.working.Wait()
}
