package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"shorepass/session"
)

// listPersons lists persons in pages of two.
func listPersons(t *testing.T, s session.Store, user, provider string) (all []session.Person) {
	t.Helper()
	after := int64(0)
	for {
		page, err := s.ListPersons(t.Context(), user, provider, after, 2)
		must(t, err)
		if all = append(all, page...); len(page) < 2 {
			return all
		}
		after = page[1].ID
	}
}

func testListPersons(t *testing.T, s session.Store) {
	for i, user := range []string{"alice", "bob", "carol"} {
		d := draft(user, user)
		d.Created = epoch.Add(time.Duration(i) * time.Hour)
		create(t, s, d)
	}
	create(t, s, draft("again", "bob"))
	elsewhere := draft("elsewhere", "bob")
	elsewhere.Provider, elsewhere.Subject = "sso", "another bob"
	create(t, s, elsewhere)
	_, err := s.End(t.Context(), []session.Hash{hash("alice"), hash("again")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	for _, tc := range []struct {
		user, provider string
		want           []session.Person
	}{
		{"", "", []session.Person{
			{Provider: "corp", Subject: "subject of alice", User: "alice", LastSeen: epoch},
			{Provider: "corp", Subject: "subject of bob", User: "bob", LastSeen: epoch.Add(time.Hour), Live: 1},
			{Provider: "corp", Subject: "subject of carol", User: "carol", LastSeen: epoch.Add(2 * time.Hour), Live: 1},
			{Provider: "sso", Subject: "another bob", User: "bob", LastSeen: epoch, Live: 1},
		}},
		{"bob", "", []session.Person{
			{Provider: "corp", Subject: "subject of bob", User: "bob", LastSeen: epoch.Add(time.Hour), Live: 1},
			{Provider: "sso", Subject: "another bob", User: "bob", LastSeen: epoch, Live: 1},
		}},
		{"bob", "sso", []session.Person{{Provider: "sso", Subject: "another bob", User: "bob", LastSeen: epoch, Live: 1}}},
		{"BOB", "", nil},
		{"", "nowhere", nil},
	} {
		got := listPersons(t, s, tc.user, tc.provider)
		for i := range got {
			got[i].ID = 0
		}
		check(t, fmt.Sprintf("ListPersons(%q, %q)", tc.user, tc.provider), got, tc.want)
	}
}

// testForgettable: a person is forgettable once last seen at a time or before, without a
// session that lives or ended later.
func testForgettable(t *testing.T, s session.Store) {
	upstream := hash("provider token")
	at := epoch.Add(100 * time.Hour)
	ids := make(map[int64]string)
	for _, tc := range []struct {
		name       string
		used, over int // hours; 0 is never
		token      *session.Hash
	}{
		{"lives", 0, 0, nil},
		{"ended later", 1, 101, nil},
		{"ended", 1, 100, nil},
		{"ended, found by a provider's token", 1, 90, &upstream},
		{"seen later", 101, 99, nil},
	} {
		d := draft(tc.name, tc.name)
		d.ProviderToken = tc.token
		row := create(t, s, d)
		ids[row.Person] = tc.name
		if tc.used > 0 {
			must(t, s.WriteLastUses(t.Context(), []session.LastUse{{Token: d.Hash, At: epoch.Add(time.Duration(tc.used) * time.Hour)}}))
		}
		if tc.over > 0 {
			_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending("", epoch.Add(time.Duration(tc.over)*time.Hour)))
			must(t, err)
		}
	}
	both := create(t, s, draft("another session of a person", "ended"))
	ids[both.Person] = "lives again"
	gone := create(t, s, draft("no session", "no session"))
	ids[gone.Person] = "no session"
	_, err := s.End(t.Context(), []session.Hash{gone.Hash}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	_, err = s.Sweep(t.Context(), session.SweepTimes{DeleteEnded: epoch.Add(time.Hour)}, 10)
	must(t, err)
	list := func(at time.Time) (names []string) {
		after := int64(0)
		for {
			page, last, err := s.ListForgettable(t.Context(), at, after, 2)
			must(t, err)
			for _, id := range page {
				names = append(names, ids[id])
			}
			if after = last; last == 0 {
				return names
			}
		}
	}
	check(t, "persons to forget", list(at), []string{"ended, found by a provider's token", "no session"})
	check(t, "persons to forget before they were last seen", list(epoch.Add(-time.Hour)), nil)
	for id, name := range ids {
		_, err := s.ForgetPerson(t.Context(), id, at, at)
		if want := name == "no session" || name == "ended, found by a provider's token"; want != (err == nil) || !want && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("ForgetPerson of %q = %v, want it to be deleted: %v", name, err, want)
		}
	}
	check(t, "persons to forget afterwards", list(at), nil)
}

// testForgetPerson: what a deleted person leaves are the provider's tokens to be revoked,
// which go with the rest of the person, and the tokens that redeem nothing any more.
func testForgetPerson(t *testing.T, s session.Store) {
	upstream := hash("provider token")
	live, first := create(t, s, perLoginDraft("a", "alice")), perLoginDraft("b", "alice")
	first.ProviderToken = &upstream
	create(t, s, first)
	create(t, s, perLoginDraft("ended", "alice"))
	plain := draft("plain", "alice")
	create(t, s, plain)
	bob := create(t, s, perLoginDraft("c", "bob"))
	grant, bobs := putGrant(t, s, "grant", live), putGrant(t, s, "grant of bob", bob)
	_, err := s.End(t.Context(), []session.Hash{hash("ended")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)

	done, err := s.ForgetPerson(t.Context(), live.Person, time.Time{}, epoch.Add(time.Hour))
	must(t, err)
	check(t, "what ended", done, session.Forgotten{Sessions: 3, Tokens: 3})
	for name, find := range map[string]func() error{
		"a session":                       func() error { _, err := s.Find(t.Context(), live.Hash, session.Version{}); return err },
		"a grant":                         func() error { _, err := s.FindGrant(t.Context(), grant, session.Version{}); return err },
		"a session of a provider's token": func() error { _, err := s.FindByProviderToken(t.Context(), upstream); return err },
		"an identity":                     func() error { _, err := s.Identity(t.Context(), live.SignIn.ID); return err },
	} {
		if err := find(); !errors.Is(err, session.ErrNotFound) {
			t.Errorf("%s of a deleted person: %v, want ErrNotFound", name, err)
		}
	}
	check(t, "persons", len(listPersons(t, s, "", "")), 1)
	listed, err := s.List(t.Context(), session.Selector{Ended: true}, session.Hash{}, 10)
	must(t, err)
	check(t, "sessions left", len(listed), 1)
	check(t, "another person's grant", isGood(t, s, bobs), true)

	for range 2 {
		leased, err := s.LeaseFirstUse(t.Context(), upstream, epoch.Add(900*time.Hour), epoch.Add(901*time.Hour))
		if leased || !errors.Is(err, session.ErrForgotten) {
			t.Errorf("LeaseFirstUse of a deleted session's token = %v, %v, want ErrForgotten", leased, err)
		}
		_, err = s.Sweep(t.Context(), session.SweepTimes{Now: epoch.Add(900 * time.Hour), DeleteUnused: epoch}, 10)
		must(t, err)
	}
	taken, err := s.TakeRevocable(t.Context(), epoch.Add(2*time.Hour), 10)
	must(t, err)
	check(t, "refresh tokens to revoke", len(taken), 3)
	for _, one := range taken {
		check(t, "whose", []any{one.Provider, one.Subject, string(one.Body) == "sealed a" || string(one.Body) == "sealed b" || string(one.Body) == "sealed ended"}, []any{"corp", "subject of alice", true})
	}
	if _, err := s.ForgetPerson(t.Context(), live.Person, time.Time{}, epoch); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("ForgetPerson once the tokens are revoked: %v, want ErrNotFound", err)
	}
}

// testForgottenLogsIn: a person who logs in while refresh tokens of theirs are still to be
// revoked is a person as before.
func testForgottenLogsIn(t *testing.T, s session.Store) {
	login := func(name string) *session.Row {
		d := draft(name, "alice")
		d.Sealed, d.Created = []byte("sealed "+name), epoch.Add(time.Hour)
		return create(t, s, d)
	}
	before := login("a")
	done, err := s.ForgetPerson(t.Context(), before.Person, time.Time{}, epoch.Add(time.Hour))
	must(t, err)
	check(t, "what ended", done, session.Forgotten{Sessions: 1, Tokens: 1})
	after := login("b")
	known, err := s.Identity(t.Context(), after.SignIn.ID)
	must(t, err)
	check(t, "the identity", known, identity("alice"))
	check(t, "persons", len(listPersons(t, s, "alice", "corp")), 1)
	taken, err := s.TakeRevocable(t.Context(), epoch.Add(2*time.Hour), 10)
	must(t, err)
	check(t, "refresh tokens to revoke", len(taken), 0)
}

// testForgetRace: of a login at the same time as the deletion of its person everything or
// nothing is left.
func testForgetRace(t *testing.T, s session.Store) {
	for round := range 10 {
		first := create(t, s, draft(fmt.Sprint("first ", round), "alice"))
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() {
				if err := s.Create(t.Context(), perLoginDraft(fmt.Sprint(round, " ", i), "alice")); err != nil {
					t.Error(err)
				}
			})
		}
		group.Go(func() {
			if _, err := s.ForgetPerson(t.Context(), first.Person, time.Time{}, epoch); err != nil {
				t.Error(err)
			}
		})
		group.Go(func() {
			if _, err := s.End(t.Context(), []session.Hash{first.Hash}, session.ReasonRevoked.Ending("", epoch)); err != nil {
				t.Error(err)
			}
		})
		group.Wait()
		for i := range 2 {
			row, err := s.Find(t.Context(), hash(fmt.Sprint(round, " ", i)), session.Version{})
			if errors.Is(err, session.ErrNotFound) {
				continue
			}
			must(t, err)
			if _, err := s.Identity(t.Context(), row.SignIn.ID); err != nil {
				t.Errorf("the identity of a session that is stored: %v", err)
			}
		}
	}
}
