package ldap

import (
	"context"
	"sync"
	"time"
)

const (
	// probeInterval is the interval of the health check. A server that works again
	// is used at most this long after the end of its backoff.
	probeInterval = time.Second

	// sweepInterval is how often stale idle connections are closed. One that the
	// other side closed occupies a file descriptor for at most this long.
	sweepInterval = 30 * time.Second
)

// background is the state of the health checks.
type background struct {
	stop context.CancelFunc // nil until Start
	done sync.WaitGroup
}

// Start implements [providers.Starter]. It opens a first connection, and then
// probes servers that are down and sweeps stale idle connections until Close.
func (p *Provider) Start(ctx context.Context) {
	ctx, p.background.stop = context.WithCancel(ctx)
	p.background.done.Go(func() { p.runHealthChecks(ctx) })
}

// Close implements [providers.Starter]. It waits for requests in flight; later ones
// fail with errClosed.
func (p *Provider) Close() error {
	if p.background.stop != nil {
		p.background.stop()
	}
	p.background.done.Wait()
	p.dir.close()
	return nil
}

// runHealthChecks runs the periodic work until ctx ends.
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
			p.dir.list.refreshIfDue(ctx)
			for _, s := range p.dir.list.all() {
				p.dir.probeIfDue(ctx, s)
			}
		}
	}
}
