package ldap

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// Equalize implements [providers.Equalizer]: it waits until as long after began as
// one of the last refused passwords took from the beginning of Lookup, drawn at
// random so that not the mean alone is alike. Search, bind and what the chain does
// between them are all in that time. It asks nobody: a bind beside it, however
// cheap, would take longer than the time drawn now and then, and so be seen.
//
// While no password was refused yet, it binds as an entry that does not exist, with
// a password of its own: one that is typed beside a misspelt name belongs to an
// account.
func (p *Provider) Equalize(ctx context.Context, began time.Time, login providers.Login, _ providers.Proof) {
	usual, known := p.refusals.sample()
	if !known {
		nobody := "cn=" + rand.Text()
		if p.userBase != nil {
			nobody += "," + p.cfg.Users.Base
		}
		_ = p.dir.try(ctx, "name "+login.Key(), nobody, secret.New(rand.Text())) // its answer says nothing
		return
	}
	rest := time.NewTimer(usual - time.Since(began))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
	}
}

// durations are how long the last refused passwords took.
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

// sample returns one of them, if there is any.
func (d *durations) sample() (took time.Duration, known bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	have := min(d.n, len(d.last))
	if have == 0 {
		return 0, false
	}
	return d.last[mathrand.IntN(have)], true
}
