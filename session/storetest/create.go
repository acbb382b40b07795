package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"shorepass/session"
)

func testCreate(t *testing.T, s session.Store) {
	if _, err := s.Find(t.Context(), hash("a"), session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find before Create: %v, want ErrNotFound", err)
	}
	d := ownDraft("a", "alice")
	upstream := hash("upstream")
	d.Upstream = &upstream
	row := create(t, s, d)
	want := d.Row
	want.Person = session.Person{ID: row.Person.ID, Version: d.Facts.Version, Stamp: "s1", Checked: epoch, Asked: epoch}
	check(t, "Find", *row, want)
	byUpstream, err := s.FindUpstream(t.Context(), upstream)
	must(t, err)
	check(t, "FindUpstream", byUpstream, row)
	if _, err := s.FindUpstream(t.Context(), d.Hash); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("FindUpstream of a token's hash: %v, want ErrNotFound", err)
	}
	if _, err := s.Find(t.Context(), upstream, session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of an upstream hash: %v, want ErrNotFound", err)
	}
	known, err := s.Facts(t.Context(), row.Person.ID)
	must(t, err)
	check(t, "Facts", known, d.Facts)
	sealed, err := s.Renewal(t.Context(), row.Person.ID)
	must(t, err)
	check(t, "Renewal", sealed, d.Sealed)
	if _, err := s.Facts(t.Context(), 1<<40); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Facts of nobody: %v, want ErrNotFound", err)
	}
	if err := s.Create(t.Context(), d, 1000); err == nil {
		t.Error("Create of a hash that is there: no error")
	}
	second := ownDraft("b", "alice")
	second.Upstream = &upstream
	if err := s.Create(t.Context(), second, 1000); err == nil {
		t.Error("Create of an upstream hash that is there: no error")
	}
	if _, err := s.Find(t.Context(), second.Hash, session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of what was not created: %v, want ErrNotFound", err)
	}
}

func testOddNames(t *testing.T, s session.Store) {
	for i, name := range []string{"josé", "o(brien", `CN=Doe\, J`, "'; DROP TABLE session; --", "%_", "日本", ""} {
		d := draft(fmt.Sprint(i), name)
		d.Service, d.Stamp, d.Client.UserAgent = name, name, name
		d.Provider, d.Subject = name, name
		row := create(t, s, d)
		check(t, "service", row.Service, name)
		check(t, "stamp", row.Stamp, name)
		if name == "" {
			continue // which selects everybody
		}
		listed, err := s.List(t.Context(), session.Selector{User: name}, session.Hash{}, 10)
		must(t, err)
		if len(listed) != 1 || listed[0].Facts.User != name || listed[0].Client != d.Client || listed[0].Provider != name || listed[0].Subject != name {
			t.Errorf("List(user %q) = %+v", name, listed)
		}
	}
}

// testFind asks for a person's facts only where they are not known.
func testFind(t *testing.T, s session.Store) {
	d := draft("a", "alice")
	create(t, s, d)
	for name, tc := range map[string]struct {
		known session.Version
		want  []byte
	}{
		"nothing is known": {session.Version{}, d.Facts.Body},
		"another is known": {facts("bob").Version, d.Facts.Body},
		"these are known":  {d.Facts.Version, nil},
	} {
		row, err := s.Find(t.Context(), d.Hash, tc.known)
		must(t, err)
		check(t, name, row.Body, tc.want)
		check(t, name, row.Person.Version, d.Facts.Version)
	}
}

// testOddBytes keeps what a directory may say, and no client: no two of these
// are one person.
func testOddBytes(t *testing.T, s session.Store) {
	persons := make(map[int64]string)
	for i, text := range []string{"a", "a\x00b", "a\x00", "\xff\xfe", "\xff", "\ufffd", "YQ==", "\x01base64:YQ==", "\x01base64:AWJhc2U2NDpZUT09"} {
		d := draft(fmt.Sprint(i), text)
		d.Subject, d.Stamp = text, text
		row := create(t, s, d)
		check(t, "stamp", row.Stamp, text)
		check(t, "the person's stamp", row.Person.Stamp, text)
		if other, ok := persons[row.Person.ID]; ok {
			t.Errorf("%q and %q are one person", text, other)
		}
		persons[row.Person.ID] = text
		known, err := s.Facts(t.Context(), row.Person.ID)
		must(t, err)
		check(t, "facts", known, d.Facts)
		listed, err := s.List(t.Context(), session.Selector{User: text, Subject: text}, session.Hash{}, 10)
		must(t, err)
		if len(listed) != 1 || listed[0].Facts.User != text || listed[0].Subject != text {
			t.Errorf("List(user %q) = %+v", text, listed)
		}
		must(t, s.NoteEnding(t.Context(), text, session.Undo{Person: row.Person, At: row.Person.Asked}))
		must(t, s.Doubt(t.Context(), text, time.Time{}, epoch))
		at := epoch.Add(time.Hour)
		settle(t, s, d.Hash, at, func(p *session.Person) { p.Stamp = text + "2" }, session.Settlement{Facts: &known, End: session.ReasonStamp.Ending("", at), Spare: text + "2"})
		_, err = s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending(text, epoch))
		must(t, err)
		row = find(t, s, d.Hash)
		check(t, "the stamp that changed", row.Person.Stamp, text+"2")
		check(t, "why it ended", row.Why, session.ReasonRevoked) // also over what a provider said
	}
}

func testPersons(t *testing.T, s session.Store) {
	first := create(t, s, draft("a", "alice"))
	later := draft("b", "alice")
	later.Created, later.Facts, later.Stamp = epoch.Add(time.Hour), facts("alice2"), "s2"
	second := create(t, s, later)
	check(t, "the person of a second login", second.Person.ID, first.Person.ID)
	check(t, "the first one's person", find(t, s, first.Hash).Person, second.Person)
	check(t, "the first one's stamp", find(t, s, first.Hash).Stamp, "s1")
	check(t, "the person's stamp", second.Person.Stamp, "s2")
	check(t, "the person's version", second.Person.Version, later.Facts.Version)

	stale := draft("c", "alice")
	third := create(t, s, stale)
	check(t, "the person after a login of before", third.Person, second.Person)

	blank := draft("d", "alice")
	blank.Created, blank.Stamp = epoch.Add(2*time.Hour), ""
	check(t, "the stamp after a login without", create(t, s, blank).Person.Stamp, "s2")

	own, other := create(t, s, ownDraft("e", "alice")), create(t, s, ownDraft("f", "alice"))
	if own.Person.ID == other.Person.ID || own.Person.ID == first.Person.ID {
		t.Errorf("persons of sessions of their own are %d, %d, beside %d", own.Person.ID, other.Person.ID, first.Person.ID)
	}
	for name, change := range map[string]func(*session.Draft){
		"provider id": func(d *session.Draft) { d.ProviderID++ },
		"provider":    func(d *session.Draft) { d.Provider = "other" },
		"subject":     func(d *session.Draft) { d.Subject = "other" },
	} {
		d := draft("another "+name, "alice")
		change(d)
		if got := create(t, s, d).Person.ID; got == first.Person.ID {
			t.Errorf("another %s is the same person", name)
		}
	}
}

func testPerPerson(t *testing.T, s session.Store) {
	at := func(name string, hours int, used bool) session.Hash {
		d := draft(name, "alice")
		d.Created = epoch.Add(time.Duration(hours) * time.Hour)
		must(t, s.Create(t.Context(), d, 100))
		if used {
			must(t, s.Used(t.Context(), []session.Use{{Token: d.Hash, At: d.Created}}))
		}
		return d.Hash
	}
	usedOld, unusedOld, usedNew, unusedNew := at("used old", 1, true), at("unused old", 2, false), at("used new", 3, true), at("unused new", 4, false)
	must(t, s.Create(t.Context(), draft("of bob", "bobby"), 100))
	order := []session.Hash{unusedOld, unusedNew, usedOld, usedNew}
	for i, goes := range order {
		if !find(t, s, goes).Ended.IsZero() {
			t.Fatalf("%d went too early", i)
		}
		d := draft(fmt.Sprint("new ", i), "alice")
		d.Created = epoch.Add(100 * time.Hour)
		d.Evict = session.ReasonPerPerson.Ending("", d.Created)
		must(t, s.Create(t.Context(), d, 4))
		must(t, s.Used(t.Context(), []session.Use{{Token: d.Hash, At: epoch.Add(200 * time.Hour)}}))
		got := find(t, s, goes)
		if got.Why != session.ReasonPerPerson || !got.Ended.Equal(d.Created) {
			t.Errorf("%d: ended %v, %q, want %q", i, got.Ended, got.Why, session.ReasonPerPerson)
		}
		if !find(t, s, d.Hash).Ended.IsZero() {
			t.Error("the new one went")
		}
	}
	if !find(t, s, hash("of bob")).Ended.IsZero() {
		t.Error("somebody else's session went")
	}
}
