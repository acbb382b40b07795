package storetest

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shorepass/session"
)

// testGrant: a grant is spent once, in the transaction that creates its session.
func testGrant(t *testing.T, s session.Store) {
	from := create(t, s, perLoginDraft("a", "alice"))
	grant := func(name string) *session.Grant {
		g := &session.Grant{
			Hash: hash(name), Kind: session.KindOneTime, SignIn: from.SignIn.ID, Service: "registry", Stamp: from.Stamp, Login: from.Login,
			Data: "data of " + name, Created: epoch, Expires: epoch.Add(10 * time.Minute),
		}
		must(t, s.PutGrant(t.Context(), g))
		return g
	}
	spend := func(name string, g *session.Grant, at time.Time) error {
		d := &session.Draft{Row: *from, Derived: true, Grant: &g.Hash, Bound: 10}
		d.Hash, d.Created = hash(name), at
		return s.Create(t.Context(), d)
	}
	g := grant("one")
	found, err := s.FindGrant(t.Context(), g.Hash, session.Version{})
	must(t, err)
	identity := perLoginDraft("", "alice").Identity
	check(t, "FindGrant", *found, session.StoredGrant{Data: g.Data, Row: session.Row{
		Hash: g.Hash, Kind: g.Kind, Service: g.Service, Stamp: g.Stamp, Login: g.Login, Created: g.Created, Expires: g.Expires,
		Person: from.Person, ProviderID: from.ProviderID, SignIn: from.SignIn, Body: identity.Body,
	}})
	found, err = s.FindGrant(t.Context(), g.Hash, identity.Version)
	must(t, err)
	check(t, "the body of an identity whose version is known", found.Body, nil)
	if _, err := s.FindGrant(t.Context(), from.Hash, session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("FindGrant of a session's hash: %v, want ErrNotFound", err)
	}

	// A grant keeps the refresh token of its sign-in until it is spent or expires.
	_, err = s.End(t.Context(), []session.Hash{from.Hash}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	taken, err := s.TakeRevocable(t.Context(), epoch, 10)
	must(t, err)
	check(t, "refresh tokens to revoke while a grant can be spent", len(taken), 0)

	var made, spent atomic.Int32
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			switch err := spend(string(rune('b'+i)), g, epoch.Add(time.Minute)); {
			case err == nil:
				made.Add(1)
			case errors.Is(err, session.ErrSpent):
				spent.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	group.Wait()
	check(t, "sessions that eight concurrent requests made", made.Load(), 1)
	check(t, "concurrent requests that were refused", spent.Load(), 7)
	found, err = s.FindGrant(t.Context(), g.Hash, session.Version{})
	must(t, err)
	check(t, "when it was spent", found.LastUsed, epoch.Add(time.Minute))
	late := grant("late")
	if err := spend("too late", late, late.Expires); !errors.Is(err, session.ErrSpent) {
		t.Errorf("a grant that has expired: %v, want ErrSpent", err)
	}

	_, err = s.Sweep(t.Context(), session.SweepTimes{DeleteGrants: late.Expires}, 10)
	must(t, err)
	if _, err := s.FindGrant(t.Context(), g.Hash, session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("FindGrant of a grant that was swept: %v, want ErrNotFound", err)
	}
}

// testKeepGrants: of the grants of a person and kind, across all sign-ins, the
// oldest beyond Keep are deleted.
func testKeepGrants(t *testing.T, s session.Store) {
	alice, again, bob := create(t, s, perLoginDraft("a", "alice")), create(t, s, perLoginDraft("b", "alice")), create(t, s, perLoginDraft("c", "bob"))
	put := func(name string, from *session.Row, kind session.Kind, minutes int) {
		at := epoch.Add(time.Duration(minutes) * time.Minute)
		g := &session.Grant{Hash: hash(name), Kind: kind, SignIn: from.SignIn.ID, Created: at, Expires: at.Add(time.Hour), Keep: 2}
		must(t, s.PutGrant(t.Context(), g))
	}
	put("of bob", bob, session.KindOneTime, 0)
	put("of another kind", alice, "code", 0)
	put("first", again, session.KindOneTime, 0)
	put("second", alice, session.KindOneTime, 1)
	put("third", alice, session.KindOneTime, 2)
	put("fourth", again, session.KindOneTime, 2)
	for name, exists := range map[string]bool{"of bob": true, "of another kind": true, "first": false, "second": false, "third": true, "fourth": true} {
		if _, err := s.FindGrant(t.Context(), hash(name), session.Version{}); exists != (err == nil) || !exists && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("FindGrant of %q: %v, want it to exist: %v", name, err, exists)
		}
	}
}
