package throttle

import (
	"context"
	"sync"
	"time"
)

const (
	// writeLimit is how long a write after an answer may take.
	writeLimit = 2 * time.Second

	// maxWrites is how many of them are under way at once. What comes beyond it
	// is written before the answer, so that they cannot pile up.
	maxWrites = 256
)

// writes are the writes after answers, each in a goroutine, which close waits
// for.
type writes struct {
	slots     chan struct{}
	closeOnce sync.Once
}

// do runs a write in a goroutine or, where too many are under way, here.
func (w *writes) do(write func(context.Context)) {
	if !w.try(write) {
		run(write)
	}
}

// try runs a write in a goroutine, unless too many are under way.
func (w *writes) try(write func(context.Context)) bool {
	select {
	case w.slots <- struct{}{}:
	default:
		return false
	}
	go func() {
		defer func() { <-w.slots }()
		run(write)
	}()
	return true
}

func run(write func(context.Context)) {
	ctx, cancel := context.WithTimeout(context.Background(), writeLimit)
	defer cancel()
	write(ctx)
}

// close waits until no write is under way, and leaves no slot for another.
func (w *writes) close() {
	w.closeOnce.Do(func() {
		for range cap(w.slots) {
			w.slots <- struct{}{}
		}
	})
}
