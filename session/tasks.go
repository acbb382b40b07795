package session

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

var errClosed = unavailable(errors.New("shutting down"))

// tasks owns every goroutine of Sessions. None starts after close.
type tasks struct {
	mu     sync.Mutex // guards closed, and is held while a task starts
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

// close lets no further task start. It reports whether this call closed tasks.
func (t *tasks) close() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := !t.closed
	t.closed = true
	return was
}

// catchPanic turns a panic of do into an error. net/http recovers panics in its
// handlers' goroutines only; one in ours would end the process.
func catchPanic(log *slog.Logger, do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("a provider panicked", "error", fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			err = unavailable(errors.New("a provider panicked"))
		}
	}()
	return do()
}
