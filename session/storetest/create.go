package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"shorepass/session"
)

func testCreate(t *testing.T, s session.Store) {
	if _, err := s.Find(t.Context(), hash("a"), session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find before Create: %v, want ErrNotFound", err)
	}
	d := ownDraft("a", "alice")
	tokenHash := hash("upstream")
	d.ProviderToken = &tokenHash
	row := create(t, s, d)
	want := d.Row
	want.Person = row.Person
	want.SignIn = session.SignIn{ID: row.SignIn.ID, Version: d.Identity.Version, Stamp: "s1", TokenVersion: 1, Checked: epoch, Asked: epoch}
	check(t, "Find", *row, want)
	byProviderToken, err := s.FindByProviderToken(t.Context(), tokenHash)
	must(t, err)
	check(t, "FindByProviderToken", byProviderToken, row)
	if _, err := s.FindByProviderToken(t.Context(), d.Hash); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("FindByProviderToken of a token's hash: %v, want ErrNotFound", err)
	}
	if _, err := s.Find(t.Context(), tokenHash, session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of an upstream hash: %v, want ErrNotFound", err)
	}
	known, err := s.Identity(t.Context(), row.SignIn.ID)
	must(t, err)
	check(t, "Identity", known, d.Identity)
	sealed, err := s.ProviderToken(t.Context(), row.SignIn.ID)
	must(t, err)
	check(t, "ProviderToken", sealed, session.ProviderToken{TokenVersion: 1, LoginID: d.LoginID, Body: d.Sealed})
	if _, err := s.Identity(t.Context(), 1<<40); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Identity of nobody: %v, want ErrNotFound", err)
	}
	if err := s.Create(t.Context(), d); err == nil {
		t.Error("Create of a hash that is there: no error")
	}
	second := ownDraft("b", "alice")
	second.ProviderToken = &tokenHash
	if err := s.Create(t.Context(), second); err == nil {
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
		if len(listed) != 1 || listed[0].Identity.User != name || listed[0].Client != d.Client || listed[0].Provider != name || listed[0].Subject != name {
			t.Errorf("List(user %q) = %+v", name, listed)
		}
	}
}

// testFind asks for a person's identity only where they are not known.
func testFind(t *testing.T, s session.Store) {
	d := draft("a", "alice")
	create(t, s, d)
	for name, tc := range map[string]struct {
		known session.Version
		want  []byte
	}{
		"nothing is known": {session.Version{}, d.Identity.Body},
		"another is known": {identity("bob").Version, d.Identity.Body},
		"these are known":  {d.Identity.Version, nil},
	} {
		row, err := s.Find(t.Context(), d.Hash, tc.known)
		must(t, err)
		check(t, name, row.Body, tc.want)
		check(t, name, row.SignIn.Version, d.Identity.Version)
	}
}

// testOddBytes keeps what a directory may say, and no client: no two of these
// are one person.
func testOddBytes(t *testing.T, s session.Store) {
	persons := make(map[int64]string)
	for i, text := range []string{"a", "a\x00b", "a\x00", "\xff\xfe", "\xff", "\ufffd", "YQ==", "\x01base64:YQ==", "\x01base64:AWJhc2U2NDpZUT09"} {
		d := draft(fmt.Sprint(i), text)
		d.Subject, d.Stamp = text, text
		d.Login.Name, d.Login.SID, d.Login.ACR, d.Login.AMR, d.Limits, d.Label = text, text, text, nil, text, text
		row := create(t, s, d)
		check(t, "stamp", row.Stamp, text)
		check(t, "the person's stamp", row.SignIn.Stamp, text)
		if other, ok := persons[row.SignIn.ID]; ok {
			t.Errorf("%q and %q are one person", text, other)
		}
		persons[row.SignIn.ID] = text
		known, err := s.Identity(t.Context(), row.SignIn.ID)
		must(t, err)
		check(t, "identity", known, d.Identity)
		listed, err := s.List(t.Context(), session.Selector{User: text, Subject: text}, session.Hash{}, 10)
		must(t, err)
		if len(listed) != 1 || listed[0].Identity.User != text || listed[0].Subject != text {
			t.Errorf("List(user %q) = %+v", text, listed)
		}
		storeAnswer(t, s, d.Hash, epoch.Add(time.Hour), func(s *session.SignIn) { s.Stamp = text + "2" }, session.AnswerUpdate{})
		_, err = s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending(text, epoch))
		must(t, err)
		check(t, "the stamp that changed", find(t, s, d.Hash).SignIn.Stamp, text+"2")
	}
}

func testPersons(t *testing.T, s session.Store) {
	first := create(t, s, draft("a", "alice"))
	later := draft("b", "alice")
	later.Created, later.Identity, later.Stamp = epoch.Add(time.Hour), identity("alice2"), "s2"
	second := create(t, s, later)
	check(t, "the sign-in of a second login", second.SignIn.ID, first.SignIn.ID)
	check(t, "the first one's sign-in", find(t, s, first.Hash).SignIn, second.SignIn)
	check(t, "the first one's stamp", find(t, s, first.Hash).Stamp, "s1")
	check(t, "the sign-in's stamp", second.SignIn.Stamp, "s2")
	check(t, "the sign-in's version", second.SignIn.Version, later.Identity.Version)

	stale := draft("c", "alice")
	third := create(t, s, stale)
	check(t, "the sign-in after a login of before", third.SignIn, second.SignIn)

	blank := draft("d", "alice")
	blank.Created, blank.Stamp = epoch.Add(2*time.Hour), ""
	check(t, "the stamp after a login without", create(t, s, blank).SignIn.Stamp, "s2")

	own, other := create(t, s, ownDraft("e", "alice")), create(t, s, ownDraft("f", "alice"))
	if own.SignIn.ID == other.SignIn.ID || own.SignIn.ID == first.SignIn.ID {
		t.Errorf("sign-ins of logins of their own are %d, %d, beside %d", own.SignIn.ID, other.SignIn.ID, first.SignIn.ID)
	}
	check(t, "the person of a login of its own", own.Person, first.Person)
	for name, change := range map[string]func(*session.Draft){
		"provider id": func(d *session.Draft) { d.ProviderID++ },
		"provider":    func(d *session.Draft) { d.Provider = "other" },
		"subject":     func(d *session.Draft) { d.Subject = "other" },
	} {
		d := draft("another "+name, "alice")
		change(d)
		got := create(t, s, d)
		if got.SignIn.ID == first.SignIn.ID {
			t.Errorf("another %s has the same sign-in", name)
		}
		check(t, "another "+name+" is the same person", got.Person == first.Person, name == "provider id")
	}

	// The user name is the person's: the one that was read last.
	listed, err := s.List(t.Context(), session.Selector{ID: own.Hash.ID()}, session.Hash{}, 10)
	must(t, err)
	check(t, "the user name of another sign-in", listed[0].Identity.User, "alice")
	renamed := identity("alice3")
	storeAnswer(t, s, other.Hash, epoch.Add(3*time.Hour), func(s *session.SignIn) { s.Version = renamed.Version }, session.AnswerUpdate{Identity: &renamed})
	for name, want := range map[string]int{"alice3": 6, "alice": 0, "alice2": 0} {
		listed, err := s.List(t.Context(), session.Selector{User: name, Provider: "corp", Subject: "subject of alice"}, session.Hash{}, 10)
		must(t, err)
		check(t, "sessions of "+name, len(listed), want+map[bool]int{true: 1}[want > 0]) // the one of another provider id
	}
}

// testSharedToken puts the refresh token of each login in the place of the last,
// where the provider keeps one for each person.
func testSharedToken(t *testing.T, s session.Store) {
	login := func(name string, at time.Time, sealed string) *session.Row {
		d := draft(name, "alice")
		d.Created = at
		if sealed != "" {
			d.Sealed = []byte(sealed)
		}
		return create(t, s, d)
	}
	providerToken := func(when string, signIn int64, want session.ProviderToken) {
		t.Helper()
		got, err := s.ProviderToken(t.Context(), signIn)
		must(t, err)
		check(t, when, got, want)
	}
	first := login("a", epoch, "one")
	providerToken("the first login", first.SignIn.ID, session.ProviderToken{TokenVersion: 1, Body: []byte("one")})
	second := login("b", epoch.Add(time.Hour), "two")
	check(t, "the sign-in of the second", second.SignIn.ID, first.SignIn.ID)
	providerToken("the second login", first.SignIn.ID, session.ProviderToken{TokenVersion: 2, Body: []byte("two")})
	login("c", epoch.Add(2*time.Hour), "")
	providerToken("a login that brings none", first.SignIn.ID, session.ProviderToken{TokenVersion: 2, Body: []byte("two")})
	login("d", epoch, "late")
	providerToken("a login that was kept late", first.SignIn.ID, session.ProviderToken{TokenVersion: 3, Body: []byte("late")})
	_, err := s.End(t.Context(), []session.Hash{hash("a"), hash("b"), hash("c")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	taken, err := s.TakeRevocable(t.Context(), epoch, 10)
	must(t, err)
	check(t, "to revoke while one lives", len(taken), 0)
	_, err = s.End(t.Context(), []session.Hash{hash("d")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	login("e", epoch.Add(3*time.Hour), "")
	taken, err = s.TakeRevocable(t.Context(), epoch, 10)
	must(t, err)
	check(t, "to revoke after another login", len(taken), 0)
}

// testYield attaches sessions to a sign-in as it is.
func testYield(t *testing.T, s session.Store) {
	from := create(t, s, ownDraft("a", "alice"))
	d := &session.Draft{Row: *from, Derived: true, Bound: 10, Label: "laptop", MadeBy: "an operator", Client: draft("", "").Client}
	d.Hash, d.Kind, d.Service, d.Limits, d.Created = hash("pat"), session.KindPAT, "", `{"services":["registry"]}`, epoch.Add(time.Hour)
	row := create(t, s, d)
	want := d.Row
	want.SignIn = from.SignIn
	check(t, "what it yields", *row, want)
	listed, err := s.List(t.Context(), session.Selector{Kind: session.KindPAT}, session.Hash{}, 10)
	must(t, err)
	if len(listed) != 1 || listed[0].Label != "laptop" || listed[0].MadeBy != "an operator" || listed[0].Subject != "subject of alice" {
		t.Errorf("List of what it yields = %+v", listed)
	}
	_, err = s.End(t.Context(), []session.Hash{from.Hash}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	taken, err := s.TakeRevocable(t.Context(), epoch, 10)
	must(t, err)
	check(t, "to revoke while what it yielded lives", len(taken), 0)
	d.Hash, d.SignIn.ID = hash("of nothing"), 1<<40
	if err := s.Create(t.Context(), d); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Create at a sign-in that is not there: %v, want ErrNotFound", err)
	}
}

// testPerPerson asks the draft which session is evicted.
func testPerPerson(t *testing.T, s session.Store) {
	tokenHash := hash("upstream")
	for i, name := range []string{"a", "b", "c"} {
		d := ownDraft(name, "alice")
		d.Created = epoch.Add(time.Duration(i) * time.Hour)
		if name == "b" {
			d.ProviderToken = &tokenHash
		}
		create(t, s, d)
	}
	must(t, s.WriteLastUses(t.Context(), []session.LastUse{{Token: hash("c"), At: epoch.Add(9 * time.Hour)}}))
	create(t, s, draft("of bob", "bobby"))
	pat := draft("a PAT", "alice")
	pat.Kind = session.KindPAT
	create(t, s, pat)

	d := ownDraft("d", "alice")
	d.Bound, d.Created = 4, epoch.Add(3*time.Hour)
	d.Admit = func([]session.LiveSession) (session.Eviction, error) {
		t.Error("Admit was called below the bound")
		return session.Eviction{}, nil
	}
	create(t, s, d)
	refused := ownDraft("refused", "alice")
	refused.Bound = 4
	refused.Admit = func(live []session.LiveSession) (session.Eviction, error) {
		slices.SortFunc(live, func(a, b session.LiveSession) int { return a.Created.Compare(b.Created) })
		check(t, "who lives", live, []session.LiveSession{
			{Hash: hash("a"), Created: epoch},
			{Hash: hash("b"), Created: epoch.Add(time.Hour), ProviderToken: true},
			{Hash: hash("c"), Created: epoch.Add(2 * time.Hour), Used: epoch.Add(9 * time.Hour)},
			{Hash: hash("d"), Created: epoch.Add(3 * time.Hour)},
		})
		return session.Eviction{}, session.ErrTooMany
	}
	if err := s.Create(t.Context(), refused); !errors.Is(err, session.ErrTooMany) {
		t.Errorf("Create that is not admitted: %v, want ErrTooMany", err)
	}
	if _, err := s.Find(t.Context(), refused.Hash, session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of what was not admitted: %v, want ErrNotFound", err)
	}
	at := epoch.Add(10 * time.Hour)
	last := ownDraft("e", "alice")
	last.Bound = 4
	last.Admit = func([]session.LiveSession) (session.Eviction, error) {
		return session.Eviction{Ending: session.ReasonPerPerson.Ending("", at), End: []session.Hash{hash("b")}, Delete: []session.Hash{hash("a")}}, nil
	}
	create(t, s, last)
	check(t, "what ends", find(t, s, hash("b")).Reason, session.ReasonPerPerson)
	if _, err := s.Find(t.Context(), hash("a"), session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of what is deleted: %v, want ErrNotFound", err)
	}
	taken, err := s.TakeRevocable(t.Context(), at, 10)
	must(t, err)
	check(t, "refresh tokens to revoke of what gave way", len(taken), 2)
	for _, name := range []string{"c", "d", "e", "of bob", "a PAT"} {
		check(t, name, find(t, s, hash(name)).Reason, "")
	}
}

// testKeepEnded forgets the ended sessions of a person that are too many, those
// that ended first.
func testKeepEnded(t *testing.T, s session.Store) {
	tokenHash := hash("upstream")
	end := func(name string, hours int, change func(*session.Draft)) {
		d := ownDraft(name, "alice")
		d.Sealed = nil
		change(d)
		create(t, s, d)
		_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending("", epoch.Add(time.Duration(hours)*time.Hour)))
		must(t, err)
	}
	end("upstream", 1, func(d *session.Draft) { d.ProviderToken = &tokenHash })
	end("a PAT", 1, func(d *session.Draft) { d.Kind = session.KindPAT })
	end("of bob", 1, func(d *session.Draft) { d.Subject = "bob" })
	for i, name := range []string{"d", "a", "c", "b"} {
		end(name, 2+i, func(*session.Draft) {})
	}
	first := find(t, s, hash("d")).SignIn.ID
	d := draft("e", "alice")
	d.KeepEnded = 2
	create(t, s, d)
	for name, kept := range map[string]bool{"d": false, "a": false, "c": true, "b": true, "e": true, "upstream": true, "a PAT": true, "of bob": true} {
		if _, err := s.Find(t.Context(), hash(name), session.Version{}); kept != (err == nil) || !kept && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Find of %q: %v, want it kept: %v", name, err, kept)
		}
	}
	if _, err := s.Identity(t.Context(), first); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Identity of the sign-in of what is forgotten: %v, want ErrNotFound", err)
	}
}
