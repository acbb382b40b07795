package server

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// TestDrainWithoutAProbe: drain waits for the next probe drainTimeout at most, and not at
// all where the last one was before probeWindow.
func TestDrainWithoutAProbe(t *testing.T) {
	for _, test := range []struct{ since, want time.Duration }{
		{0, drainTimeout},
		{59 * time.Second, drainTimeout},
		{62 * time.Second, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := New(nil, nil, slog.New(slog.DiscardHandler))
			s.recordProbe(true)
			time.Sleep(test.since)
			begin := time.Now()
			s.drain(t.Context())
			if took := time.Since(begin); took != test.want {
				t.Errorf("%v after a probe drain takes %v, want %v", test.since, took, test.want)
			}
		})
	}
}
