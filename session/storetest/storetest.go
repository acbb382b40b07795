// Package storetest holds any [session.Store] against its contract.
package storetest

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"shorepass/providers"
	"shorepass/session"
)

// Run plays the contract on stores that open opens: each new and empty, and
// closed by the test's end.
func Run(t *testing.T, open func(t *testing.T) session.Store) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, s session.Store)
	}{
		{"what was created is found", testCreate},
		{"odd names are kept as they are", testOddNames},
		{"odd bytes of a provider too", testOddBytes},
		{"persons are shared, or a session's own", testPersons},
		{"too many sessions of a person", testPerPerson},
		{"one lease at a time", testLease},
		{"answers", testSettle},
		{"answers that end sessions", testSettleEnds},
		{"answers taken back", testRestore},
		{"claims", testClaim},
		{"uses", testUsed},
		{"endings", testEnd},
		{"lists", testList},
		{"sweeps", testSweep},
		{"farewells", testFarewells},
		{"sealing anew", testReseal},
		{"settings", testSettings},
		{"a revocation at once with everything else", testConcurrent},
		{"after closing", testClosed},
	} {
		t.Run(tc.name, func(t *testing.T) { tc.test(t, open(t)) })
	}
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func hash(text string) session.Hash { return sha256.Sum256([]byte(text)) }

func facts(user string) session.Facts {
	f := session.Facts{User: user, Body: fmt.Appendf(nil, `{"user":%q}`, user)}
	sum := sha256.Sum256(f.Body)
	copy(f.Version[:], sum[:])
	return f
}

// draft is a session of a person whose row is shared.
func draft(name, user string) *session.Draft {
	return &session.Draft{
		Row: session.Row{
			Hash: hash(name), Kind: session.KindRefresh, Method: providers.MethodPassword, Service: "registry",
			Mark: -42, Stamp: "s1", Created: epoch, Expires: epoch.Add(1000 * time.Hour),
			Person: session.Person{Stamp: "s1", Checked: epoch},
		},
		Who: -int64(facts(user).Version[0])<<40 - int64(facts(user).Version[1]), Provider: "corp", Subject: "subject of " + user, Facts: facts(user),
		Client: session.Client{Address: netip.MustParseAddr("192.0.2.7"), ID: "docker", UserAgent: "docker/28"},
	}
}

// ownDraft is a session that its provider is asked about alone.
func ownDraft(name, user string) *session.Draft {
	d := draft(name, user)
	d.Own, d.Sealed = true, []byte("sealed "+name)
	return d
}

func create(t *testing.T, s session.Store, d *session.Draft) *session.Row {
	t.Helper()
	must(t, s.Create(t.Context(), d, 1000))
	return find(t, s, d.Hash)
}

func find(t *testing.T, s session.Store, h session.Hash) *session.Row {
	t.Helper()
	row, err := s.Find(t.Context(), h)
	must(t, err)
	return row
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func check[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func testCreate(t *testing.T, s session.Store) {
	if _, err := s.Find(t.Context(), hash("a")); !errors.Is(err, session.ErrNotFound) {
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
	if _, err := s.Find(t.Context(), upstream); !errors.Is(err, session.ErrNotFound) {
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
	if _, err := s.Find(t.Context(), second.Hash); !errors.Is(err, session.ErrNotFound) {
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

// testOddBytes keeps what a directory may say, and no client: no two of these
// are one person.
func testOddBytes(t *testing.T, s session.Store) {
	persons := make(map[int64]string)
	for i, text := range []string{"a", "a\x00b", "a\x00", "\xff\xfe", "\xff", "\ufffd", "YQ==", "\x01base64:YQ==", "\x01base64:AWJhc2U2NDpZUT09"} {
		d := draft(fmt.Sprint(i), text)
		d.Subject, d.Stamp, d.Person.Stamp = text, text, text
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
		must(t, s.Restore(t.Context(), []session.Undo{{Person: row.Person, At: row.Person.Asked}}))
		settle(t, s, d.Hash, session.Settlement{At: epoch.Add(time.Hour), Answer: session.AnswerVouched, Facts: &known, Stamp: text + "2", End: session.ReasonStamp})
		_, err = s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked, text, epoch)
		must(t, err)
		row = find(t, s, d.Hash)
		check(t, "the stamp that changed", row.Person.Stamp, text+"2")
		check(t, "why it ended", row.Why, session.ReasonStamp)
	}
}

func testPersons(t *testing.T, s session.Store) {
	first := create(t, s, draft("a", "alice"))
	later := draft("b", "alice")
	later.Created, later.Person.Checked = epoch.Add(time.Hour), epoch.Add(time.Hour)
	later.Facts, later.Stamp, later.Person.Stamp = facts("alice2"), "s2", "s2"
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
	blank.Stamp, blank.Person.Stamp, blank.Person.Checked = "", "", epoch.Add(2*time.Hour)
	check(t, "the stamp after a login without", create(t, s, blank).Person.Stamp, "s2")

	own, other := create(t, s, ownDraft("e", "alice")), create(t, s, ownDraft("f", "alice"))
	if own.Person.ID == other.Person.ID || own.Person.ID == first.Person.ID {
		t.Errorf("persons of sessions of their own are %d, %d, beside %d", own.Person.ID, other.Person.ID, first.Person.ID)
	}
	for name, change := range map[string]func(*session.Draft){
		"mark":     func(d *session.Draft) { d.Mark++ },
		"provider": func(d *session.Draft) { d.Provider = "other" },
		"subject":  func(d *session.Draft) { d.Subject = "other" },
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

func testLease(t *testing.T, s session.Store) {
	row := create(t, s, draft("a", "alice"))
	p := row.Person
	now := epoch.Add(time.Hour)
	var won atomic.Int32
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			ok, err := s.Lease(t.Context(), p.ID, p.Asked, now, now.Add(15*time.Second))
			if err != nil {
				t.Error(err)
			}
			if ok {
				won.Add(1)
			}
		})
	}
	group.Wait()
	check(t, "leases won by twenty at once", won.Load(), 1)
	check(t, "the lease", find(t, s, row.Hash).Person.Lease, now.Add(15*time.Second))
	lease := func(asked, now time.Time) bool {
		t.Helper()
		ok, err := s.Lease(t.Context(), p.ID, asked, now, now.Add(15*time.Second))
		must(t, err)
		return ok
	}
	check(t, "while it lasts", lease(p.Asked, now.Add(14*time.Second)), false)
	check(t, "after its end", lease(p.Asked, now.Add(15*time.Second)), true)
	if _, err := s.Settle(t.Context(), &session.Settlement{Person: p.ID, Lease: now.Add(15 * time.Second), At: now, Answer: session.AnswerDown}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Settle by who lost the lease: %v, want ErrNotFound", err)
	}
	_, err := s.Settle(t.Context(), &session.Settlement{Person: p.ID, Lease: now.Add(30 * time.Second), At: now.Add(16 * time.Second), Answer: session.AnswerDown})
	must(t, err)
	check(t, "by who saw it before it was asked", lease(p.Asked, now.Add(time.Minute)), false)
	check(t, "by who saw the answer", lease(now.Add(16*time.Second), now.Add(time.Minute)), true)
}

// settle takes a lease and keeps an answer.
func settle(t *testing.T, s session.Store, h session.Hash, a session.Settlement) int {
	t.Helper()
	row := find(t, s, h)
	until := a.At.Add(15 * time.Second)
	won, err := s.Lease(t.Context(), row.Person.ID, row.Person.Asked, a.At, until)
	must(t, err)
	if !won {
		t.Fatalf("no lease for %+v", row.Person)
	}
	a.Person, a.Lease = row.Person.ID, until
	n, err := s.Settle(t.Context(), &a)
	must(t, err)
	return n
}

func testSettle(t *testing.T, s session.Store) {
	d := ownDraft("a", "alice")
	id := create(t, s, d).Person.ID
	known := facts("alice the second")
	person := session.Person{ID: id, Version: d.Facts.Version, Stamp: "s1", Checked: epoch}
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	sealed := d.Sealed
	for _, tc := range []struct {
		name   string
		answer session.Settlement
		want   func()
	}{
		{"down", session.Settlement{At: at(1), Answer: session.AnswerDown}, func() {}},
		{"gone", session.Settlement{At: at(2), Answer: session.AnswerGone}, func() { person.Gone = at(2) }},
		{"gone still", session.Settlement{At: at(3), Answer: session.AnswerGone}, func() {}},
		{"down while gone", session.Settlement{At: at(4), Answer: session.AnswerDown, Sealed: []byte("rotated")}, func() { sealed = []byte("rotated") }},
		{"held while gone", session.Settlement{At: at(5), Answer: session.AnswerHeld}, func() {}},
		{"there again", session.Settlement{At: at(6), Answer: session.AnswerVouched, Facts: &known, Stamp: "s2"}, func() {
			person.Gone, person.Checked, person.Version, person.Stamp = time.Time{}, at(6), known.Version, "s2"
		}},
		{"without a stamp", session.Settlement{At: at(7), Answer: session.AnswerVouched, Facts: &known}, func() { person.Checked = at(7) }},
		{"gone again", session.Settlement{At: at(8), Answer: session.AnswerGone}, func() { person.Gone = at(8) }},
		{"rejected", session.Settlement{At: at(9), Answer: session.AnswerRejected}, func() { person.Gone = time.Time{} }},
		{"never", session.Settlement{At: at(10), Answer: session.AnswerNever}, func() {}},
	} {
		check(t, tc.name+": ended", settle(t, s, d.Hash, tc.answer), 0)
		tc.want()
		person.Asked, person.Answer = tc.answer.At, tc.answer.Answer
		check(t, tc.name, find(t, s, d.Hash).Person, person)
		got, err := s.Renewal(t.Context(), id)
		must(t, err)
		check(t, tc.name+": renewal", got, sealed)
	}
	got, err := s.Facts(t.Context(), id)
	must(t, err)
	check(t, "facts", got, known)
}

func testSettleEnds(t *testing.T, s session.Store) {
	at := epoch.Add(time.Hour)
	for _, name := range []string{"a", "b"} {
		create(t, s, draft(name, "alice"))
	}
	newer, blank := draft("newer", "alice"), draft("blank", "alice")
	newer.Stamp, blank.Stamp = "s2", ""
	create(t, s, newer)
	create(t, s, blank)
	create(t, s, draft("of bob", "bobby"))
	ended := func(name string) session.Reason {
		t.Helper()
		row := find(t, s, hash(name))
		if row.Ended.IsZero() != (row.Why == "") {
			t.Errorf("%s ended %v for %q", name, row.Ended, row.Why)
		}
		return row.Why
	}
	known := facts("alice")
	check(t, "sessions ended by a new stamp", settle(t, s, hash("a"), session.Settlement{At: at, Answer: session.AnswerVouched, Facts: &known, Stamp: "s2", End: session.ReasonStamp}), 2)
	check(t, "a", ended("a"), session.ReasonStamp)
	check(t, "b", ended("b"), session.ReasonStamp)
	check(t, "newer", ended("newer"), "")
	check(t, "blank", ended("blank"), "")
	settle(t, s, hash("newer"), session.Settlement{At: at, Answer: session.AnswerVouched, Facts: &known, Stamp: "s2", Adopt: true})
	check(t, "the stamp of who had none", find(t, s, hash("blank")).Stamp, "s2")
	check(t, "the stamp of one of bob's", find(t, s, hash("of bob")).Stamp, "s1")
	check(t, "sessions ended with the account", settle(t, s, hash("a"), session.Settlement{At: at.Add(time.Hour), Answer: session.AnswerRejected, End: session.ReasonEnded}), 2)
	check(t, "a", ended("a"), session.ReasonStamp)
	check(t, "newer", ended("newer"), session.ReasonEnded)
	check(t, "of bob", ended("of bob"), "")
}

func testRestore(t *testing.T, s session.Store) {
	before := create(t, s, ownDraft("a", "alice"))
	at := epoch.Add(time.Hour)
	settle(t, s, before.Hash, session.Settlement{At: at, Answer: session.AnswerRejected, End: session.ReasonEnded})
	marked := create(t, s, draft("marked", "bob"))
	settle(t, s, marked.Hash, session.Settlement{At: at, Answer: session.AnswerGone})
	revoked := create(t, s, ownDraft("revoked", "carol"))
	_, err := s.End(t.Context(), []session.Hash{revoked.Hash}, session.ReasonRevoked, "carol", at)
	must(t, err)
	must(t, s.Restore(t.Context(), []session.Undo{
		{Person: before.Person, Why: session.ReasonEnded, At: at},
		{Person: marked.Person, At: at},
		{Person: revoked.Person, Why: session.ReasonEnded, At: at},
	}))
	want := *before
	want.Person.Asked, want.Person.Answer = at, session.AnswerHeld
	check(t, "what was ended", *find(t, s, before.Hash), want)
	want = *marked
	want.Person.Asked, want.Person.Answer = at, session.AnswerHeld
	check(t, "what was marked", *find(t, s, marked.Hash), want)
	check(t, "what was revoked", find(t, s, revoked.Hash).Why, session.ReasonRevoked)
	taken, err := s.Farewells(t.Context(), at.Add(time.Hour), 10)
	must(t, err)
	if len(taken) != 1 || taken[0].Token != revoked.Hash {
		t.Errorf("Farewells after Restore = %+v, want the revoked one's", taken)
	}
}

func testClaim(t *testing.T, s session.Store) {
	h := hash("upstream")
	claim := func(seconds int) bool {
		t.Helper()
		now := epoch.Add(time.Duration(seconds) * time.Second)
		won, err := s.Claim(t.Context(), h, now, now.Add(15*time.Second))
		must(t, err)
		return won
	}
	check(t, "the first", claim(0), true)
	check(t, "the second", claim(14), false)
	check(t, "after its end", claim(15), true)
	must(t, s.Release(t.Context(), h))
	check(t, "after its release", claim(16), true)
	d := ownDraft("a", "alice")
	d.Upstream = &h
	create(t, s, d)
	check(t, "with a session", claim(100), false)
	_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked, "", epoch)
	must(t, err)
	check(t, "with a session that ended", claim(200), false)
}

func testUsed(t *testing.T, s session.Store) {
	h := create(t, s, draft("a", "alice")).Hash
	client := session.Client{Address: netip.MustParseAddr("2001:db8::1"), ID: "oras-go", UserAgent: "oras"}
	late, early := epoch.Add(2*time.Hour), epoch.Add(time.Hour)
	must(t, s.Used(t.Context(), []session.Use{{Token: h, At: late, Client: client}, {Token: hash("nobody"), At: late}}))
	must(t, s.Used(t.Context(), []session.Use{{Token: h, At: early}}))
	check(t, "used", find(t, s, h).Used, late)
	listed, err := s.List(t.Context(), session.Selector{}, session.Hash{}, 10)
	must(t, err)
	check(t, "the last client", listed[0].Last, client)
	check(t, "the first client", listed[0].Client.ID, "docker")
}

func testEnd(t *testing.T, s session.Store) {
	a, b := create(t, s, draft("a", "alice")).Hash, create(t, s, draft("b", "alice")).Hash
	end := func(at time.Time, tokens ...session.Hash) int {
		t.Helper()
		n, err := s.End(t.Context(), tokens, session.ReasonRevoked, "an operator", at)
		must(t, err)
		return n
	}
	check(t, "ended", end(epoch, a, hash("nobody")), 1)
	check(t, "ended again", end(epoch.Add(time.Hour), a, b), 1)
	row := find(t, s, a)
	check(t, "when", row.Ended, epoch)
	check(t, "why", row.Why, session.ReasonRevoked)
	listed, err := s.List(t.Context(), session.Selector{Ended: true, ID: a.ID()}, session.Hash{}, 10)
	must(t, err)
	if len(listed) != 1 || listed[0].By != "an operator" {
		t.Errorf("List of what ended = %+v", listed)
	}
}

func testList(t *testing.T, s session.Store) {
	for i, user := range []string{"alice", "alice", "bob"} {
		d := draft(fmt.Sprint(i), user)
		d.Created = epoch.Add(time.Duration(i) * time.Hour)
		create(t, s, d)
	}
	other := draft("other", "alice")
	other.Provider, other.Kind = "sso", session.KindPAT
	create(t, s, other)
	ended := create(t, s, draft("ended", "bob"))
	_, err := s.End(t.Context(), []session.Hash{ended.Hash}, session.ReasonRevoked, "", epoch)
	must(t, err)
	for _, tc := range []struct {
		sel  session.Selector
		want int
	}{
		{session.Selector{}, 4},
		{session.Selector{Ended: true}, 5},
		{session.Selector{User: "alice"}, 3},
		{session.Selector{User: "ALICE"}, 0},
		{session.Selector{User: "alice", Provider: "corp"}, 2},
		{session.Selector{Provider: "sso"}, 1},
		{session.Selector{Subject: "subject of bob"}, 1},
		{session.Selector{Kind: session.KindPAT}, 1},
		{session.Selector{Before: epoch.Add(time.Hour)}, 2},
		{session.Selector{ID: other.Hash.ID()}, 1},
		{session.Selector{ID: other.Hash.ID(), User: "bob"}, 0},
		{session.Selector{ID: "nothing of the kind"}, 0},
		{session.Selector{ID: other.Hash.ID()[1:]}, 0},
	} {
		var got int
		var after session.Hash
		for {
			page, err := s.List(t.Context(), tc.sel, after, 2)
			must(t, err)
			for _, l := range page {
				if bytes.Compare(l.Hash[:], after[:]) <= 0 {
					t.Errorf("List(%+v) is out of order", tc.sel)
				}
				after = l.Hash
			}
			if got += len(page); len(page) < 2 {
				break
			}
		}
		check(t, fmt.Sprintf("List(%+v)", tc.sel), got, tc.want)
	}
}

func testSweep(t *testing.T, s session.Store) {
	now := epoch.Add(100 * time.Hour)
	times := session.SweepTimes{Now: now, Idle: now.Add(-10 * time.Hour), Unused: now.Add(-5 * time.Hour), Forget: now.Add(-time.Hour)}
	for _, tc := range []struct {
		name                   string
		created, used, expires int // hours before now; 0 is never
		want                   session.Reason
	}{
		{"expired", 20, 1, 0, session.ReasonExpired},
		{"idle", 20, 10, -1, session.ReasonIdle},
		{"unused", 5, 0, -1, session.ReasonUnused},
		{"used", 20, 9, -1, ""},
		{"new", 4, 0, -1, ""},
	} {
		d := draft(tc.name, tc.name)
		d.Created, d.Expires = now.Add(-time.Duration(tc.created)*time.Hour), now.Add(-time.Duration(tc.expires)*time.Hour)
		create(t, s, d)
		if tc.used > 0 {
			must(t, s.Used(t.Context(), []session.Use{{Token: d.Hash, At: now.Add(-time.Duration(tc.used) * time.Hour)}}))
		}
	}
	for range 3 {
		n, err := s.Sweep(t.Context(), times, 1)
		must(t, err)
		check(t, "a step", n, 1)
	}
	n, err := s.Sweep(t.Context(), times, 10)
	must(t, err)
	check(t, "the last step", n, 0)
	for name, want := range map[string]session.Reason{"expired": session.ReasonExpired, "idle": session.ReasonIdle, "unused": session.ReasonUnused, "used": "", "new": ""} {
		row := find(t, s, hash(name))
		check(t, name, row.Why, want)
		if want != "" {
			check(t, name, row.Ended, now)
		}
	}
	later := times
	later.Forget = now
	n, err = s.Sweep(t.Context(), later, 10)
	must(t, err)
	check(t, "forgotten", n, 3)
	if _, err := s.Find(t.Context(), hash("idle")); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of what is forgotten: %v, want ErrNotFound", err)
	}
	listed, err := s.List(t.Context(), session.Selector{Ended: true}, session.Hash{}, 10)
	must(t, err)
	check(t, "left", len(listed), 2)

	// A person is forgotten with the last session, and not before.
	shared := find(t, s, create(t, s, draft("used too", "used")).Hash)
	_, err = s.End(t.Context(), []session.Hash{hash("used"), shared.Hash}, session.ReasonRevoked, "", now)
	must(t, err)
	for range 2 {
		_, err = s.Facts(t.Context(), shared.Person.ID)
		must(t, err)
		_, err = s.Sweep(t.Context(), later, 1)
		must(t, err)
	}
	if _, err = s.Facts(t.Context(), shared.Person.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Facts of who is forgotten: %v, want ErrNotFound", err)
	}
}

func testFarewells(t *testing.T, s session.Store) {
	revoked, ended, alive := create(t, s, ownDraft("revoked", "alice")), create(t, s, ownDraft("ended", "alice")), create(t, s, ownDraft("alive", "alice"))
	create(t, s, draft("none", "alice"))
	_, err := s.End(t.Context(), []session.Hash{revoked.Hash, hash("none")}, session.ReasonRevoked, "", epoch)
	must(t, err)
	_, err = s.End(t.Context(), []session.Hash{ended.Hash}, session.ReasonEnded, "", epoch)
	must(t, err)
	farewells := func(before time.Time) []session.Sealed {
		t.Helper()
		taken, err := s.Farewells(t.Context(), before, 10)
		must(t, err)
		return taken
	}
	check(t, "at once", farewells(epoch.Add(-time.Second)), []session.Sealed{{Person: revoked.Person.ID, Token: revoked.Hash, Provider: "corp", Body: []byte("sealed revoked")}})
	check(t, "later", farewells(epoch), []session.Sealed{{Person: ended.Person.ID, Token: ended.Hash, Provider: "corp", Body: []byte("sealed ended")}})
	check(t, "again", len(farewells(epoch)), 0)
	kept, err := s.Renewal(t.Context(), alive.Person.ID)
	must(t, err)
	check(t, "of who lives", kept, []byte("sealed alive"))
}

func testReseal(t *testing.T, s session.Store) {
	for _, name := range []string{"a", "b", "c"} {
		create(t, s, ownDraft(name, "alice"))
	}
	create(t, s, draft("none", "alice"))
	first, err := s.Sealed(t.Context(), 0, 2)
	must(t, err)
	check(t, "the first page", len(first), 2)
	rest, err := s.Sealed(t.Context(), first[1].Person, 2)
	must(t, err)
	check(t, "the second page", len(rest), 1)
	must(t, s.Reseal(t.Context(), first[0], []byte("anew")))
	must(t, s.Reseal(t.Context(), first[0], []byte("too late")))
	got, err := s.Renewal(t.Context(), first[0].Person)
	must(t, err)
	check(t, "resealed", got, []byte("anew"))
}

func testSettings(t *testing.T, s session.Store) {
	get := func(value []byte) []byte {
		t.Helper()
		kept, err := s.Setting(t.Context(), "name", value)
		must(t, err)
		return kept
	}
	check(t, "nothing", get(nil), nil)
	check(t, "the first", get([]byte("one")), []byte("one"))
	check(t, "the second", get([]byte("two")), []byte("one"))
	check(t, "read", get(nil), []byte("one"))
	must(t, s.SetSetting(t.Context(), "name", []byte("three")))
	check(t, "replaced", get([]byte("four")), []byte("three"))
}

// testConcurrent revokes sessions while they are created, leased, used and
// looked up: none comes back.
func testConcurrent(t *testing.T, s session.Store) {
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for j := range 10 {
				d := ownDraft(fmt.Sprint(i, " ", j), "alice")
				if err := s.Create(t.Context(), d, 1000); err != nil {
					t.Error(err)
					return
				}
				var inner sync.WaitGroup
				inner.Go(func() {
					row, err := s.Find(t.Context(), d.Hash)
					if err != nil {
						t.Error(err)
						return
					}
					until := epoch.Add(time.Minute)
					if _, err := s.Lease(t.Context(), row.Person.ID, row.Person.Asked, epoch, until); err != nil {
						t.Error(err)
					}
					if _, err := s.Settle(t.Context(), &session.Settlement{Person: row.Person.ID, Lease: until, At: epoch, Answer: session.AnswerVouched, Facts: &d.Facts, Stamp: "s1"}); err != nil {
						t.Error(err)
					}
				})
				inner.Go(func() {
					if err := s.Used(t.Context(), []session.Use{{Token: d.Hash, At: epoch}}); err != nil {
						t.Error(err)
					}
				})
				if n, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked, "", epoch); n != 1 || err != nil {
					t.Errorf("End = %d, %v", n, err)
				}
				if row, err := s.Find(t.Context(), d.Hash); err != nil || row.Ended.IsZero() {
					t.Errorf("Find after a revocation = %+v, %v", row, err)
				}
				inner.Wait()
				if row, err := s.Find(t.Context(), d.Hash); err != nil || row.Ended.IsZero() {
					t.Errorf("Find after everything = %+v, %v", row, err)
				}
			}
		})
	}
	group.Wait()
}

func testClosed(t *testing.T, s session.Store) {
	create(t, s, draft("a", "alice"))
	must(t, s.Close())
	if row, err := s.Find(t.Context(), hash("a")); err == nil || errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find after Close = %v, %v, want an error that tells nothing", row, err)
	}
	if err := s.Create(t.Context(), draft("b", "bob"), 10); err == nil {
		t.Error("Create after Close: no error")
	}
	if err := s.Ping(t.Context()); err == nil {
		t.Error("Ping after Close: no error")
	}
	must(t, s.Close())
}
