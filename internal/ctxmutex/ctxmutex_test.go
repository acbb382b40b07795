package ctxmutex_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/ctxmutex"
)

// TestLock: a waiter gets the mutex, or gives up with its context.
func TestLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := ctxmutex.New()
		if err := m.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Lock(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Lock of a locked mutex = %v, want %v", err, context.DeadlineExceeded)
		}
		locked := make(chan error)
		go func() { locked <- m.Lock(t.Context()) }()
		synctest.Wait()
		m.Unlock()
		if err := <-locked; err != nil {
			t.Errorf("Lock after Unlock = %v", err)
		}
	})
}
