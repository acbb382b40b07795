package throttle

import (
	"context"
	"slices"
	"sync"
	"time"
)

const (
	// writeTimeout is how long a write may take once the outcome is known.
	writeTimeout = 2 * time.Second

	// maxWrites is how many writes after their answers run concurrently. Further
	// ones run before the answer, so that no queue of them grows.
	maxWrites = 256
)

// writes are a write-behind buffer: the writes after answers, each in a goroutine,
// which close waits for. An attempt reads a row only after the pending writes to it
// (read-your-writes within the process).
type writes struct {
	slots     chan struct{}
	closeOnce sync.Once

	mu      sync.Mutex
	pending map[MAC][]chan struct{} // by row: of each pending write, closed when it is done
}

func newWrites() writes {
	return writes{slots: make(chan struct{}, maxWrites), pending: make(map[MAC][]chan struct{})}
}

// do runs a write of rows in a goroutine or, where too many run, before it returns.
func (w *writes) do(keys []MAC, write func(context.Context)) {
	if !w.try(keys, write) {
		run(write)
	}
}

// try runs a write of rows in a goroutine. It reports false where too many run.
func (w *writes) try(keys []MAC, write func(context.Context)) bool {
	select {
	case w.slots <- struct{}{}:
	default:
		return false
	}
	written := w.begin(keys)
	go func() {
		defer func() { <-w.slots }()
		defer w.end(keys, written)
		run(write)
	}()
	return true
}

func (w *writes) begin(keys []MAC) (written chan struct{}) {
	written = make(chan struct{})
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		w.pending[key] = append(w.pending[key], written)
	}
	return written
}

func (w *writes) end(keys []MAC, written chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, key := range keys {
		w.pending[key] = slices.DeleteFunc(w.pending[key], func(c chan struct{}) bool { return c == written })
		if len(w.pending[key]) == 0 {
			delete(w.pending, key)
		}
	}
	close(written)
}

// wait waits for the writes of rows that are pending when it is called.
func (w *writes) wait(ctx context.Context, keys []MAC) error {
	var all []chan struct{}
	w.mu.Lock()
	for _, key := range keys {
		all = append(all, w.pending[key]...)
	}
	w.mu.Unlock()
	for _, written := range all {
		select {
		case <-written:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func run(write func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
	defer cancel()
	write(ctx)
}

// close waits until no write runs, and leaves no slot for another.
func (w *writes) close() {
	w.closeOnce.Do(func() {
		for range cap(w.slots) {
			w.slots <- struct{}{}
		}
	})
}
