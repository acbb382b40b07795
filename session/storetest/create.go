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
	d := perLoginDraft("a", "alice")
	tokenHash := hash("provider token")
	d.ProviderToken = &tokenHash
	row := create(t, s, d)
	want := d.Row
	want.Person = row.Person
	want.SignIn = session.SignIn{ID: row.SignIn.ID, Version: d.Identity.Version, Stamp: "s1", TokenVersion: 1, LastVouched: epoch, LastAsked: epoch}
	check(t, "Find", *row, want)
	byProviderToken, err := s.FindByProviderToken(t.Context(), tokenHash)
	must(t, err)
	check(t, "FindByProviderToken", byProviderToken, row)
	if _, err := s.FindByProviderToken(t.Context(), d.Hash); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("FindByProviderToken of a token's hash: %v, want ErrNotFound", err)
	}
	if _, err := s.Find(t.Context(), tokenHash, session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of a provider token's hash: %v, want ErrNotFound", err)
	}
	known, err := s.Identity(t.Context(), row.SignIn.ID)
	must(t, err)
	check(t, "Identity", known, d.Identity)
	sealed, err := s.ProviderToken(t.Context(), row.SignIn.ID)
	must(t, err)
	check(t, "ProviderToken", sealed, session.ProviderToken{TokenVersion: 1, LoginID: d.LoginID, Body: d.Sealed})
	if _, err := s.Identity(t.Context(), 1<<40); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Identity of a sign-in that does not exist: %v, want ErrNotFound", err)
	}
	if err := s.Create(t.Context(), d); err == nil {
		t.Error("Create with a hash that exists: no error")
	}
	second := perLoginDraft("b", "alice")
	second.ProviderToken = &tokenHash
	if err := s.Create(t.Context(), second); err == nil {
		t.Error("Create with a provider token's hash that exists: no error")
	}
	if _, err := s.Find(t.Context(), second.Hash, session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of a session that was not created: %v, want ErrNotFound", err)
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
			continue // an empty Selector.User selects all
		}
		listed, err := s.List(t.Context(), session.Selector{User: name}, session.Hash{}, 10)
		must(t, err)
		if len(listed) != 1 || listed[0].Identity.User != name || listed[0].Client != d.Client || listed[0].Provider != name || listed[0].Subject != name {
			t.Errorf("List(user %q) = %+v", name, listed)
		}
	}
}

// testFind: Find reads the identity unless the caller knows its version.
func testFind(t *testing.T, s session.Store) {
	d := draft("a", "alice")
	create(t, s, d)
	for name, tc := range map[string]struct {
		known session.Version
		want  []byte
	}{
		"no version is known":      {session.Version{}, d.Identity.Body},
		"another version is known": {identity("bob").Version, d.Identity.Body},
		"its version is known":     {d.Identity.Version, nil},
	} {
		row, err := s.Find(t.Context(), d.Hash, tc.known)
		must(t, err)
		check(t, name, row.Body, tc.want)
		check(t, name, row.SignIn.Version, d.Identity.Version)
	}
}

// testOddBytes: text of a provider may be any bytes. It is stored unchanged, and
// different texts are different persons.
func testOddBytes(t *testing.T, s session.Store) {
	persons := make(map[int64]string)
	for i, text := range []string{"a", "a\x00b", "a\x00", "\xff\xfe", "\xff", "\ufffd", "YQ==", "\x01base64:YQ==", "\x01base64:AWJhc2U2NDpZUT09"} {
		d := draft(fmt.Sprint(i), text)
		d.Subject, d.Stamp = text, text
		d.Login.Name, d.Login.SID, d.Login.ACR, d.Login.AMR, d.Limits, d.Label = text, text, text, nil, text, text
		row := create(t, s, d)
		check(t, "stamp", row.Stamp, text)
		check(t, "the sign-in's stamp", row.SignIn.Stamp, text)
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
		check(t, "the changed stamp", find(t, s, d.Hash).SignIn.Stamp, text+"2")
	}
}

func testPersons(t *testing.T, s session.Store) {
	first := create(t, s, draft("a", "alice"))
	later := draft("b", "alice")
	later.Created, later.Identity, later.Stamp = epoch.Add(time.Hour), identity("alice2"), "s2"
	second := create(t, s, later)
	check(t, "the sign-in of a second login", second.SignIn.ID, first.SignIn.ID)
	check(t, "the sign-in of the first session", find(t, s, first.Hash).SignIn, second.SignIn)
	check(t, "the stamp of the first session", find(t, s, first.Hash).Stamp, "s1")
	check(t, "the sign-in's stamp", second.SignIn.Stamp, "s2")
	check(t, "the sign-in's version", second.SignIn.Version, later.Identity.Version)

	stale := draft("c", "alice")
	third := create(t, s, stale)
	check(t, "the sign-in after a login that is older than its row", third.SignIn, second.SignIn)

	blank := draft("d", "alice")
	blank.Created, blank.Stamp = epoch.Add(2*time.Hour), ""
	check(t, "the stamp after a login without one", create(t, s, blank).SignIn.Stamp, "s2")

	own, other := create(t, s, perLoginDraft("e", "alice")), create(t, s, perLoginDraft("f", "alice"))
	if own.SignIn.ID == other.SignIn.ID || own.SignIn.ID == first.SignIn.ID {
		t.Errorf("the sign-ins of two per-login drafts are %d and %d, the shared one is %d, want three", own.SignIn.ID, other.SignIn.ID, first.SignIn.ID)
	}
	check(t, "the person of a per-login sign-in", own.Person, first.Person)
	for name, change := range map[string]func(*session.Draft){
		"provider id": func(d *session.Draft) { d.ProviderID++ },
		"provider":    func(d *session.Draft) { d.Provider = "other" },
		"subject":     func(d *session.Draft) { d.Subject = "other" },
	} {
		d := draft("another "+name, "alice")
		change(d)
		got := create(t, s, d)
		if got.SignIn.ID == first.SignIn.ID {
			t.Errorf("a login with another %s has the same sign-in", name)
		}
		check(t, "a login with another "+name+" has the same person", got.Person == first.Person, name == "provider id")
	}

	// A person has one user name: the one that was read last.
	listed, err := s.List(t.Context(), session.Selector{ID: own.Hash.ID()}, session.Hash{}, 10)
	must(t, err)
	check(t, "the user name of another sign-in", listed[0].Identity.User, "alice")
	renamed := identity("alice3")
	storeAnswer(t, s, other.Hash, epoch.Add(3*time.Hour), func(s *session.SignIn) { s.Version = renamed.Version }, session.AnswerUpdate{Identity: &renamed})
	for name, want := range map[string]int{"alice3": 6, "alice": 0, "alice2": 0} {
		listed, err := s.List(t.Context(), session.Selector{User: name, Provider: "corp", Subject: "subject of alice"}, session.Hash{}, 10)
		must(t, err)
		check(t, "sessions of "+name, len(listed), want+map[bool]int{true: 1}[want > 0]) // and the session with another provider id
	}
}

// testSharedToken: where logins share a sign-in, a login's refresh token replaces
// the one before, and the sign-in's token is revocable only without a live session.
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
	check(t, "the sign-in of the second session", second.SignIn.ID, first.SignIn.ID)
	providerToken("the second login", first.SignIn.ID, session.ProviderToken{TokenVersion: 2, Body: []byte("two")})
	held := func(when, subject string, providerID int64, want bool) {
		t.Helper()
		got, err := s.HoldsProviderToken(t.Context(), "corp", subject, providerID)
		must(t, err)
		check(t, "HoldsProviderToken "+when, got, want)
	}
	held("after a login that brought one", "subject of alice", -42, true)
	held("of another person", "subject of bob", -42, false)
	held("at another provider of that name", "subject of alice", -43, false)
	create(t, s, perLoginDraft("own", "bob"))
	held("with a sign-in of one login", "subject of bob", -42, false)
	login("c", epoch.Add(2*time.Hour), "")
	providerToken("a login that brings none", first.SignIn.ID, session.ProviderToken{TokenVersion: 2, Body: []byte("two")})
	login("d", epoch, "late")
	providerToken("a login that was stored after a later one", first.SignIn.ID, session.ProviderToken{TokenVersion: 3, Body: []byte("late")})
	_, err := s.End(t.Context(), []session.Hash{hash("a"), hash("b"), hash("c")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	taken, err := s.TakeRevocable(t.Context(), epoch, 10)
	must(t, err)
	check(t, "tokens to revoke while a session lives", len(taken), 0)
	_, err = s.End(t.Context(), []session.Hash{hash("d")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	held("once it is due to be revoked", "subject of alice", -42, false)
	login("e", epoch.Add(3*time.Hour), "")
	held("after another login", "subject of alice", -42, true)
	taken, err = s.TakeRevocable(t.Context(), epoch, 10)
	must(t, err)
	check(t, "tokens to revoke after another login", len(taken), 0)
}

// testDerive: a derived session points to the sign-in of its parent, and does not
// change it.
func testDerive(t *testing.T, s session.Store) {
	from := create(t, s, perLoginDraft("a", "alice"))
	d := &session.Draft{Row: *from, Derived: true, Bound: 10, Label: "laptop", MadeBy: "an operator", Client: draft("", "").Client}
	d.Hash, d.Kind, d.Service, d.Limits, d.Created = hash("pat"), session.KindPAT, "", `{"services":["registry"]}`, epoch.Add(time.Hour)
	row := create(t, s, d)
	want := d.Row
	want.SignIn = from.SignIn
	check(t, "the derived session", *row, want)
	listed, err := s.List(t.Context(), session.Selector{Kind: session.KindPAT}, session.Hash{}, 10)
	must(t, err)
	if len(listed) != 1 || listed[0].Label != "laptop" || listed[0].MadeBy != "an operator" || listed[0].Subject != "subject of alice" {
		t.Errorf("List of the derived session = %+v", listed)
	}
	_, err = s.End(t.Context(), []session.Hash{from.Hash}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	taken, err := s.TakeRevocable(t.Context(), epoch, 10)
	must(t, err)
	check(t, "tokens to revoke while the derived session lives", len(taken), 0)
	d.Hash, d.SignIn.ID = hash("without a sign-in"), 1<<40
	if err := s.Create(t.Context(), d); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Create for a sign-in that does not exist: %v, want ErrNotFound", err)
	}
}

// testPerPerson: at the bound the draft's Admit chooses the sessions to evict, or
// refuses the new one. Without Admit there is no bound.
func testPerPerson(t *testing.T, s session.Store) {
	tokenHash := hash("provider token")
	for i, name := range []string{"a", "b", "c"} {
		d := perLoginDraft(name, "alice")
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

	d := perLoginDraft("d", "alice")
	d.Bound, d.Created = 4, epoch.Add(3*time.Hour)
	d.Admit = func([]session.LiveSession) (session.Eviction, error) {
		t.Error("Admit was called below the bound")
		return session.Eviction{}, nil
	}
	create(t, s, d)
	refused := perLoginDraft("refused", "alice")
	refused.Bound = 4
	refused.Admit = func(live []session.LiveSession) (session.Eviction, error) {
		slices.SortFunc(live, func(a, b session.LiveSession) int { return a.Created.Compare(b.Created) })
		check(t, "live sessions", live, []session.LiveSession{
			{Hash: hash("a"), Created: epoch},
			{Hash: hash("b"), Created: epoch.Add(time.Hour), ProviderToken: true},
			{Hash: hash("c"), Created: epoch.Add(2 * time.Hour), LastUsed: epoch.Add(9 * time.Hour)},
			{Hash: hash("d"), Created: epoch.Add(3 * time.Hour)},
		})
		return session.Eviction{}, session.ErrTooMany
	}
	if err := s.Create(t.Context(), refused); !errors.Is(err, session.ErrTooMany) {
		t.Errorf("Create that is not admitted: %v, want ErrTooMany", err)
	}
	if _, err := s.Find(t.Context(), refused.Hash, session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of the session that was not admitted: %v, want ErrNotFound", err)
	}
	at := epoch.Add(10 * time.Hour)
	last := perLoginDraft("e", "alice")
	last.Bound = 4
	last.Admit = func([]session.LiveSession) (session.Eviction, error) {
		return session.Eviction{Ending: session.ReasonPerPerson.Ending("", at), End: []session.Hash{hash("b")}, Delete: []session.Hash{hash("a")}}, nil
	}
	create(t, s, last)
	check(t, "the evicted session that ends", find(t, s, hash("b")).Reason, session.ReasonPerPerson)
	if _, err := s.Find(t.Context(), hash("a"), session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of the evicted session that is deleted: %v, want ErrNotFound", err)
	}
	taken, err := s.TakeRevocable(t.Context(), at, 10)
	must(t, err)
	check(t, "refresh tokens of the evicted sessions to revoke", len(taken), 2)
	unbounded := perLoginDraft("unbounded", "alice")
	unbounded.Bound, unbounded.Admit = 0, nil
	create(t, s, unbounded)
	for _, name := range []string{"c", "d", "e", "unbounded", "of bob", "a PAT"} {
		check(t, name, find(t, s, hash(name)).Reason, "")
	}
}

// testKeepEnded: of a person's ended sessions of a kind, those beyond KeepEnded
// that ended first are deleted.
func testKeepEnded(t *testing.T, s session.Store) {
	tokenHash := hash("provider token")
	end := func(name string, hours int, change func(*session.Draft)) {
		d := perLoginDraft(name, "alice")
		d.Sealed = nil
		change(d)
		create(t, s, d)
		_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending("", epoch.Add(time.Duration(hours)*time.Hour)))
		must(t, err)
	}
	end("provider token", 1, func(d *session.Draft) { d.ProviderToken = &tokenHash })
	end("a PAT", 1, func(d *session.Draft) { d.Kind = session.KindPAT })
	end("of bob", 1, func(d *session.Draft) { d.Subject = "bob" })
	for i, name := range []string{"d", "a", "c", "b"} {
		end(name, 2+i, func(*session.Draft) {})
	}
	first := find(t, s, hash("d")).SignIn.ID
	d := draft("e", "alice")
	d.KeepEnded = 2
	create(t, s, d)
	for name, exists := range map[string]bool{"d": false, "a": false, "c": true, "b": true, "e": true, "provider token": true, "a PAT": true, "of bob": true} {
		if _, err := s.Find(t.Context(), hash(name), session.Version{}); exists != (err == nil) || !exists && !errors.Is(err, session.ErrNotFound) {
			t.Errorf("Find of %q: %v, want it to exist: %v", name, err, exists)
		}
	}
	if _, err := s.Identity(t.Context(), first); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Identity of the sign-in of a deleted session: %v, want ErrNotFound", err)
	}
}
