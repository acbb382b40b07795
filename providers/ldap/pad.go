package ldap

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"runtime"
	"sync"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// refusalStep is the unit of the time that a refusal takes: each refusal comes at a
// multiple of it after the start of Lookup. The extra work for a name that exists,
// such as an entry to send, takes far less.
const refusalStep = 10 * time.Millisecond

// refusalTimes pads the time of refusals, so that a name without an account is refused
// as late as a wrong password. It is a ring buffer of the times of the last
// refused passwords, from the start of Lookup on: they include search, bind and what
// the chain does between them.
type refusalTimes struct {
	mu       sync.Mutex
	last     [64]time.Duration
	recorded int // in all
}

// record records the time of a refused password, and waits until it is a multiple of
// refusalStep.
func (r *refusalTimes) record(ctx context.Context, began time.Time) {
	took := time.Since(began)
	r.mu.Lock()
	r.last[r.recorded%len(r.last)] = took
	r.recorded++
	r.mu.Unlock()
	waitUntil(ctx, began.Add(roundUp(took)))
}

// imitate waits as long as a recorded refusal took, drawn at random so that the whole
// distribution is alike and not only the mean. It reports whether one was recorded.
func (r *refusalTimes) imitate(ctx context.Context, began time.Time) bool {
	r.mu.Lock()
	n := min(r.recorded, len(r.last))
	if n == 0 {
		r.mu.Unlock()
		return false
	}
	took := r.last[mathrand.IntN(n)]
	r.mu.Unlock()
	waitUntil(ctx, began.Add(roundUp(max(took, time.Since(began)))))
	return true
}

// roundUp rounds up to a multiple of refusalStep.
func roundUp(took time.Duration) time.Duration {
	return (took + refusalStep - 1) / refusalStep * refusalStep
}

// spinTime is the last part of a wait, which spins instead of sleeping: a timer fires up
// to a millisecond late, by an amount that depends on the work before it.
const spinTime = 2 * time.Millisecond

// waitUntil returns at the given time, to some microseconds, or when ctx ends.
func waitUntil(ctx context.Context, at time.Time) {
	sleep := time.NewTimer(time.Until(at) - spinTime)
	defer sleep.Stop()
	select {
	case <-sleep.C:
	case <-ctx.Done():
		return
	}
	for time.Now().Before(at) {
		runtime.Gosched()
	}
}

// Pad implements [providers.Padder]. It waits and sends nothing: a bind during the
// wait, however cheap, would now and then take longer and so be noticed. Until a
// first refused password is recorded, it binds as an entry that does not exist, with
// a random password: the one typed with a misspelt name belongs to some account.
func (p *Provider) Pad(ctx context.Context, began time.Time, login providers.Login, _ providers.LoginPassword) {
	if p.refusalTimes.imitate(ctx, began) {
		return
	}
	dn := "cn=" + rand.Text()
	if p.userBase != nil {
		dn += "," + p.cfg.Users.base()
	}
	_ = p.dir.checkPassword(ctx, "name "+login.Key(), dn, secret.New(rand.Text())) // only its time counts
	waitUntil(ctx, began.Add(roundUp(time.Since(began))))
}
