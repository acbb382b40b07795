package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"shorepass/config"
	"shorepass/internal/sdnotify"
	"shorepass/providers"
)

const (
	// startExtension is how long systemd waits for the next message of a start. It is
	// more than three extendInterval, so that a busy machine ends no start.
	startExtension = time.Minute
	extendInterval = 15 * time.Second
)

// notify tells systemd the state of the process. A message that is lost is only logged:
// the server serves without systemd as well.
func (d *daemon) notify(states ...string) {
	if err := d.systemd.Notify(states...); err != nil {
		d.log.Warn("systemd was not told the state of the server", "error", err)
	}
}

// extendStart has systemd wait while the store is being opened, for as long as the server
// itself waits, until the returned function is called.
func (d *daemon) extendStart(ctx context.Context) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	d.notify(sdnotify.ExtendTimeout(startExtension), sdnotify.Status("opening the store"))
	go every(ctx, extendInterval, func() { d.notify(sdnotify.ExtendTimeout(startExtension)) })
	return stop
}

// feedWatchdog resets systemd's watchdog until ctx ends, as long as the server answers
// its liveness probe. It calls the handler and opens no connection: neither a flood of
// connections nor a firewall may look like a deadlock. The health of a store or a
// provider has no part in it, since a restart cures neither.
func (d *daemon) feedWatchdog(ctx context.Context) {
	timeout := d.systemd.WatchdogTimeout()
	if timeout == 0 {
		return
	}
	every(ctx, timeout/3, func() {
		if d.isAlive() {
			d.notify(sdnotify.Watchdog)
		}
	})
}

// isAlive asks the server's own handler for /healthz.
func (d *daemon) isAlive() bool {
	probe, err := http.NewRequest(http.MethodGet, "/healthz", nil)
	if err != nil {
		return false
	}
	answer := &probeAnswer{status: http.StatusOK}
	d.server.ServeHTTP(answer, probe)
	return answer.status == http.StatusOK
}

// probeAnswer is the status of an answer without its body.
type probeAnswer struct{ status int }

func (a *probeAnswer) Header() http.Header         { return http.Header{} }
func (a *probeAnswer) Write(b []byte) (int, error) { return len(b), nil }
func (a *probeAnswer) WriteHeader(status int)      { a.status = status }

// every calls do now and after each interval, until ctx ends.
func every(ctx context.Context, interval time.Duration, do func()) {
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for {
		do()
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
	}
}

// servingStatus is the status text of a server with cfg in force.
func servingStatus(cfg *resolvedConfig) string {
	return fmt.Sprintf("serving %d services, %d providers, %d rules", len(cfg.Token.Services), len(cfg.Providers), len(cfg.Rules))
}

// faultPlace returns where the fault of a configuration is: file, line and key. The whole
// error is for the log alone, since every user of a machine may read the status of its
// services.
func faultPlace(err error) string {
	place, more := "", 0
	if faults := config.Faults(err); len(faults) > 0 {
		place, more = faults[0].Place(), len(faults)-1
	} else if key := providers.KeyOf(err); key != "" {
		place = key
	}
	switch {
	case place == "":
		return "the log has the reason"
	case more > 0:
		return fmt.Sprintf("%s, and %d more; the log has the reasons", place, more)
	}
	return place + "; the log has the reason"
}

// reloadedStatus is the status text of a server that has loaded cfg, or, after an error,
// could not load the configuration on disk and serves with cfg, an older one.
func reloadedStatus(cfg *resolvedConfig, err error) string {
	if err == nil {
		return servingStatus(cfg)
	}
	return servingStatus(cfg) + ", by an older configuration; the one on disk is refused: " + faultPlace(err)
}

// refusedStatus is the status text for a configuration that ended a start.
func refusedStatus(err error) string {
	if _, ok := errors.AsType[configError](err); !ok {
		return "the start failed; the log has the reason"
	}
	return "the configuration is refused: " + faultPlace(err)
}

// notifyOfCheck has the status of a unit show what check refuses, where check is run by
// ExecReload: the running server, which may be of another version, has not seen it.
func notifyOfCheck(err error) {
	systemd := sdnotify.FromEnvironment()
	if err == nil {
		return // the server says what it serves
	}
	text := fmt.Sprintf("serving by an older configuration; shorepass %s refuses the one on disk: %s", thisBuild().Version, faultPlace(err))
	_ = systemd.Notify(sdnotify.Status(text)) // the error itself is reported
}
