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

// FirstUseStore is what the first use of a provider's refresh token asks of a store.
type FirstUseStore interface {
	// FindByProviderToken is that of [SessionStore].
	FindByProviderToken(ctx context.Context, token Hash) (*Row, error)

	// Claim reports whether the caller may ask a provider about a refresh
	// token that has no session yet, until the given time and unless another
	// caller may. ReleaseFirstUse gives up the lease.
	LeaseFirstUse(ctx context.Context, token Hash, now, until time.Time) (bool, error)
	ReleaseFirstUse(ctx context.Context, token Hash) error
}

const (
	// firstUseTimeout is how long the first use may take at the provider.
	firstUseTimeout = 12 * time.Second

	// firstUseLeaseTTL is how long nobody else may use the token for the first time:
	// until its session is kept.
	firstUseLeaseTTL = firstUseTimeout + writeTimeout + 3*time.Second

	// maxFirstUses bounds the first uses under way, each of which writes to the
	// store before anybody knows whether the token is any good.
	maxFirstUses = 1000
)

// KnowsProviderToken reports whether a session, though it may have ended, answers to
// a provider's refresh token: if none does, RedeemProviderToken will ask.
func (s *Sessions) KnowsProviderToken(ctx context.Context, providerToken secret.Text) (bool, error) {
	switch _, err := s.store.FindByProviderToken(ctx, providerTokenHash(providerToken)); {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, unavailable(fmt.Errorf("look a session up: %w", err))
	}
	return true, nil
}

// RedeemProviderToken returns the session that answers to a provider's own refresh
// token, whatever the service. If there is none yet, first asks the provider,
// once however many come at once on however many replicas, a session is made
// of its answer for service, the session's Token is set, and made is true; an
// error of first is returned as it is. The context of first does not end with
// the request, since a rotated token would be lost.
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
		f, ours, err := s.firstUses.join(ctx, hash, service, client, first)
		if err != nil {
			return nil, false, err
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, false, unavailable(fmt.Errorf("wait for a provider to take its token: %w", ctx.Err()))
		}
		switch {
		case f.err != nil:
			return nil, false, f.err
		case ours && f.value != nil:
			return f.value, true, nil
		}
	}
	return nil, false, unavailable(errors.New("a session was made and was gone at once"))
}

// firstUses makes sessions of providers' refresh tokens at their first use:
// single-flight in this process, and by a lease in the store over all replicas.
type firstUses struct {
	store   FirstUseStore
	clock   *clock
	log     *slog.Logger
	make    func(ctx context.Context, id *providers.Identity, service string, client Client, providerToken *Hash) (*Session, error)
	abandon func(id *providers.Identity)
	calls   singleFlight[Hash, *Session] // nil where another replica made the session
}

// join begins the first use, or joins it; ours is true for the caller that
// began it.
func (u *firstUses) join(ctx context.Context, hash Hash, service string, client Client,
	first func(context.Context) (*providers.Identity, error)) (f *call[*Session], ours bool, err error) {
	f, ours, err = u.calls.join(ctx, hash, func(ctx context.Context) (*Session, error) {
		return u.makeSession(ctx, hash, service, client, first)
	})
	if errors.Is(err, errTooMany) {
		err = unavailable(errors.New("too many refresh tokens are used for the first time at once"))
	}
	return f, ours, err
}

// use asks the provider and makes a session of its answer, or returns nil
// when another replica did.
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
			u.log.Warn("the lease of the first use of a provider's refresh token could not be given up; it ends by itself", "error", releaseErr)
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

// lease reports whether this replica is the one to ask; if not, the session is
// there.
func (u *firstUses) acquireLease(ctx context.Context, hash Hash) (bool, error) {
	for {
		now := u.clock.now()
		until := now.Add(firstUseLeaseTTL)
		won, err := u.store.LeaseFirstUse(ctx, hash, now, until)
		if err != nil {
			return false, unavailable(fmt.Errorf("lease the first use of a refresh token: %w", err))
		}
		if won && !u.clock.now().Add(firstUseTimeout+writeTimeout).After(until) {
			return true, nil
		}
		if won {
			// As with a lease that took too long to get.
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
