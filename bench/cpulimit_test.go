package main

import (
	"context"
	"time"
)

const (
	// quotaPeriod is the default period of a container's CPU limit.
	quotaPeriod = 100 * time.Millisecond

	// quotaPoll is the interval at which the CPU time of a limited server is read.
	quotaPoll = time.Millisecond
)

// runResumed resumes paused servers for a run and pauses them after it. So the
// background work of a server, such as flushing its write-behind buffer, takes
// time from its own runs and not from those of another variant.
func runResumed(servers []*process, run runFunc) runFunc {
	return func(ctx context.Context, duration time.Duration) (metrics, error) {
		for _, s := range servers {
			s.resume()
			defer s.pause()
		}
		return run(ctx, duration)
	}
}

// limitCPU limits the server to a share of one core, as a container's CPU limit
// does: a server that has used up its quota is paused until the next period.
// release ends the limit, and leaves the server paused or running.
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

// enforceQuota pauses the server once it has used up the quota of a period, until
// ctx is done. Because CPU time is polled, the server can exceed the quota; the
// excess is subtracted from the next period. Unused quota expires.
func (p *process) enforceQuota(ctx context.Context, quota time.Duration) {
	tick := time.NewTicker(quotaPoll)
	defer tick.Stop()
	var until time.Time
	var limit time.Duration
	stopped := false
	for {
		now, err := processCPU(p.pid())
		if err != nil {
			return // the process has ended
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
