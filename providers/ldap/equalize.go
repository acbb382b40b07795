package ldap

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// Equalize implements [providers.Equalizer]. It sends neither name nor password:
// a password typed beside a misspelt name belongs to an account.
func (p *Provider) Equalize(ctx context.Context, _ time.Time, _ providers.Login, _ providers.Proof) {
	p.equalize(ctx)
}

// equalize spends the time that a refused bind takes, so that a quick answer does
// not tell that an account is missing. It binds as an entry that does not exist,
// with a random password. A directory refuses that without hashing, so equalize
// waits for the rest of the time.
func (p *Provider) equalize(ctx context.Context) {
	began := time.Now()
	usual := p.refusals.sample()
	nobody := "cn=" + rand.Text()
	if p.userBase != nil {
		nobody += "," + p.cfg.Users.Base
	}
	_ = p.dir.bind.do(ctx, false, func(l *ldap.Conn) error { // its answer says nothing
		_, err := p.dir.simpleBind(l, nobody, secret.New(rand.Text()))
		return err
	})
	rest := time.NewTimer(usual - time.Since(began))
	defer rest.Stop()
	select {
	case <-rest.C:
	case <-ctx.Done():
	}
}

// durations are how long the last refused binds took.
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

// sample returns one of them by chance, so that not the mean alone is alike.
func (d *durations) sample() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	have := min(d.n, len(d.last))
	if have == 0 {
		return 0
	}
	return d.last[mathrand.IntN(have)]
}
