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

// refusalStep is the unit of the time that a refusal takes: each is given at a
// multiple of it after the beginning of Lookup. The work that a name costs more
// where it exists, such as an entry to send, takes far less.
const refusalStep = 10 * time.Millisecond

// refusalTimes make the refusal of a name without an account take as long as that of a
// wrong password. They keep how long the last of these took, from the beginning of
// Lookup on, so that search, bind and what the chain does between them are in it.
type refusalTimes struct {
	mu       sync.Mutex
	last     [64]time.Duration
	recorded int // ever noted
}

// record notes that a password was refused now, and waits for its turn.
func (r *refusalTimes) record(ctx context.Context, began time.Time) {
	took := time.Since(began)
	r.mu.Lock()
	r.last[r.recorded%len(r.last)] = took
	r.recorded++
	r.mu.Unlock()
	waitUntil(ctx, began.Add(roundUp(took)))
}

// imitate waits as long as one of them took, drawn at random so that not the mean
// alone is alike. It reports whether there was one.
func (r *refusalTimes) imitate(ctx context.Context, began time.Time) bool {
	r.mu.Lock()
	have := min(r.recorded, len(r.last))
	if have == 0 {
		r.mu.Unlock()
		return false
	}
	took := r.last[mathrand.IntN(have)]
	r.mu.Unlock()
	waitUntil(ctx, began.Add(roundUp(max(took, time.Since(began)))))
	return true
}

func roundUp(took time.Duration) time.Duration {
	return (took + refusalStep - 1) / refusalStep * refusalStep
}

// spinTime is how much of a wait is spent without sleeping: a timer is late by up to a
// millisecond, which depends on when it was set, and so on the work before it.
const spinTime = 2 * time.Millisecond

// waitUntil returns at a time, to some microseconds, or when ctx ends.
func waitUntil(ctx context.Context, at time.Time) {
	rest := time.NewTimer(time.Until(at) - spinTime)
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
		return
	}
	for time.Now().Before(at) {
		runtime.Gosched()
	}
}

// Pad implements [providers.Padder]. It asks no server: a bind beside the time
// that was drawn, however cheap, would take longer now and then, and so be seen.
// While no password was refused yet, it binds as an entry that does not exist, with
// a password of its own: one that is typed beside a misspelt name belongs to an
// account.
func (p *Provider) Pad(ctx context.Context, began time.Time, login providers.Login, _ providers.Proof) {
	if p.refusalTimes.imitate(ctx, began) {
		return
	}
	nobody := "cn=" + rand.Text()
	if p.userBase != nil {
		nobody += "," + p.cfg.Users.Base
	}
	_ = p.dir.checkPassword(ctx, "name "+login.Key(), nobody, secret.New(rand.Text())) // its answer says nothing
	waitUntil(ctx, began.Add(roundUp(time.Since(began))))
}
