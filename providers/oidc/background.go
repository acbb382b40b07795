package oidc

import (
	"context"
	"sync"
	"time"
)

const (
	// refreshEvery is how often metadata and keys are read in the background: a
	// key that the provider withdrew is good here for no longer.
	refreshEvery = 10 * time.Minute

	// After a failure they are read sooner, the wait doubled from the first to
	// the last. No login depends on it: one that needs them reads them itself.
	retryFirst = 5 * time.Second
	retryLast  = time.Minute
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
	p.background.done.Go(func() { p.keepFresh(ctx) })
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

func (p *Provider) keepFresh(ctx context.Context) {
	retry := retryFirst
	for {
		wait := refreshEvery
		if p.freshen(ctx, refreshEvery/2) != nil { // whoever needs it meanwhile gets the error, or finds it mended
			wait = retry
			retry = min(2*retry, retryLast)
		} else {
			retry = retryFirst
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// freshen reads metadata and keys that are older than maxAge.
func (p *Provider) freshen(ctx context.Context, maxAge time.Duration) error {
	if _, err := p.discovery.refresh(ctx, maxAge); err != nil {
		return err
	}
	known := p.keys.current.Load()
	if known != nil && time.Since(known.read) < maxAge {
		return nil
	}
	_, err := p.keys.newer(ctx, known, false)
	return err
}
