package providers

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// durations are how long the last refusals took, so that a refusal without asking
// the provider takes as long.
type durations struct {
	mu   sync.Mutex
	last [64]time.Duration // guarded by mu
	n    int               // ever added
}

func (d *durations) add(took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last[d.n%len(d.last)] = took
	d.n++
}

// wait returns when one of them, drawn at random so that not the mean alone is
// alike, would have come had it begun at began.
func (d *durations) wait(ctx context.Context, began time.Time) {
	rest := time.NewTimer(d.sample() - time.Since(began))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
	}
}

// sample returns zero where there was no refusal yet.
func (d *durations) sample() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	have := min(d.n, len(d.last))
	if have == 0 {
		return 0
	}
	return d.last[rand.IntN(have)]
}

// pad takes the time of a failed Prove at m, where Prove is not called, so that
// the time of an answer does not tell why. Began is when Lookup did.
func (m *member) pad(ctx context.Context, began time.Time, cred Credential) {
	if m.padder != nil {
		m.padder.Pad(ctx, began, cred.Login, cred.proof())
		return
	}
	m.refusalTimes.wait(ctx, began)
}
