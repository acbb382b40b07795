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

// AdminStore is what lists and revocations ask of a store.
type AdminStore interface {
	TimeSource

	// FindByProviderToken is that of [SessionStore].
	FindByProviderToken(ctx context.Context, token Hash) (*Row, error)

	// List returns up to limit sessions that sel selects, ordered by hash, each
	// after the given one. With a Group it may select by GroupText, which
	// matches some people outside the group too.
	List(ctx context.Context, sel Selector, after Hash, limit int) ([]ListedSession, error)

	// End is that of [SessionStore].
	End(ctx context.Context, tokens []Hash, e Ending) (int, error)
}

// Admin lists, inspects and ends sessions. It needs a store and no provider, and
// runs nothing of its own. It is safe for concurrent use.
type Admin struct {
	store       AdminStore
	clock       *clock
	generation  *atomic.Pointer[generation] // without providers for one that NewAdmin made
	revocations chan<- struct{}             // wakes the revoker; nil without one
}

// NewAdmin returns an Admin of the sessions in store, for a process that serves
// none. cfg has its defaults. What it ends, a server on the same store refuses
// at once, and has the providers revoke within minutes. The Admin of a server is
// [Sessions.Admin].
func NewAdmin(ctx context.Context, cfg Config, store AdminStore) (*Admin, error) {
	a := &Admin{store: store, clock: &clock{store: store, log: slog.New(slog.DiscardHandler)}, generation: new(atomic.Pointer[generation])}
	a.generation.Store(&generation{cfg: cfg})
	return a, a.clock.set(ctx)
}

// Now is the time by the store's clock, which all replicas go by.
func (a *Admin) Now() time.Time { return a.clock.now() }

// List returns the sessions that sel selects, the newest first.
func (a *Admin) List(ctx context.Context, sel Selector) ([]Session, error) {
	var all []Session
	for listed, err := range a.selectSessions(ctx, sel) {
		if err != nil {
			return nil, err
		}
		all = append(all, *a.generation.Load().cfg.listed(listed))
	}
	slices.SortStableFunc(all, func(a, b Session) int { return b.Created.Compare(a.Created) })
	return all, nil
}

// listed is a session with all that the store knows of it.
func (c *Config) listed(one *selectedSession) *Session {
	s := c.session(&one.Row, one.identity, one.Used)
	s.Client, s.Last, s.Ended, s.Reason, s.By = one.Client, one.Last, one.Ended, one.reason(), one.By
	s.Label, s.MadeBy = one.Label, one.MadeBy
	return s
}

// why returns why a session ended, or is about to.
func (r *Row) reason() Reason {
	switch {
	case !r.Ended.IsZero():
		return r.Reason
	case r.SignIn.ends():
		return r.SignIn.Reason
	case otherStamp(r.Stamp, r.SignIn.Stamp):
		return ReasonStamp
	}
	return ""
}

// errSelectsAll refuses an empty selector, which would end every session.
var errSelectsAll = errors.New("a revocation must say whose sessions end")

// Revoke ends the live sessions that sel selects, and returns how many there
// were. When it returns, every replica refuses them, even after a crash.
// by names the caller, for the list.
func (a *Admin) Revoke(ctx context.Context, sel Selector, by string) (int, error) {
	if sel.Ended = false; sel == (Selector{}) {
		return 0, errSelectsAll
	}
	if sel.selectsPersons() {
		// A cached password needs no session.
		a.generation.Load().forget(sel.matches)
	}
	ended := 0
	var chosen []*selectedSession
	for found, err := range a.selectSessions(ctx, sel) {
		if err != nil {
			return ended, err
		}
		if chosen = append(chosen, found); len(chosen) < batchSize {
			continue
		}
		n, err := a.revoke(ctx, chosen, by)
		if ended += n; err != nil {
			return ended, err
		}
		chosen = chosen[:0]
	}
	n, err := a.revoke(ctx, chosen, by)
	return ended + n, err
}

// revoke ends the chosen sessions, and drops the cached passwords of their
// persons, which would let them in again.
func (a *Admin) revoke(ctx context.Context, chosen []*selectedSession, by string) (int, error) {
	if len(chosen) == 0 {
		return 0, nil
	}
	type person struct{ provider, subject string }
	tokens, persons := make([]Hash, len(chosen)), make(map[person]bool)
	for i, one := range chosen {
		tokens[i] = one.Hash
		persons[person{one.Provider, one.Subject}] = true
	}
	ended, err := a.store.End(ctx, tokens, ReasonRevoked.Ending(by, a.clock.now()))
	wake(a.revocations)
	a.generation.Load().forget(func(id *providers.Identity) bool { return persons[person{id.Provider, id.Subject}] })
	if err != nil {
		return ended, unavailable(fmt.Errorf("end sessions: %w", err))
	}
	return ended, nil
}

// RevokeToken ends the session behind a token. It takes no other proof: a token
// that can be used can be revoked. It returns the session as it was, and whether it ended
// only now. The error wraps providers.ErrUnavailable, or ErrRefused where there
// is no such session. As with Revoke, every replica refuses the token from then on.
func (a *Admin) RevokeToken(ctx context.Context, token secret.Text, by string) (was *Session, ended bool, err error) {
	found, err := a.findByToken(ctx, token)
	if err != nil {
		return nil, false, err
	}
	was = a.generation.Load().cfg.listed(found)
	if !was.Ended.IsZero() {
		return was, false, nil // a password that is cached by now is a later one
	}
	n, err := a.revoke(ctx, []*selectedSession{found}, by)
	if err != nil {
		return nil, false, err
	}
	return was, n > 0, nil
}

// selectedSession is a session of a list, with its person decoded.
type selectedSession struct {
	ListedSession
	identity *providers.Identity
}

// selectSessions goes through what sel selects, a page at a time.
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
				id, err := decodeIdentity(page[i].Identity.Body)
				if err != nil {
					yield(nil, unavailable(err))
					return
				}
				id.User = page[i].Identity.User // which another sign-in may have read since
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
