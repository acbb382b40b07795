package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// errUnknown says that no session answers to a token.
var errUnknown = fmt.Errorf("%w: there is no such session", ErrRefused)

// maxRounds is how often one redemption reads its session: once, and again
// after each time the provider was asked, since a revocation may have come
// meanwhile. More than one asking can only be due when answers come slower
// than Config.Revalidate.
const maxRounds = 4

// Redeem returns the session behind token, if token is of one of the kinds and
// good for service, and asks the provider again where that is due. The error
// wraps ErrRefused, providers.ErrUnavailable or an error of ctx.
func (s *Sessions) Redeem(ctx context.Context, token secret.Text, service string, client Client, kinds ...Kind) (*Session, error) {
	kind, hash, ok := parseToken(token)
	switch {
	case !ok:
		return nil, refused("it is mangled")
	case !slices.Contains(kinds, kind):
		return nil, refused("a token of the kind " + string(kind) + " is not good here")
	}
	return s.redeem(ctx, client, func(ctx context.Context) (*Row, cached, error) {
		known := s.people.behind(hash)
		row, err := s.store.Find(ctx, hash, known.version)
		switch {
		case err != nil:
			return nil, cached{}, err
		case row.Kind != kind:
			return nil, cached{}, refused("its kind is another")
		case row.Service != service:
			return nil, cached{}, refused(fmt.Sprintf("it was made for the service %q", row.Service))
		}
		return row, known, nil
	})
}

// redeem is what every redemption passes through, however its session is
// looked up.
func (s *Sessions) redeem(ctx context.Context, client Client, look func(context.Context) (*Row, cached, error)) (*Session, error) {
	r, began := s.rules.Load(), s.clock.now()
	for range maxRounds {
		row, known, err := look(ctx)
		if err != nil {
			return nil, lookError(err)
		}
		id, err := s.people.identify(ctx, row, known)
		if err != nil {
			return nil, err
		}
		now := s.clock.now()
		if err := s.checkRow(ctx, r, row, id, now); err != nil {
			return nil, err
		}
		switch status := r.cfg.status(row, began, now); status {
		case statusFresh:
			return s.redeemed(r, row, id, client, now), nil
		case statusStale:
			if _, err := s.revalidator.ask(ctx, r, row, id); err != nil {
				return nil, err
			}
			return s.redeemed(r, row, id, client, now), nil
		case statusDue:
			if err := s.revalidator.await(ctx, r, row, id); err != nil {
				return nil, err
			}
		default:
			return nil, status.err(id.Provider)
		}
	}
	return nil, unavailable(errors.New("the provider's answers are out of date before they arrive"))
}

func lookError(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return errUnknown
	case errors.Is(err, ErrRefused):
		return err
	}
	return unavailable(fmt.Errorf("look a session up: %w", err))
}

// redeemed notes the redemption and returns the session.
func (s *Sessions) redeemed(r *rules, row *Row, known *providers.Identity, client Client, now time.Time) *Session {
	s.usage.note(row, client, now)
	return r.cfg.session(row, known, now)
}

// checkRow refuses a session by its row alone, without a provider. It ends one
// whose life is over for good.
func (s *Sessions) checkRow(ctx context.Context, r *rules, row *Row, known *providers.Identity, now time.Time) error {
	if err := r.mayLive(row, known); err != nil {
		return err
	}
	why := r.cfg.over(row, now)
	if why == "" {
		return nil
	}
	if _, err := s.store.End(ctx, []Hash{row.Hash}, why.Ending("", now)); err != nil {
		// It is over all the same, and will be found so again.
		s.log.Warn("a session could not be ended in the store", "session", row.Hash.ID(), "error", err)
	}
	if why == ReasonStamp {
		s.rules.Load().forgetPerson(known.Provider, known.Subject)
		wake(s.revoker.wakes)
	}
	return refused("it ended: " + string(why))
}

// mayLive refuses a session that has ended, or whose provider is no longer the
// one that the person logged in at.
func (r *rules) mayLive(row *Row, known *providers.Identity) error {
	if !row.Ended.IsZero() {
		return refused("it ended: " + string(row.Why))
	}
	if r.providers == nil {
		return nil // a process without providers cannot compare them
	}
	switch print := r.providers.Fingerprint(known.Provider); {
	case print == "":
		return refused(fmt.Sprintf("there is no provider %q any more", known.Provider))
	case providerID(known.Provider, print) != row.ProviderID:
		return refused(fmt.Sprintf("the provider %q is another now", known.Provider))
	}
	return nil
}
