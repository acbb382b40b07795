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

// errUnknown says that no session has this token.
var errUnknown = fmt.Errorf("%w: there is no such session", ErrRefused)

// maxRounds bounds how often one redemption reads its session: once, and again
// after each revalidation, since the session may have been revoked in the
// meantime. A second revalidation is due only where answers take longer than
// Config.Revalidate.
const maxRounds = 4

// Redeem returns the session of token, if token is of one of the kinds and
// valid for service. Where a revalidation is due, the provider is asked first.
// The error wraps ErrRefused, providers.ErrUnavailable or an error of ctx.
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

// findFunc reads the row of a token, and returns the identity cached for it.
type findFunc func(context.Context) (*Row, cachedIdentity, error)

// redeem redeems the session that find reads. Every redemption of a session
// goes through it.
func (s *Sessions) redeem(ctx context.Context, client Client, find findFunc) (*Session, error) {
	found, err := s.findRedeemable(ctx, find)
	if err != nil {
		return nil, err
	}
	s.usage.record(found.row, client, found.at)
	return found.gen.session(found.row, found.id, found.at), nil
}

// redeemable is a session or grant that passed every check.
type redeemable struct {
	gen *generation
	row *Row
	id  *providers.Identity
	at  time.Time // of the checks
}

// findRedeemable reads a row and checks whether it can be redeemed now. Where a
// revalidation is due, it asks the provider and reads the row again.
func (s *Sessions) findRedeemable(ctx context.Context, find findFunc) (*redeemable, error) {
	g, began := s.generation.Load(), s.clock.now()
	for range maxRounds {
		row, known, err := find(ctx)
		if err != nil {
			return nil, findError(err)
		}
		id, err := s.identities.identityOf(ctx, row, known)
		if err != nil {
			return nil, err
		}
		now := s.clock.now()
		if err := s.checkRow(ctx, g, row, id, now); err != nil {
			return nil, err
		}
		doubtedUntil, err := s.revalidator.doubtedUntil(ctx, &row.SignIn, id.Provider)
		if err != nil {
			return nil, err
		}
		switch status := g.cfg.status(row, doubtedUntil, began, now); status {
		case statusFresh:
			return s.checkStamp(&redeemable{g, row, id, now})
		case statusStale:
			if _, err := s.revalidator.start(ctx, g, row, id); err != nil {
				return nil, err
			}
			return s.checkStamp(&redeemable{g, row, id, now})
		case statusDue:
			if err := s.revalidator.revalidate(ctx, g, row, id); err != nil {
				return nil, err
			}
		default:
			return nil, status.err(id.Provider, row.SignIn.PendingReason)
		}
	}
	return nil, unavailable(errors.New("the provider's answers are out of date before they arrive"))
}

// checkStamp refuses a session whose stamp differs from its sign-in's: the
// password changed after the session's login. PendingSince is when that was
// found; within passwordCacheTTL of it the old password may still be cached, and
// is dropped.
func (s *Sessions) checkStamp(r *redeemable) (*redeemable, error) {
	if !otherStamp(r.row.Stamp, r.row.SignIn.Stamp) {
		return r, nil
	}
	if r.at.Before(r.row.SignIn.PendingSince.Add(passwordCacheTTL)) {
		r.gen.forgetPerson(r.id.Provider, r.id.Subject)
	}
	return nil, refused("its person's password changed since its login")
}

// passwordCacheTTL is the longest TTL of the chain's cache of passwords.
const passwordCacheTTL = time.Minute

// findError returns the error of a redemption whose row could not be read.
func findError(err error) error {
	switch {
	case errors.Is(err, ErrNotFound):
		return errUnknown
	case errors.Is(err, ErrRefused):
		return err
	}
	return unavailable(fmt.Errorf("look a session up: %w", err))
}

// checkRow refuses a session by its row alone, without a provider. A session
// beyond its lifetimes is also ended in the store.
func (s *Sessions) checkRow(ctx context.Context, g *generation, row *Row, known *providers.Identity, now time.Time) error {
	if err := g.checkLive(row, known); err != nil {
		return err
	}
	why := g.cfg.endOfLife(row, g.reauthenticate(known.Provider), now)
	if why == "" {
		return nil
	}
	if row.Kind == KindOneTime { // a grant has no session to end
		return refused("it ended: " + string(why))
	}
	if _, err := s.store.End(ctx, []Hash{row.Hash}, why.Ending("", now)); err != nil {
		// The session is refused in any case; the next redemption or sweep ends
		// it.
		s.log.Warn("a session could not be ended in the store", "session", row.Hash.ID(), "error", err)
	}
	wake(s.revoker.wakes)
	return refused("it ended: " + string(why))
}

// checkLive refuses a session that has ended, or whose provider is not the one
// that the person logged in at: it was removed, or its name now belongs to
// another.
func (g *generation) checkLive(row *Row, known *providers.Identity) error {
	if !row.Ended.IsZero() {
		return refused("it ended: " + string(row.Reason))
	}
	if g.providers == nil {
		return nil // a process without providers cannot compare them
	}
	switch print := g.providers.Fingerprint(known.Provider); {
	case print == "":
		return refused(fmt.Sprintf("there is no provider %q any more", known.Provider))
	case providerID(known.Provider, print) != row.ProviderID:
		return refused(fmt.Sprintf("the provider %q is another now", known.Provider))
	}
	return nil
}
