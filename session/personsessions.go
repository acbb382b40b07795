package session

import (
	"context"
	"fmt"
	"slices"
	"time"

	"shorepass/providers"
)

// Bounds of PersonSessions. All kinds but refresh tokens have lower bounds of their own.
const (
	maxListedLive  = 200
	maxListedEnded = 50
)

// PersonSessions are the sessions of a person, as a page shows them. Their Identity has
// no groups and no claims.
type PersonSessions struct {
	Live      []Session // the newest first, at most 200: all that are no refresh tokens, and the newest of those
	Ended     []Session // those that ended last first, at most 50
	LiveCount int       // of all live sessions, listed or not
}

// ListPerson returns the sessions of a person, in one bounded read.
func (a *Admin) ListPerson(ctx context.Context, provider, subject string) (*PersonSessions, error) {
	rows, count, err := a.store.ListPerson(ctx, provider, subject, maxListedLive, maxListedEnded)
	if err != nil {
		return nil, unavailable(fmt.Errorf("list the sessions of a person: %w", err))
	}
	g, all := a.generation.Load(), &PersonSessions{LiveCount: count}
	for i := range rows {
		id := &providers.Identity{Provider: rows[i].Provider, Subject: rows[i].Subject, User: rows[i].Identity.User}
		if one := *g.listed(&selectedSession{rows[i], id}); one.Ended.IsZero() {
			all.Live = append(all.Live, one)
		} else {
			all.Ended = append(all.Ended, one)
		}
	}
	slices.SortFunc(all.Live, func(a, b Session) int { return b.Created.Compare(a.Created) })
	slices.SortFunc(all.Ended, func(a, b Session) int { return b.Ended.Compare(a.Ended) })
	return all, nil
}

// New returns the IDs of the sessions that were made since the person's previous visit,
// seen from the browser's session with the ID current: since the last use of any other
// browser's session. A session is no visit before itself, so that a stranger's cannot
// hide itself. At the first visit nothing is new.
func (p *PersonSessions) New(current string) map[string]bool {
	all := slices.Concat(p.Live, p.Ended)
	var browsers []*Session
	for i := range all {
		if all[i].Kind == KindBrowser && all[i].ID != current {
			browsers = append(browsers, &all[i])
		}
	}
	made := make(map[string]bool)
	for i := range all {
		one := &all[i]
		previous := lastVisit(browsers, one.ID)
		if one.ID != current && !previous.IsZero() && one.Created.After(previous) {
			made[one.ID] = true
		}
	}
	return made
}

// lastVisit returns when one of the browsers' sessions, but not the one with the ID
// except, was last used; the zero Time if there is none.
func lastVisit(browsers []*Session, except string) (last time.Time) {
	for _, b := range browsers {
		if b.ID == except {
			continue
		}
		for _, at := range []time.Time{b.Created, b.LastUsed} {
			if at.After(last) {
				last = at
			}
		}
	}
	return last
}
