package storetest

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shorepass/session"
)

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
	giveUp := func(end, now time.Time) bool {
		t.Helper()
		ok, err := s.Lease(t.Context(), p.ID, p.Asked, end, now)
		must(t, err)
		return ok
	}
	check(t, "given up by one whose lease is over", giveUp(now.Add(15*time.Second), now.Add(16*time.Second)), false)
	check(t, "given up", giveUp(now.Add(30*time.Second), now.Add(14*time.Second)), true)
	check(t, "at once after that", lease(p.Asked, now.Add(15*time.Second)), true)
	if _, err := s.Settle(t.Context(), &session.Settlement{Person: p.ID, Lease: now.Add(15 * time.Second), Next: answered(now, nil)}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Settle by one that lost the lease: %v, want ErrNotFound", err)
	}
	_, err := s.Settle(t.Context(), &session.Settlement{Person: p.ID, Lease: now.Add(30 * time.Second), Next: answered(now.Add(16*time.Second), nil)})
	must(t, err)
	check(t, "by one that saw it before it was asked", lease(p.Asked, now.Add(time.Minute)), false)
	check(t, "by one that saw the answer", lease(now.Add(16*time.Second), now.Add(time.Minute)), true)
}

// answered returns the Next of a Settlement: the person is asked at that time,
// the lease is given up, and change, unless it is nil, sets other columns.
func answered(at time.Time, change func(*session.Person)) func(session.Person) session.Person {
	return func(p session.Person) session.Person {
		p.Asked, p.Lease = at, time.Time{}
		if change != nil {
			change(&p)
		}
		return p
	}
}

// settle takes a lease and keeps an answer.
func settle(t *testing.T, s session.Store, h session.Hash, at time.Time, change func(*session.Person), a session.Settlement) int {
	t.Helper()
	row := find(t, s, h)
	until := at.Add(15 * time.Second)
	won, err := s.Lease(t.Context(), row.Person.ID, row.Person.Asked, at, until)
	must(t, err)
	if !won {
		t.Fatalf("no lease for %+v", row.Person)
	}
	a.Person, a.Lease, a.Next = row.Person.ID, until, answered(at, change)
	n, err := s.Settle(t.Context(), &a)
	must(t, err)
	return n
}

// testSettle writes the columns that a Settlement has, and no others.
func testSettle(t *testing.T, s session.Store) {
	d := ownDraft("a", "alice")
	person := create(t, s, d).Person
	known := d.Facts
	at := func(minutes int) time.Time { return epoch.Add(time.Duration(minutes) * time.Minute) }
	sealed := d.Sealed
	second := facts("alice the second")
	for i, tc := range []struct {
		name   string
		change func(*session.Person)
		answer session.Settlement
	}{
		{"nothing more", nil, session.Settlement{}},
		{"an answer", func(p *session.Person) { p.Answer = session.AnswerDown }, session.Settlement{}},
		{"gone", func(p *session.Person) { p.Answer, p.Gone = session.AnswerGone, at(3) }, session.Settlement{}},
		{"a renewal", func(p *session.Person) { p.Answer = session.AnswerLost }, session.Settlement{Sealed: []byte("rotated")}},
		{"facts", func(p *session.Person) {
			p.Answer, p.Gone, p.Checked, p.Version, p.Stamp = session.AnswerVouched, time.Time{}, at(5), second.Version, "s2"
		}, session.Settlement{Facts: &second}},
		{"no stamp", func(p *session.Person) { p.Stamp = "" }, session.Settlement{}},
		{"never", func(p *session.Person) { p.Answer = session.AnswerNever }, session.Settlement{}},
	} {
		check(t, tc.name+": ended", settle(t, s, d.Hash, at(i+1), tc.change, tc.answer), 0)
		person = answered(at(i+1), tc.change)(person)
		check(t, tc.name, find(t, s, d.Hash).Person, person)
		if tc.answer.Sealed != nil {
			sealed = tc.answer.Sealed
		}
		got, err := s.Renewal(t.Context(), person.ID)
		must(t, err)
		check(t, tc.name+": renewal", got, sealed)
		if tc.answer.Facts != nil {
			known = *tc.answer.Facts
		}
		knows, err := s.Facts(t.Context(), person.ID)
		must(t, err)
		check(t, tc.name+": facts", knows, known)
	}
}

// testSettleAfterLogin gives Next the row as a login has changed it since the
// lease, so that nothing of that is lost.
func testSettleAfterLogin(t *testing.T, s session.Store) {
	row := create(t, s, draft("a", "alice"))
	at := epoch.Add(time.Hour)
	until := at.Add(15 * time.Second)
	if won, err := s.Lease(t.Context(), row.Person.ID, row.Person.Asked, at, until); !won || err != nil {
		t.Fatalf("Lease = %v, %v", won, err)
	}
	login := draft("b", "alice")
	login.Created, login.Stamp, login.Facts = at.Add(time.Second), "s2", facts("alice2")
	want := create(t, s, login).Person
	check(t, "the lease after a login", want.Lease, until)
	var seen session.Person
	next := answered(at.Add(2*time.Second), func(p *session.Person) { p.Answer = session.AnswerDown })
	_, err := s.Settle(t.Context(), &session.Settlement{Person: row.Person.ID, Lease: until, Next: func(p session.Person) session.Person {
		seen = p
		return next(p)
	}})
	must(t, err)
	check(t, "what Next is given", seen, want)
	check(t, "what is kept", find(t, s, row.Hash).Person, next(want))
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
	check(t, "sessions ended by a new stamp", settle(t, s, hash("a"), at, nil, session.Settlement{Facts: &known, End: session.ReasonStamp.Ending("", at), Spare: "s2"}), 2)
	check(t, "a", ended("a"), session.ReasonStamp)
	check(t, "b", ended("b"), session.ReasonStamp)
	check(t, "newer", ended("newer"), "")
	check(t, "blank", ended("blank"), "")
	settle(t, s, hash("newer"), at, nil, session.Settlement{Facts: &known, Adopt: "s2"})
	check(t, "the stamp of one that had none", find(t, s, hash("blank")).Stamp, "s2")
	check(t, "the stamp of one of bob's", find(t, s, hash("of bob")).Stamp, "s1")
	check(t, "sessions ended with the account", settle(t, s, hash("a"), at.Add(time.Hour), nil, session.Settlement{End: session.ReasonEnded.Ending("", at.Add(time.Hour))}), 2)
	check(t, "a", ended("a"), session.ReasonStamp)
	check(t, "newer", ended("newer"), session.ReasonEnded)
	check(t, "of bob", ended("of bob"), "")
}

// testLifetime bounds the sessions of a person who cannot be asked about again.
func testLifetime(t *testing.T, s session.Store) {
	long, short := draft("long", "alice"), draft("short", "alice")
	short.Expires = epoch.Add(time.Hour)
	create(t, s, long)
	create(t, s, short)
	create(t, s, draft("another", "bob"))
	settle(t, s, long.Hash, epoch.Add(time.Minute), nil, session.Settlement{Lifetime: 12 * time.Hour})
	for name, want := range map[string]time.Duration{"long": 12 * time.Hour, "short": time.Hour, "another": 1000 * time.Hour} {
		check(t, "when it expires: "+name, find(t, s, hash(name)).Expires, epoch.Add(want))
	}
}

// testDoubt takes back what a provider said, and nothing else.
func testDoubt(t *testing.T, s session.Store) {
	note := func(provider string, u session.Undo) {
		t.Helper()
		must(t, s.NoteEnding(t.Context(), provider, u))
	}
	gone := func(at time.Time) func(*session.Person) {
		return func(p *session.Person) { p.Answer, p.Gone = session.AnswerGone, at }
	}
	at := epoch.Add(time.Hour)
	before := create(t, s, ownDraft("a", "alice"))
	note("corp", session.Undo{Person: before.Person, Why: session.ReasonEnded, At: at})
	note("corp", session.Undo{Person: before.Person, Why: session.ReasonEnded, At: at}) // as before: it was not known whether it is kept
	settle(t, s, before.Hash, at, nil, session.Settlement{End: session.ReasonEnded.Ending("", at)})
	note("corp", session.Undo{Person: before.Person, At: at.Add(time.Second), Held: true}) // which changes nothing of that
	missing := create(t, s, draft("missing", "bob"))
	note("corp", session.Undo{Person: missing.Person, At: at})
	settle(t, s, missing.Hash, at, gone(at), session.Settlement{})
	changed := create(t, s, draft("changed", "dora"))
	note("corp", session.Undo{Person: changed.Person, Why: session.ReasonStamp, At: at})
	known := facts("dora")
	settle(t, s, changed.Hash, at, func(p *session.Person) { p.Checked, p.Stamp = at, "s2" }, session.Settlement{Facts: &known, End: session.ReasonStamp.Ending("", at), Spare: "s2"})
	revoked := create(t, s, ownDraft("revoked", "carol"))
	note("corp", session.Undo{Person: revoked.Person, Why: session.ReasonEnded, At: at})
	_, err := s.End(t.Context(), []session.Hash{revoked.Hash}, session.ReasonRevoked.Ending("carol", at))
	must(t, err)
	again := create(t, s, draft("again", "eve"))
	note("corp", session.Undo{Person: again.Person, At: at})
	settle(t, s, again.Hash, at.Add(time.Second), gone(at.Add(time.Second)), session.Settlement{})
	early := create(t, s, draft("early", "frank"))
	note("corp", session.Undo{Person: early.Person, Why: session.ReasonEnded, At: epoch})
	settle(t, s, early.Hash, epoch, nil, session.Settlement{End: session.ReasonEnded.Ending("", epoch)})
	other := create(t, s, draft("other", "grace"))
	note("sso", session.Undo{Person: other.Person, Why: session.ReasonEnded, At: at})
	settle(t, s, other.Hash, at, nil, session.Settlement{End: session.ReasonEnded.Ending("", at)})

	for range 2 { // as two replicas find out at once
		must(t, s.Doubt(t.Context(), "corp", epoch, at.Add(time.Minute)))
	}
	for _, tc := range []struct {
		name string
		row  *session.Row
	}{{"what was ended", before}, {"who was gone", missing}, {"what ended by another stamp", changed}} {
		want := *tc.row
		want.Person.Asked, want.Person.Answer = at, session.AnswerHeld
		got := *find(t, s, want.Hash)
		if tc.row == changed {
			want.Person.Version = got.Person.Version // what it said of the person stays
		}
		check(t, tc.name, got, want)
	}
	check(t, "what was revoked", find(t, s, revoked.Hash).Why, session.ReasonRevoked)
	check(t, "what was settled anew", find(t, s, again.Hash).Person.Gone, at.Add(time.Second))
	check(t, "what was noted before", find(t, s, early.Hash).Why, session.ReasonEnded)
	check(t, "what another provider said", find(t, s, other.Hash).Why, session.ReasonEnded)
	taken, err := s.TakeRevocable(t.Context(), at.Add(time.Hour), 10)
	must(t, err)
	if len(taken) != 1 || taken[0].Token != revoked.Hash {
		t.Errorf("TakeRevocable after Doubt = %+v, want the revoked one's", taken)
	}
}

// testTrust notes what replicas tell each other of providers.
func testTrust(t *testing.T, s session.Store) {
	trust := func(name, provider, replica string, since time.Time, want session.Trust) {
		t.Helper()
		got, err := s.Trust(t.Context(), provider, replica, since)
		must(t, err)
		check(t, name, got, want)
	}
	minute := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	trust("before anything", "corp", "one", epoch, session.Trust{})
	must(t, s.NoteAnswers(t.Context(), "corp", "one", 5, minute(1)))
	must(t, s.NoteAnswers(t.Context(), "corp", "one", 7, minute(2)))
	must(t, s.NoteAnswers(t.Context(), "corp", "two", 20, minute(3)))
	must(t, s.NoteAnswers(t.Context(), "sso", "two", 100, minute(3)))
	for i := range 3 {
		must(t, s.NoteEnding(t.Context(), "corp", session.Undo{Who: int64(i), Person: session.Person{ID: int64(i), Stamp: "s"}, At: minute(i)}))
	}
	must(t, s.NoteEnding(t.Context(), "corp", session.Undo{Who: 2, Person: session.Person{ID: 12, Stamp: "s"}, At: minute(2)})) // another session of the same person
	must(t, s.Doubt(t.Context(), "corp", minute(9), minute(5)))
	must(t, s.Doubt(t.Context(), "corp", minute(9), minute(4)))
	trust("of both", "corp", "three", epoch, session.Trust{Answers: 27, Endings: 2, Doubted: minute(5)})
	trust("but one's own", "corp", "one", epoch, session.Trust{Answers: 20, Endings: 2, Doubted: minute(5)})
	trust("of late", "corp", "three", minute(2), session.Trust{Answers: 20, Endings: 0, Doubted: minute(5)})
	trust("of another", "sso", "one", epoch, session.Trust{Answers: 100})
	must(t, s.NoteEnding(t.Context(), "corp", session.Undo{Who: 1, Person: session.Person{ID: 1}, At: minute(3), Held: true}))
	trust("with one that is held", "corp", "three", minute(2), session.Trust{Answers: 20, Endings: 1, Doubted: minute(5)})
	_, err := s.Sweep(t.Context(), session.SweepTimes{Noted: minute(2)}, 100)
	must(t, err)
	trust("after a sweep", "corp", "three", time.Time{}, session.Trust{Answers: 20, Endings: 1, Doubted: minute(5)})
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
	_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending("", epoch))
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
