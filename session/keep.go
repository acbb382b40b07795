package session

import (
	"context"
	"errors"
	"fmt"
	"shorepass/internal/secret"
	"time"
)

const (
	// sweepEvery is how often sessions whose time has come are ended in the
	// store. They are refused even before that.
	sweepEvery = 5 * time.Minute

	// choreLimit is how long one round of chores may take.
	choreLimit = time.Minute

	// revokeAfter is how long after its session ended a renewal is revoked, in
	// case the ending is taken back.
	revokeAfter = 2 * guardWindow

	// revokeLimit is how long a provider has to revoke one.
	revokeLimit = 5 * time.Second
)

// keep runs the periodic maintenance, until ctx ends.
func (s *Sessions) keep(ctx context.Context) {
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	var flush, retry <-chan time.Time // nil while nothing waits
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-s.usage.waits:
			if flush == nil {
				flush = time.After(flushEvery)
			}
		case <-s.usage.wake:
			err = s.limited(ctx, s.flush)
		case <-flush:
			flush = nil
			err = s.limited(ctx, s.flush)
		case <-s.retries:
			retry = time.After(pollEvery)
		case <-retry:
			retry = nil
			if s.limited(ctx, s.saveAllUnsaved) != nil { // which was said when it began
				retry = time.After(pollEvery)
			}
		case <-sweep.C:
			err = s.limited(ctx, func(ctx context.Context) error {
				if err := s.setClock(ctx); err != nil {
					return err
				}
				return s.sweep(ctx)
			})
			wake(s.revocations)
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("periodic session maintenance failed", "error", err)
		}
	}
}

// limited runs one chore. What it does not finish is done the next time.
func (s *Sessions) limited(ctx context.Context, chore func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, choreLimit)
	defer cancel()
	return chore(ctx)
}

// sweep ends and forgets sessions, a bounded number at a time.
func (s *Sessions) sweep(ctx context.Context) error {
	cfg := &s.rules.Load().cfg
	for {
		touched, err := s.store.Sweep(ctx, cfg.sweepTimes(s.now()), batch)
		switch {
		case err != nil:
			return fmt.Errorf("sweep: %w", err)
		case touched < batch:
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pollEvery): // others write too
		}
	}
}

// revokeRenewals has providers revoke the refresh tokens that nobody will use
// again (RFC 7009), until ctx ends. Best effort: each is tried once.
func (s *Sessions) revokeRenewals(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.revocations:
		}
		// One at a time: what was taken out of the store is lost in a crash.
		for ctx.Err() == nil {
			taken, err := s.store.TakeRevocable(ctx, s.now().Add(-revokeAfter), 1)
			if err != nil && ctx.Err() == nil {
				s.log.Warn("could not read which refresh tokens to revoke", "error", err)
			}
			if err != nil || len(taken) == 0 {
				break
			}
			s.revokeRenewal(ctx, taken[0])
		}
	}
}

func (s *Sessions) revokeRenewal(ctx context.Context, sealed Sealed) {
	id := sealed.Token.ID()
	renewal, err := s.keys.open(id, sealed.Body)
	if err == nil {
		// Not cut off by Close: it is in the store no more.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), revokeLimit)
		defer cancel()
		err = s.guarded(func() error { return s.revokeAtProvider(limited, sealed.Provider, sealed.ProviderID, renewal) })
	}
	if err != nil {
		s.log.Warn("could not revoke a refresh token", "provider", sealed.Provider, "session", id, "error", err)
	}
}

// revokeAtProvider asks the provider that gave a renewal. Another that has taken
// its name must not get to see it.
func (s *Sessions) revokeAtProvider(ctx context.Context, provider string, id int64, renewal secret.Text) error {
	all := s.rules.Load().providers
	if providerID(provider, all.Fingerprint(provider)) != id {
		return errors.New("the provider is another by now, or gone")
	}
	return all.RevokeRenewal(ctx, provider, renewal)
}
