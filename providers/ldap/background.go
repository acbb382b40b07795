package ldap

import (
	"context"
	"sync"
	"time"
)

const (
	// probeInterval is how often servers that are down are asked, each after its
	// rest: one that is back is used within a second of that.
	probeInterval = time.Second

	// sweepInterval is how often idle connections are looked through. One that the
	// other side closed holds a file for no longer; nobody waits for it.
	sweepInterval = 30 * time.Second
)

// background is the work between requests.
type background struct {
	stop context.CancelFunc // nil until Start
	done sync.WaitGroup
}

// Start implements [providers.Starter]: a connection is made before somebody
// waits for it, servers that are down are asked whether they are up again, and
// connections that are of no more use are closed.
func (p *Provider) Start(ctx context.Context) {
	ctx, p.background.stop = context.WithCancel(ctx)
	p.background.done.Go(func() { p.runHealthChecks(ctx) })
}

// Close implements [providers.Starter]. It waits for requests under way; those
// that come later are told that the provider is closed.
func (p *Provider) Close() error {
	if p.background.stop != nil {
		p.background.stop()
	}
	p.background.done.Wait()
	p.dir.close()
	return nil
}

func (p *Provider) runHealthChecks(ctx context.Context) {
	p.dir.search.warm(ctx)
	probe := time.NewTicker(probeInterval)
	defer probe.Stop()
	sweep := time.NewTicker(sweepInterval)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			p.dir.search.sweep()
			p.dir.bind.sweep()
		case <-probe.C:
			for _, s := range p.dir.servers {
				p.dir.probeIfDue(ctx, s)
			}
		}
	}
}
