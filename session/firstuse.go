package session

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// FirstUseStore is the part of a store that the first use of a provider's
// refresh token needs.
type FirstUseStore interface {
	// FindByProviderToken is as in [SessionStore].
	FindByProviderToken(ctx context.Context, token Hash) (*Row, error)

	// LeaseFirstUse takes the lease of a refresh token that has no session yet,
	// the right to ask its provider until the given time, and reports whether
	// the caller got it. The error is ErrForgotten if the session of the token was
	// deleted with its person. ReleaseFirstUse releases the lease.
	LeaseFirstUse(ctx context.Context, token Hash, now, until time.Time) (bool, error)
	ReleaseFirstUse(ctx context.Context, token Hash) error
}

const (
	// firstUseTimeout is how long the provider has to answer.
	firstUseTimeout = 12 * time.Second

	// firstUseLeaseTTL is after how long the lease expires: not before the
	// session is stored.
	firstUseLeaseTTL = firstUseTimeout + writeTimeout + 3*time.Second

	// maxFirstUses bounds the concurrent first uses of a replica. Each writes
	// to the store before it is known whether the token is valid.
	maxFirstUses = 1000
)

// KnowsProviderToken reports whether there is a session, live or ended, for a
// provider's refresh token. If there is none, RedeemProviderToken asks the
// provider.
func (s *Sessions) KnowsProviderToken(ctx context.Context, providerToken secret.Text) (bool, error) {
	switch _, err := s.store.FindByProviderToken(ctx, providerTokenHash(providerToken)); {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, unavailable(fmt.Errorf("look a session up: %w", err))
	}
	return true, nil
}

// RedeemProviderToken returns the session for a provider's refresh token,
// whatever its service. If there is none yet, it calls first, which asks the
// provider, and creates a session for service of the identity; then the
// session's Token is set, and made is true. Concurrent callers on all replicas
// share one call of first (single-flight and a lease). An error of first is
// returned as it is. The context of first is not canceled with the request,
// since a rotated token would be lost.
func (s *Sessions) RedeemProviderToken(ctx context.Context, providerToken secret.Text, service string, client Client,
	first func(context.Context) (*providers.Identity, error)) (found *Session, made bool, err error) {
	if providerToken.IsZero() {
		return nil, false, refused("it is empty")
	}
	hash := providerTokenHash(providerToken)
	find := func(ctx context.Context) (*Row, cachedIdentity, error) {
		row, err := s.store.FindByProviderToken(ctx, hash)
		return row, cachedIdentity{}, err
	}
	for range maxRounds {
		if found, err = s.redeem(ctx, client, find); !errors.Is(err, errUnknown) {
			return found, false, err
		}
		c, started, err := s.firstUses.join(ctx, hash, service, client, first)
		if err != nil {
			return nil, false, err
		}
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil, false, unavailable(fmt.Errorf("wait for a provider to take its token: %w", ctx.Err()))
		}
		switch {
		case c.err != nil:
			return nil, false, c.err
		case started && c.value != nil:
			return c.value, true, nil
		}
	}
	return nil, false, unavailable(errors.New("a session was made, and ended before it could be read"))
}

// firstUses creates a session at the first use of a provider's refresh token,
// once per token: single-flight within this process, a lease in the store
// between replicas.
type firstUses struct {
	store   FirstUseStore
	clock   *clock
	log     *slog.Logger
	make    func(ctx context.Context, id *providers.Identity, service string, client Client, providerToken *Hash) (*Session, error)
	abandon func(id *providers.Identity)
	calls   singleFlight[Hash, *Session] // the value is nil where another replica created the session
}

// join starts the first use of a token, or joins the call in progress; started
// reports which.
func (u *firstUses) join(ctx context.Context, hash Hash, service string, client Client,
	first func(context.Context) (*providers.Identity, error)) (c *call[*Session], started bool, err error) {
	c, started, err = u.calls.join(ctx, hash, func(ctx context.Context) (*Session, error) {
		return u.makeSession(ctx, hash, service, client, first)
	})
	if errors.Is(err, errTooMany) {
		err = unavailable(errors.New("too many concurrent first uses of refresh tokens"))
	}
	return c, started, err
}

// makeSession asks the provider and creates a session of its identity. It
// returns nil if another replica did that.
func (u *firstUses) makeSession(ctx context.Context, hash Hash, service string, client Client,
	first func(context.Context) (*providers.Identity, error)) (*Session, error) {
	leased, err := u.acquireLease(ctx, hash)
	if err != nil || !leased {
		return nil, err
	}
	asking, cancel := context.WithTimeout(ctx, firstUseTimeout)
	defer cancel()
	id, err := first(asking)
	if err != nil {
		if releaseErr := u.store.ReleaseFirstUse(ctx, hash); releaseErr != nil {
			u.log.Warn("the lease of the first use of a provider's refresh token could not be released; it expires by itself", "error", releaseErr)
		}
		return nil, err
	}
	made, err := u.make(ctx, id, service, client, &hash)
	if err != nil {
		u.abandon(id)
		return nil, fmt.Errorf("the provider took its token, and the session was lost; log in to the provider again: %w", err)
	}
	return made, nil
}

// acquireLease waits for the lease of a token's first use. It returns false
// once another replica has created the session.
func (u *firstUses) acquireLease(ctx context.Context, hash Hash) (bool, error) {
	for {
		now := u.clock.now()
		until := now.Add(firstUseLeaseTTL)
		won, err := u.store.LeaseFirstUse(ctx, hash, now, until)
		if errors.Is(err, ErrForgotten) {
			return false, fmt.Errorf("%w: %w", ErrRefused, ErrForgotten)
		}
		if err != nil {
			return false, unavailable(fmt.Errorf("lease the first use of a refresh token: %w", err))
		}
		if won && !u.clock.now().Add(firstUseTimeout+writeTimeout).After(until) {
			return true, nil
		}
		if won {
			// The store was slow: what is left of the lease is too short, as in
			// revalidator.acquireLease.
			if u.clock.now().Before(until) {
				err = u.store.ReleaseFirstUse(ctx, hash)
			}
			return false, unavailable(errors.Join(errors.New("the store took too long to give a lease"), err))
		}
		switch _, err := u.store.FindByProviderToken(ctx, hash); {
		case err == nil:
			return false, nil
		case !errors.Is(err, ErrNotFound):
			return false, unavailable(fmt.Errorf("look a session up: %w", err))
		}
		select {
		case <-ctx.Done():
			return false, unavailable(fmt.Errorf("wait for another replica to use a refresh token: %w", ctx.Err()))
		case <-time.After(pollInterval):
		}
	}
}
