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
	return s.redeem(ctx, client, func(ctx context.Context) (*Row, cachedIdentity, error) {
		known := s.identities.get(hash)
		row, err := s.store.Find(ctx, hash, known.version)
		switch {
		case err != nil:
			return nil, cachedIdentity{}, err
		case row.Kind != kind:
			return nil, cachedIdentity{}, refused("its kind is another")
		case row.Service != "" && row.Service != service:
			return nil, cachedIdentity{}, refused(fmt.Sprintf("it was made for the service %q", row.Service))
		}
		return row, known, nil
	})
}

// redeem is what every redemption of a session passes through, however it is
// looked up.
func (s *Sessions) redeem(ctx context.Context, client Client, look func(context.Context) (*Row, cachedIdentity, error)) (*Session, error) {
	found, err := s.current(ctx, look)
	if err != nil {
		return nil, err
	}
	s.usage.note(found.row, client, found.at)
	return found.rules.cfg.session(found.row, found.id, found.at), nil
}

// found is a session or a grant that may be redeemed.
type found struct {
	rules *rules
	row   *Row
	id    *providers.Identity
	at    time.Time
}

// current looks a row up and returns it if it may be redeemed now, having asked
// the provider where that is due.
func (s *Sessions) current(ctx context.Context, look func(context.Context) (*Row, cachedIdentity, error)) (*found, error) {
	r, began := s.rules.Load(), s.clock.now()
	for range maxRounds {
		row, known, err := look(ctx)
		if err != nil {
			return nil, lookError(err)
		}
		id, err := s.identities.identityOf(ctx, row, known)
		if err != nil {
			return nil, err
		}
		now := s.clock.now()
		if err := s.checkRow(ctx, r, row, id, now); err != nil {
			return nil, err
		}
		doubted, err := s.revalidator.doubtedUntil(ctx, &row.SignIn, id.Provider)
		if err != nil {
			return nil, err
		}
		switch status := r.cfg.status(row, doubted, began, now); status {
		case statusFresh:
			return s.sameStamp(&found{r, row, id, now})
		case statusStale:
			if _, err := s.revalidator.start(ctx, r, row, id); err != nil {
				return nil, err
			}
			return s.sameStamp(&found{r, row, id, now})
		case statusDue:
			if err := s.revalidator.revalidate(ctx, r, row, id); err != nil {
				return nil, err
			}
		default:
			return nil, status.err(id.Provider, row.SignIn.Reason)
		}
	}
	return nil, unavailable(errors.New("the provider's answers are out of date before they arrive"))
}

// sameStamp refuses a session where the person's stamp is another since its
// login. Its cached password, of before, may be as old as passwordCacheTTL.
func (s *Sessions) sameStamp(f *found) (*found, error) {
	if !otherStamp(f.row.Stamp, f.row.SignIn.Stamp) {
		return f, nil
	}
	if f.at.Before(f.row.SignIn.Pending.Add(passwordCacheTTL)) {
		f.rules.forgetPerson(f.id.Provider, f.id.Subject)
	}
	return nil, refused("its person's password changed since its login")
}

// passwordCacheTTL is how long a password is cached at most.
const passwordCacheTTL = time.Minute

func lookError(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return errUnknown
	case errors.Is(err, ErrRefused):
		return err
	}
	return unavailable(fmt.Errorf("look a session up: %w", err))
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
	if row.Kind == KindOneTime { // a grant is over by itself
		return refused("it is over: " + string(why))
	}
	if _, err := s.store.End(ctx, []Hash{row.Hash}, why.Ending("", now)); err != nil {
		// It is over all the same, and will be found so again.
		s.log.Warn("a session could not be ended in the store", "session", row.Hash.ID(), "error", err)
	}
	wake(s.revoker.wakes)
	return refused("it ended: " + string(why))
}

// mayLive refuses a session that has ended, or whose provider is no longer the
// one that the person logged in at.
func (r *rules) mayLive(row *Row, known *providers.Identity) error {
	if !row.Ended.IsZero() {
		return refused("it ended: " + string(row.Reason))
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
