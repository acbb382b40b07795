package oidc

import (
	"context"
	"sync"
	"time"
)

const (
	// refreshInterval is the interval at which metadata and keys are read again
	// in the background, unless a login did so within half of it: a withdrawn
	// key is accepted for at most one and a half intervals while the provider is
	// up.
	refreshInterval = 10 * time.Minute

	// Exponential backoff after a failure. No login depends on it: one that needs
	// metadata or keys reads them itself.
	minBackoff = 5 * time.Second
	maxBackoff = time.Minute
)

// background is the goroutine that refreshes the caches.
type background struct {
	stop context.CancelFunc // nil until Start
	done sync.WaitGroup
}

// Start implements [providers.Starter]: a goroutine reads metadata and keys now
// and every refreshInterval, so that no login waits for them, and a withdrawn
// key is soon refused.
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
	if p.mapper.graph != nil {
		p.mapper.graph.http.CloseIdleConnections()
	}
	return nil
}

// refreshLoop refreshes the caches until ctx ends.
func (p *Provider) refreshLoop(ctx context.Context) {
	backoff := minBackoff
	for {
		wait := refreshInterval
		if p.refreshCaches(ctx, refreshInterval/2) != nil { // a login that needs the provider gets the error itself
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

// refreshCaches reads metadata and keys again if they are older than maxAge.
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
