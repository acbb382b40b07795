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

// Bounds of the logins in progress, those that wait included. Each occupies its
// connection, its request and a secret of at most maxToken bytes, some 40 KiB together,
// so that the bound limits the memory that a hanging directory can cost. One name has a
// quarter, so that no account takes the room of all others.
const (
	maxLogins       = 1024
	maxLoginsOfName = maxLogins / 4
)

var (
	errBusy   = errors.New("too many concurrent logins")
	errClosed = errors.New("the providers are closed")
)

// logins are a semaphore of the logins in progress, by name and in all, and the
// single-flight of equal ones. A login runs to its end though its client has gone: the
// directory counts a password that was sent, so that the answer must be counted here.
type logins struct {
	log *slog.Logger

	mu      sync.Mutex
	calls   map[throttle.MAC]*call
	count   int            // logins in progress
	names   map[string]int // of them, by name
	closed  bool
	working sync.WaitGroup
}

func newLogins(log *slog.Logger) logins {
	return logins{log: log, calls: make(map[throttle.MAC]*call), names: make(map[string]int)}
}

// call is a login, or several equal ones, in progress. identity and err may be read once
// done is closed.
type call struct {
	done     chan struct{}
	identity *Identity
	err      error
}

// enter acquires a slot for a login of a name, "" for one that counts for no name. The
// caller calls leave.
func (l *logins) enter(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errClosed
	case l.count >= maxLogins, l.names[name] >= maxLoginsOfName:
		return errBusy
	}
	l.count++
	if name != "" {
		l.names[name]++
	}
	l.working.Add(1)
	return nil
}

func (l *logins) leave(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count--
	if l.names[name]--; l.names[name] <= 0 {
		delete(l.names, name)
	}
	l.working.Done()
}

// inProgress returns the number of logins in progress.
func (l *logins) inProgress() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// do leads the call under key, or waits for that of an equal login. The error is that
// of a wait which ends with ctx; the error of the login is in the call.
func (l *logins) do(ctx context.Context, ends time.Time, key throttle.MAC, ask func(context.Context) (*Identity, error)) (_ *call, lead bool, err error) {
	l.mu.Lock()
	if other := l.calls[key]; other != nil {
		l.mu.Unlock()
		select {
		case <-other.done:
			return other, false, nil
		case <-ctx.Done():
			return nil, false, fmt.Errorf("wait for an equal login: %w", context.Cause(ctx))
		}
	}
	own := &call{done: make(chan struct{})}
	l.calls[key] = own
	l.mu.Unlock()

	own.identity, own.err = l.doAlone(ctx, ends, ask)

	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, key)
	close(own.done)
	return own, true, nil
}

// doAlone calls ask until ends, in a call that no other login joins. It ignores the end of
// ctx, and turns a panic into an error, since other logins may wait for the answer.
func (l *logins) doAlone(ctx context.Context, ends time.Time, ask func(context.Context) (*Identity, error)) (id *Identity, err error) {
	ctx, cancel := context.WithDeadline(context.WithoutCancel(ctx), ends)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			l.log.Error("a provider panicked", "error", fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			id, err = nil, errors.New("a provider panicked")
		}
	}()
	return ask(ctx)
}

// close refuses further logins, and waits for those in progress.
func (l *logins) close() {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.working.Wait()
}
