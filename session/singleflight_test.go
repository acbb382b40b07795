package session

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/providers"
)

// TestSingleFlight: callers of one key share one call, which is not canceled
// with the request that started it.
func TestSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var owner tasks
		f := singleFlight[string, int]{tasks: &owner, log: slog.New(slog.DiscardHandler), bound: 2}
		var runs atomic.Int32
		do := func(ctx context.Context) (int, error) {
			time.Sleep(time.Second)
			return int(runs.Add(1)), ctx.Err()
		}
		ctx, cancel := context.WithCancel(t.Context())
		first, started, err := f.join(ctx, "a", do)
		if !started || err != nil {
			t.Fatalf("the first = %v, %v, want a call of its own", started, err)
		}
		second, started, err := f.join(t.Context(), "a", do)
		if second != first || started || err != nil {
			t.Errorf("the second = %v, %v, want the call of the first", started, err)
		}
		cancel()
		if _, _, err := f.join(t.Context(), "b", func(context.Context) (int, error) { panic("an unforeseen answer") }); err != nil {
			t.Error(err)
		}
		if _, _, err := f.join(t.Context(), "c", do); !errors.Is(err, errTooMany) {
			t.Errorf("beyond the bound = %v, want errTooMany", err)
		}
		<-first.done
		if first.value != 1 || first.err != nil {
			t.Errorf("the call = %d, %v, want 1", first.value, first.err)
		}
		third, started, err := f.join(t.Context(), "a", do)
		if third == first || !started || err != nil {
			t.Errorf("after its end = %v, %v, want another call", started, err)
		}
		if !owner.close() || owner.close() {
			t.Error("close does not say when it was open")
		}
		if _, _, err := f.join(t.Context(), "d", do); !errors.Is(err, providers.ErrUnavailable) {
			t.Errorf("after close = %v, want ErrUnavailable", err)
		}
		owner.group.Wait()
		if third.value != 2 {
			t.Errorf("the call at close = %d, want 2: it is waited for", third.value)
		}
	})
}
