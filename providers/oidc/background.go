package oidc

import (
	"context"
	"sync"
	"time"
)

const (
	// refreshEvery is how often metadata and keys are read in the background: a
	// key that the provider withdrew is good here for no longer.
	refreshInterval = 10 * time.Minute

	// After a failure they are read sooner, the wait doubled from the first to
	// the last. No login depends on it: one that needs them reads them itself.
	minBackoff = 5 * time.Second
	maxBackoff = time.Minute
)

// background is the work between requests.
type background struct {
	stop context.CancelFunc // nil until Start
	done sync.WaitGroup
}

// Start implements [providers.Starter]: metadata and keys are read at once and
// every ten minutes, so that no login has to wait for them, and a key that the
// provider withdrew is soon forgotten here.
func (p *Provider) Start(ctx context.Context) {
	ctx, p.background.stop = context.WithCancel(ctx)
	p.background.done.Go(func() { p.refreshLoop(ctx) })
}

// Close implements [providers.Starter].
func (p *Provider) Close() error {
	if p.background.stop != nil {
		p.background.stop()
	}
	p.background.done.Wait()
	p.client.http.CloseIdleConnections()
	return nil
}

func (p *Provider) refreshLoop(ctx context.Context) {
	backoff := minBackoff
	for {
		wait := refreshInterval
		if p.refreshCaches(ctx, refreshInterval/2) != nil { // whoever needs it meanwhile gets the error, or finds it mended
			wait = backoff
			backoff = min(2*backoff, maxBackoff)
		} else {
			backoff = minBackoff
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// freshen reads metadata and keys that are older than maxAge.
func (p *Provider) refreshCaches(ctx context.Context, maxAge time.Duration) error {
	if _, err := p.discovery.refresh(ctx, maxAge); err != nil {
		return err
	}
	cached := p.keys.current.Load()
	if cached != nil && time.Since(cached.fetchedAt) < maxAge {
		return nil
	}
	_, err := p.keys.refresh(ctx, cached, false)
	return err
}
