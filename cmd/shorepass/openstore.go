package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"shorepass/internal/sdnotify"
	"shorepass/session"
)

const (
	// storeWait is how long a start waits for a store that is unavailable.
	storeWait = 10 * time.Minute

	// firstStoreRetry and maxStoreRetry bound the backoff between attempts to open it.
	firstStoreRetry = 500 * time.Millisecond
	maxStoreRetry   = 5 * time.Second
)

// openStore opens the store, the sessions and the throttle, and waits while the store is
// unavailable: a database that restarts together with its clients, a file that a backup
// has locked. Nothing is left open after an error. If ctx ends first it returns nil,
// and leaves d.sessions nil.
func (d *daemon) openStore(ctx context.Context, cfg *resolvedConfig) error {
	d.log.Info("opening the store; until it is open, and migrated where its schema is older, requests are answered 503", "kind", d.backend.kind())
	defer d.extendStart(ctx)()
	err := retryWhileUnavailable(ctx, d.log, func() error {
		err := d.openSessions(ctx, cfg)
		if errors.Is(err, session.ErrUnavailable) {
			d.notify(sdnotify.Status("waiting for the store (" + d.backend.kind() + "), which is unavailable; the log has the reason"))
		}
		return err
	})
	if ctx.Err() != nil && d.sessions == nil {
		return nil
	}
	return asStoreError(err, d.backend)
}

// retryWhileUnavailable calls open until its error is nil or not
// [session.ErrUnavailable], for storeWait, with backoff. It logs the first failure, one
// each minute, and the success after one.
func retryWhileUnavailable(ctx context.Context, log *slog.Logger, open func() error) error {
	began, wait := time.Now(), firstStoreRetry
	var logged time.Time
	for {
		err := open()
		waited := time.Since(began)
		switch {
		case err == nil && !logged.IsZero():
			log.Info("the store is available", "after", waited.Round(time.Millisecond))
			return nil
		case err == nil || !errors.Is(err, session.ErrUnavailable):
			return err
		case waited >= storeWait:
			return fmt.Errorf("gave up after %v: %w", waited.Round(time.Second), err)
		case time.Since(logged) >= time.Minute:
			log.Warn("the store is unavailable; trying again", "error", err, "until", began.Add(storeWait).UTC().Format(time.RFC3339))
			logged = time.Now()
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
			wait = min(2*wait, maxStoreRetry)
		}
	}
}

// openSessions opens the store and what uses it once.
func (d *daemon) openSessions(ctx context.Context, cfg *resolvedConfig) error {
	store, err := d.backend.open(ctx)
	if err != nil {
		return err
	}
	sessions, err := session.New(ctx, cfg.Session, store, nil, d.log)
	if err != nil {
		return err // New has closed the store
	}
	limits, err := newThrottle(ctx, cfg, store, d.log)
	if err != nil {
		return errors.Join(err, sessions.Close())
	}
	d.sessions, d.throttle = sessions, limits
	return nil
}
