package main

import (
	"context"
	"time"
)

const (
	// quotaPeriod is that of a container's CPU limit.
	quotaPeriod = 100 * time.Millisecond

	// quotaPoll is how often it is looked whether a share is used up.
	quotaPoll = time.Millisecond
)

// alone has servers run only while they are measured, so that what they do on
// their own, such as writing when sessions were used last, falls on the time of
// those who used them. They must stand still to begin with.
func runResumed(servers []*process, run runFunc) runFunc {
	return func(ctx context.Context, duration time.Duration) (metrics, error) {
		for _, s := range servers {
			s.resume()
			defer s.pause()
		}
		return run(ctx, duration)
	}
}

// hold keeps the server to a share of one core, as a container's CPU limit
// does: once it has used its share of a period it stands still until the next
// one. When it is released it may stand still or not.
func (p *process) limitCPU(share float64) (release func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.enforceQuota(ctx, time.Duration(share*float64(quotaPeriod)))
	}()
	return func() {
		cancel()
		<-done
	}
}

// enforceQuota lets the server have so much CPU in each period. What it used too
// much, since it is looked at only now and then, it lacks in the next one; what
// it did not use is lost.
func (p *process) enforceQuota(ctx context.Context, quota time.Duration) {
	tick := time.NewTicker(quotaPoll)
	defer tick.Stop()
	var until time.Time
	var limit time.Duration
	stopped := false
	for {
		now, err := processCPU(p.pid())
		if err != nil {
			return // it has ended
		}
		if at := time.Now(); at.After(until) {
			until = at.Add(quotaPeriod)
			limit = min(max(limit, now-quota), now) + quota
		}
		switch stop := now >= limit; {
		case stop && !stopped:
			p.pause()
			stopped = true
		case !stop && stopped:
			p.resume()
			stopped = false
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
