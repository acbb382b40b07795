package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"shorepass/config"
	"shorepass/internal/sdnotify"
	"shorepass/providers"
)

// retireAfter is how long the providers of an old configuration stay open for requests
// in flight: longer than any request may take.
const retireAfter = 15 * time.Second

// reloadOnChange reloads the configuration at SIGHUP and whenever one of its files
// changes, until ctx ends. SIGHUP also reopens the audit file, as log rotation needs.
func (d *daemon) reloadOnChange(ctx context.Context, hangups <-chan os.Signal) {
	changes := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		config.Watch(ctx, d.inForce, func() {
			select {
			case changes <- struct{}{}:
			case <-ctx.Done():
			}
		})
	})
	defer watching.Wait()
	var fault reloadFault
	for {
		retrying := false
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			if err := d.audit.Reopen(); err != nil {
				d.log.Error("the audit file was not reopened; lines still go to the old one", "error", err)
			}
		case <-changes:
		case <-fault.retry:
			retrying = true
		}
		if !retrying {
			d.notify(sdnotify.Reloading())
		}
		err := d.reload(ctx)
		d.notify(sdnotify.Ready, sdnotify.Status(reloadedStatus(d.cfg.Load(), err)))
		if err == nil || !retrying {
			d.server.RecordReload(err)
		}
		switch {
		case err == nil:
			fault = reloadFault{}
			d.log.Info("the configuration was reloaded")
		case fault.record(err, retrying, time.Now()):
			d.log.Error("the configuration was not reloaded; the old one stays in force, until the fault is corrected", "error", err)
		}
	}
}

const (
	// reloadRetry is how often a faulty configuration is loaded again. Most corrections
	// are noticed earlier: only files that no configuration in force names are not watched.
	reloadRetry = 30 * time.Second

	// faultLogInterval is how often a fault that lasts is logged.
	faultLogInterval = time.Hour
)

// reloadFault is the fault of the configuration on disk; the zero value is none.
type reloadFault struct {
	text   string
	logged time.Time
	retry  <-chan time.Time
}

// record records the error of a reload, and reports whether it is to be logged: at
// every change of a file, and of the retries those with another error and one each hour.
func (f *reloadFault) record(err error, retrying bool, now time.Time) bool {
	f.retry = time.After(reloadRetry)
	if retrying && f.text == err.Error() && now.Sub(f.logged) < faultLogInterval {
		return false
	}
	f.text, f.logged = err.Error(), now
	return true
}

func (d *daemon) inForce() *config.Config { return d.cfg.Load().Config }

// reload loads the configuration and puts it in force. After an error the old one stays
// in force.
func (d *daemon) reload(ctx context.Context) error {
	cfg, err := d.options.loadAll()
	if err != nil {
		return err
	}
	old, oldChain := d.cfg.Load(), d.chain
	gen, err := d.newGeneration(cfg)
	if err != nil {
		return err
	}
	if err := d.apply(ctx, cfg, gen); err != nil {
		return errors.Join(err, gen.Chain.Close())
	}
	d.retire(ctx, oldChain)
	for _, key := range config.NeedRestart(old.Config, cfg.Config) {
		d.log.Warn("a changed key needs a restart", "key", key)
	}
	return nil
}

// retire closes an old chain when no request can use it any more.
func (d *daemon) retire(ctx context.Context, old *providers.Chain) {
	d.retiring.Go(func() {
		select {
		case <-ctx.Done():
		case <-time.After(retireAfter):
		}
		if err := old.Close(); err != nil {
			d.log.Warn("the providers of the old configuration were not closed", "error", err)
		}
	})
}
