package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// AdminStore is the part of a store that lists and revocations need.
type AdminStore interface {
	TimeSource
	PersonStore

	// FindByProviderToken is as in [SessionStore].
	FindByProviderToken(ctx context.Context, token Hash) (*Row, error)

	// List returns up to limit sessions that sel selects, ordered by hash, with
	// hashes greater than after. With a Group it may filter by GroupText, which
	// also matches some persons outside the group.
	List(ctx context.Context, sel Selector, after Hash, limit int) ([]ListedSession, error)

	// ListPerson returns up to live of a person's live sessions, the newest of them
	// and those that are no refresh tokens first, and up to ended of the ended ones,
	// those that ended last; and how many are live. It sets no Body.
	ListPerson(ctx context.Context, provider, subject string, live, ended int) ([]ListedSession, int, error)

	// End is as in [SessionStore].
	End(ctx context.Context, tokens []Hash, e Ending) (int, error)

	// FindGrant is as in [GrantStore].
	FindGrant(ctx context.Context, hash Hash, known Version) (*StoredGrant, error)

	// EndGrant ends a grant if it is unspent, and reports whether it did. A grant
	// that has ended cannot be spent: it expired when it was created.
	EndGrant(ctx context.Context, hash Hash) (bool, error)

	// EndGrants ends the unspent grants of the persons and logins that sel
	// selects, without ID and Kind, and returns how many there were. With a Group
	// it may end some of other persons, as List may return them.
	EndGrants(ctx context.Context, sel Selector) (int, error)
}

// Admin lists, inspects and ends sessions. It needs a store and no provider,
// and has no background loops. It is safe for concurrent use.
type Admin struct {
	store       AdminStore
	clock       *clock
	generation  *atomic.Pointer[generation] // without providers after NewAdmin
	revocations chan<- struct{}             // wakes the revoker; nil without one
}

// NewAdmin returns an Admin of the sessions in store, for a process that serves
// none. cfg has its defaults. Servers on the same store refuse the sessions
// that it ends immediately, and have the providers revoke their refresh tokens
// within minutes. The Admin of a server is [Sessions.Admin].
func NewAdmin(ctx context.Context, cfg Config, store AdminStore) (*Admin, error) {
	a := &Admin{store: store, clock: &clock{store: store, log: slog.New(slog.DiscardHandler)}, generation: new(atomic.Pointer[generation])}
	a.generation.Store(&generation{cfg: cfg})
	return a, a.clock.set(ctx)
}

// Now returns the time by the store's clock, which all replicas use.
func (a *Admin) Now() time.Time { return a.clock.now() }

// List returns the sessions that sel selects, the newest first.
func (a *Admin) List(ctx context.Context, sel Selector) ([]Session, error) {
	var all []Session
	for listed, err := range a.selectSessions(ctx, sel) {
		if err != nil {
			return nil, err
		}
		all = append(all, *a.generation.Load().listed(listed))
	}
	slices.SortStableFunc(all, func(a, b Session) int { return b.Created.Compare(a.Created) })
	return all, nil
}

// listed returns a session with all that a list shows.
func (g *generation) listed(one *selectedSession) *Session {
	s := g.session(&one.Row, one.identity, one.LastUsed)
	s.Client, s.Last, s.Ended, s.Reason, s.By = one.Client, one.Last, one.Ended, one.reason(), one.By
	s.Label, s.MadeBy = one.Label, one.MadeBy
	return s
}

// reason returns why a session ended, or why an end is pending, or "".
func (r *Row) reason() Reason {
	switch {
	case !r.Ended.IsZero():
		return r.Reason
	case r.SignIn.ends():
		return r.SignIn.PendingReason
	case otherStamp(r.Stamp, r.SignIn.Stamp):
		return ReasonStamp
	}
	return ""
}

// Who revoked a session, for lists, where it is not the user name of its person. With a
// Selector whose Before is when the logout token was issued, a replayed token of a
// back-channel logout (OpenID Connect Back-Channel Logout 1.0) ends no later session.
const (
	ByBackChannelLogout = "the provider, by back-channel logout"
	ByTokenHolder       = "the holder of its token"
	ByOperator          = ", an operator" // after the operator's user name
)

// errSelectsAll refuses an empty selector, which would end every session.
var errSelectsAll = errors.New("a revocation must say whose sessions end")

// Revoke ends the live sessions that sel selects, and returns how many there
// were. When it returns, every replica refuses them, also after a crash. by is
// the name of the caller, for lists. One-time passwords end with the browsers'
// sessions that they were made from, in the same transaction, and with a selector
// of persons or logins also those whose session had ended before.
func (a *Admin) Revoke(ctx context.Context, sel Selector, by string) (int, error) {
	if sel.Ended = false; sel == (Selector{Except: sel.Except}) {
		return 0, errSelectsAll
	}
	if sel.selectsPersons() {
		// Persons without a session may have a cached password.
		a.generation.Load().forget(sel.matches)
	}
	ended, err := a.revokeSelected(ctx, sel, by)
	if err != nil || !sel.selectsGrants() {
		return ended, err
	}
	if _, err := a.store.EndGrants(ctx, sel); err != nil {
		return ended, unavailable(fmt.Errorf("end one-time passwords: %w", err))
	}
	// A one-time password may have been spent since the sessions were read. None is left
	// now, so that the sessions of a second round are the last.
	again, err := a.revokeSelected(ctx, sel, by)
	return ended + again, err
}

// revokeSelected ends the live sessions that sel selects, in batches.
func (a *Admin) revokeSelected(ctx context.Context, sel Selector, by string) (ended int, err error) {
	var chosen []*selectedSession
	for found, err := range a.selectSessions(ctx, sel) {
		if err != nil {
			return ended, err
		}
		if chosen = append(chosen, found); len(chosen) < batchSize {
			continue
		}
		n, err := a.revoke(ctx, chosen, a.revocation(by))
		if ended += n; err != nil {
			return ended, err
		}
		chosen = chosen[:0]
	}
	n, err := a.revoke(ctx, chosen, a.revocation(by))
	return ended + n, err
}

// revocation is the Ending of a revocation, with the one-time passwords.
func (a *Admin) revocation(by string) Ending {
	e := ReasonRevoked.Ending(by, a.clock.now())
	e.Grants = true
	return e
}

// revoke ends the chosen sessions, and drops the cached passwords of their
// persons, with which they could log in again without the provider.
func (a *Admin) revoke(ctx context.Context, chosen []*selectedSession, e Ending) (int, error) {
	if len(chosen) == 0 {
		return 0, nil
	}
	type person struct{ provider, subject string }
	tokens, persons := make([]Hash, len(chosen)), make(map[person]bool)
	for i, one := range chosen {
		tokens[i] = one.Hash
		persons[person{one.Provider, one.Subject}] = true
	}
	ended, err := a.store.End(ctx, tokens, e)
	wake(a.revocations)
	a.generation.Load().forget(func(id *providers.Identity) bool { return persons[person{id.Provider, id.Subject}] })
	if err != nil {
		return ended, unavailable(fmt.Errorf("end sessions: %w", err))
	}
	return ended, nil
}

// RevokeToken ends the session of a token, or the one-time password that it is.
// The token is the only proof that it needs (RFC 7009). It returns the session as
// it was, and whether this call ended it; it is idempotent. The error wraps
// providers.ErrUnavailable, or ErrRefused if there is no such session. As with
// Revoke, every replica refuses the token from then on. With a browser's cookie it
// is a logout: one-time passwords that the person made in that session stay good
// for their ten minutes.
func (a *Admin) RevokeToken(ctx context.Context, token secret.Text, by string) (was *Session, ended bool, err error) {
	if kind, hash, ok := parseToken(token); ok && kind == KindOneTime {
		return a.revokeGrant(ctx, hash)
	}
	found, err := a.findByToken(ctx, token)
	if err != nil {
		return nil, false, err
	}
	was = a.generation.Load().listed(found)
	if !was.Ended.IsZero() {
		return was, false, nil // a password cached now is from a later login
	}
	n, err := a.revoke(ctx, []*selectedSession{found}, ReasonRevoked.Ending(by, a.clock.now()))
	if err != nil {
		return nil, false, err
	}
	return was, n > 0, nil
}

// revokeGrant ends a grant. It returns the session that the grant would have made.
func (a *Admin) revokeGrant(ctx context.Context, hash Hash) (was *Session, ended bool, err error) {
	grant, err := a.store.FindGrant(ctx, hash, Version{})
	if err != nil {
		return nil, false, findError(err)
	}
	id, err := decodeIdentity(grant.Body)
	if err != nil {
		return nil, false, unavailable(err)
	}
	if ended, err = a.store.EndGrant(ctx, hash); err != nil {
		return nil, false, unavailable(fmt.Errorf("end a one-time password: %w", err))
	}
	return a.generation.Load().session(&grant.Row, id, grant.LastUsed), ended, nil
}

// selectedSession is a session of a list with its identity decoded.
type selectedSession struct {
	ListedSession
	identity *providers.Identity
}

// selectSessions iterates over the sessions that sel selects, and reads them in
// pages.
func (a *Admin) selectSessions(ctx context.Context, sel Selector) iter.Seq2[*selectedSession, error] {
	return func(yield func(*selectedSession, error) bool) {
		var after Hash
		for {
			page, err := a.store.List(ctx, sel, after, batchSize)
			if err != nil {
				yield(nil, unavailable(fmt.Errorf("list sessions: %w", err)))
				return
			}
			for i := range page {
				if sel.Except != "" && page[i].Hash.ID() == sel.Except {
					continue
				}
				id, err := decodeIdentity(page[i].Identity.Body)
				if err != nil {
					yield(nil, unavailable(err))
					return
				}
				id.User = page[i].Identity.User // the latest, perhaps from another sign-in
				if sel.Group != "" && !slices.Contains(id.Groups, sel.Group) {
					continue
				}
				if !yield(&selectedSession{page[i], id}, nil) {
					return
				}
			}
			if len(page) < batchSize {
				return
			}
			after = page[len(page)-1].Hash
		}
	}
}
