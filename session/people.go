package session

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Person is one account at a provider, as the store has it.
type Person struct {
	ID       int64 // of the row
	Provider string
	Subject  string
	User     string    // the user name, as last read
	LastSeen time.Time // the last login or redemption
	Live     int       // how many live sessions the person has
}

// Forgotten says what ended when a person was deleted.
type Forgotten struct {
	Sessions int // the live sessions

	// Tokens are the refresh tokens of the provider that are due to be revoked. Until they
	// are, the store has them, sealed, with the person's provider and subject.
	Tokens int
}

// PersonStore is the part of a store that lists and deletes persons.
type PersonStore interface {
	// ListPersons returns up to limit persons with this user name at this provider, in
	// the order of their ids, with ids greater than after. An empty text selects all.
	// Forgotten persons are not listed.
	ListPersons(ctx context.Context, user, provider string, after int64, limit int) ([]Person, error)

	// ListForgettable returns the ids of persons who were last seen at a time or before,
	// and have no session that lives or ended after it. It reads up to limit persons
	// who were last seen at that time or before, in the order of their ids, with ids
	// greater than after; last is the id of the last one that it read, 0 if there was none.
	ListForgettable(ctx context.Context, at time.Time, after int64, limit int) (ids []int64, last int64, err error)

	// ForgetPerson deletes a person with all their sessions, grants, identities and
	// sign-ins. It keeps the refresh tokens of the provider, which are due to be revoked
	// from now on; the last of them takes what is left of the person with it. The tokens
	// that redeemed a session keep the lease of their first use for ever
	// ([ErrForgotten]). The error is ErrNotFound if there is no such person, or ListForgettable
	// does not return the person for at; the zero at does not ask that.
	ForgetPerson(ctx context.Context, id int64, at, now time.Time) (Forgotten, error)
}

// ErrForgotten says that the session of a provider's refresh token was deleted together
// with its person, so that the token redeems nothing and makes no other session.
var ErrForgotten = errors.New("the session of this token was deleted with its person")

// Forever is the end of a lease that does not expire.
var Forever = time.UnixMilli(1 << 52).UTC()

// ListPersons returns the persons with this user name at this provider, in the order of
// their first login. An empty text selects all.
func (a *Admin) ListPersons(ctx context.Context, user, provider string) ([]Person, error) {
	var all []Person
	after := int64(0)
	for {
		page, err := a.store.ListPersons(ctx, user, provider, after, batchSize)
		if err != nil {
			return nil, unavailable(fmt.Errorf("list people: %w", err))
		}
		if all = append(all, page...); len(page) < batchSize {
			return all, nil
		}
		after = page[len(page)-1].ID
	}
}

// ErrNoPerson says that the store has no such person.
var ErrNoPerson = errors.New("there is no such person")

// Forget deletes a person, and ends all sessions of theirs: every replica refuses them
// when it returns. A server has the provider revoke the person's refresh tokens within
// minutes. The person can log in again. The error wraps ErrNoPerson if the person is gone
// already.
func (a *Admin) Forget(ctx context.Context, p Person) (Forgotten, error) {
	done, err := a.store.ForgetPerson(ctx, p.ID, time.Time{}, a.clock.now())
	a.generation.Load().forgetPerson(p.Provider, p.Subject)
	wake(a.revocations)
	switch {
	case errors.Is(err, ErrNotFound):
		return done, ErrNoPerson
	case err != nil:
		return done, unavailable(fmt.Errorf("delete a person: %w", err))
	}
	return done, nil
}

// forgetInterval is how often the sweeper looks for persons to be deleted: it reads the
// rows of all who were not seen lately.
const forgetInterval = time.Hour

// forgetPeople deletes the persons whose last session ended cfg.RememberPeople ago.
func (s *sweeper) forgetPeople(ctx context.Context) error {
	now := s.clock.now()
	if now.Before(s.forgot.Add(forgetInterval)) {
		return nil
	}
	at := now.Add(-s.generation.Load().cfg.RememberPeople)
	for {
		page, last, err := s.store.ListForgettable(ctx, at, s.person, batchSize)
		if err != nil {
			return fmt.Errorf("read which people to forget: %w", err)
		}
		for _, id := range page {
			if _, err := s.store.ForgetPerson(ctx, id, at, now); err != nil && !errors.Is(err, ErrNotFound) {
				return fmt.Errorf("delete a person: %w", err)
			}
		}
		if s.person = last; last == 0 {
			s.forgot = now
			return nil
		}
		if len(page) > 0 && !s.pause(ctx) {
			return nil
		}
	}
}
