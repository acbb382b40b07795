package session

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"shorepass/providers"
)

// List returns the sessions that sel selects, the newest first.
func (s *Sessions) List(ctx context.Context, sel Selector) ([]Session, error) {
	var all []Session
	for listed, err := range s.selected(ctx, sel) {
		if err != nil {
			return nil, err
		}
		all = append(all, *s.rules.Load().listed(listed))
	}
	slices.SortStableFunc(all, func(a, b Session) int { return b.Created.Compare(a.Created) })
	return all, nil
}

// listed is a session with all that the store knows of it.
func (r *rules) listed(one *selectedSession) *Session {
	s := r.session(&one.Row, one.identity, one.Used)
	s.Client, s.Last, s.Ended, s.Why, s.By = one.Client, one.Last, one.Ended, one.Why, one.By
	return s
}

// errSelectsAll keeps a slip from ending everybody's sessions.
var errSelectsAll = errors.New("a revocation must say whose sessions end")

// Revoke ends the live sessions that sel selects, and for good those that ended
// just now because their provider refused somebody, and returns how many there
// were. When it returns, every replica refuses them, even after a crash.
// by is who asked for it, for the list.
func (s *Sessions) Revoke(ctx context.Context, sel Selector, by string) (int, error) {
	if sel.Ended = false; sel == (Selector{}) {
		return 0, errSelectsAll
	}
	if sel.persons() {
		// They may have logged in without keeping a session.
		s.rules.Load().providers.Forget(sel.picks)
	}
	// What has just ended by a provider's word could be taken back.
	sel.Refused = s.now().Add(-2 * guardWindow)
	ended := 0
	var chosen []*selectedSession
	for found, err := range s.selected(ctx, sel) {
		if err != nil {
			return ended, err
		}
		if chosen = append(chosen, found); len(chosen) < batch {
			continue
		}
		n, err := s.revoke(ctx, chosen, by)
		if ended += n; err != nil {
			return ended, err
		}
		chosen = chosen[:0]
	}
	n, err := s.revoke(ctx, chosen, by)
	return ended + n, err
}

// revoke ends those of the sessions that live, and has the passwords of their
// persons forgotten, which would let them in again.
func (s *Sessions) revoke(ctx context.Context, chosen []*selectedSession, by string) (int, error) {
	if len(chosen) == 0 {
		return 0, nil
	}
	type person struct{ provider, subject string }
	tokens, persons := make([]Hash, len(chosen)), make(map[person]bool)
	for i, one := range chosen {
		tokens[i] = one.Hash
		persons[person{one.Provider, one.Subject}] = true
	}
	ended, err := s.store.End(ctx, tokens, ReasonRevoked, by, s.now())
	wake(s.revocations)
	s.rules.Load().providers.Forget(func(id *providers.Identity) bool { return persons[person{id.Provider, id.Subject}] })
	if err != nil {
		return ended, unavailable(fmt.Errorf("end sessions: %w", err))
	}
	return ended, nil
}

// forget drops the passwords that are remembered of a person.
func (s *Sessions) forget(provider, subject string) {
	s.rules.Load().providers.Forget(func(id *providers.Identity) bool { return id.Provider == provider && id.Subject == subject })
}

// selectedSession is a session of a list, with its person decoded.
type selectedSession struct {
	Listed
	identity *providers.Identity
}

// selected goes through what sel selects, a page at a time.
func (s *Sessions) selected(ctx context.Context, sel Selector) iter.Seq2[*selectedSession, error] {
	return func(yield func(*selectedSession, error) bool) {
		var after Hash
		for {
			page, err := s.store.List(ctx, sel, after, batch)
			if err != nil {
				yield(nil, unavailable(fmt.Errorf("list sessions: %w", err)))
				return
			}
			for i := range page {
				id, err := decodeFacts(page[i].Facts.Body)
				if err != nil {
					yield(nil, unavailable(err))
					return
				}
				if sel.Group != "" && !slices.Contains(id.Groups, sel.Group) {
					continue
				}
				if !yield(&selectedSession{page[i], id}, nil) {
					return
				}
			}
			if len(page) < batch {
				return
			}
			after = page[len(page)-1].Hash
		}
	}
}

// Rekey seals every renewal with the first key, a bounded number at a time, and
// returns how many it had to. After that the other keys can go, once all
// replicas have the first. What no key opens is left as it is and counted in the
// error; the rest is sealed all the same.
func (s *Sessions) Rekey(ctx context.Context) (int, error) {
	var resealed, foreign int
	var after int64
	for {
		page, err := s.store.Sealed(ctx, after, batch)
		if err != nil {
			return resealed, unavailable(fmt.Errorf("read what is sealed: %w", err))
		}
		for _, old := range page {
			after = old.Person
			if s.keys.sealedByFirst(old.Body) {
				continue
			}
			switch err := s.reseal(ctx, old); {
			case errors.Is(err, errSealed):
				foreign++
			case err != nil:
				return resealed, err
			default:
				resealed++
			}
		}
		if len(page) < batch {
			break
		}
	}
	if foreign > 0 {
		return resealed, fmt.Errorf("%d refresh tokens are %w; give the key that is missing to session.seal_key, or end their sessions", foreign, errSealed)
	}
	if err := s.store.SetSetting(ctx, proofSetting, s.keys.proof()); err != nil {
		return resealed, unavailable(fmt.Errorf("keep in the store which sealing key it needs: %w", err))
	}
	return resealed, nil
}

func (s *Sessions) reseal(ctx context.Context, old Sealed) error {
	id := old.Token.ID()
	renewal, err := s.keys.open(id, old.Body)
	if err != nil {
		return fmt.Errorf("session %s: %w", id, err)
	}
	body, err := s.keys.seal(id, renewal)
	if err != nil {
		return err
	}
	if err := s.store.Reseal(ctx, old, body); err != nil {
		return unavailable(fmt.Errorf("keep what was sealed anew: %w", err))
	}
	return nil
}
