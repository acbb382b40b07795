package providers

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// durations are how long the last 64 refusals took, so that a refusal without asking the
// provider can take as long: its time is no side channel.
type durations struct {
	mu   sync.Mutex
	last [64]time.Duration // guarded by mu
	n    int               // how many were added in all
}

func (d *durations) add(took time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last[d.n%len(d.last)] = took
	d.n++
}

// wait returns when one of the durations has passed since began. It draws one at random,
// so that the distribution is alike and not the mean alone.
func (d *durations) wait(ctx context.Context, began time.Time) {
	rest := time.NewTimer(d.sample() - time.Since(began))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
	}
}

// sample returns one of the durations at random, zero where there was no refusal yet.
func (d *durations) sample() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	have := min(d.n, len(d.last))
	if have == 0 {
		return 0
	}
	return d.last[rand.IntN(have)]
}

// pad takes the time of a failed Prove at m where Prove is not called, so that the time of
// an answer does not tell why. Lookup began at began.
func (m *member) pad(ctx context.Context, began time.Time, cred Credential) {
	if m.padder != nil {
		m.padder.Pad(ctx, began, cred.Login, cred.password())
		return
	}
	m.refusalTimes.wait(ctx, began)
}
