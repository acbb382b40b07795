package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"shorepass/session"
)

func testEnd(t *testing.T, s session.Store) {
	a, b := create(t, s, draft("a", "alice")).Hash, create(t, s, draft("b", "alice")).Hash
	end := func(at time.Time, tokens ...session.Hash) int {
		t.Helper()
		n, err := s.End(t.Context(), tokens, session.ReasonRevoked.Ending("an operator", at))
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
	_, err := s.End(t.Context(), []session.Hash{ended.Hash}, session.ReasonRevoked.Ending("", epoch))
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
		{session.Selector{Group: "team of alice"}, 3},
		{session.Selector{Group: "team of alice", Provider: "corp"}, 2},
		{session.Selector{Group: "team of nobody"}, 0},
		{session.Selector{Group: "team of alic"}, 0},
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
	if _, err := s.Find(t.Context(), hash("idle"), session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of what is forgotten: %v, want ErrNotFound", err)
	}
	listed, err := s.List(t.Context(), session.Selector{Ended: true}, session.Hash{}, 10)
	must(t, err)
	check(t, "left", len(listed), 2)

	// A person is forgotten with the last session, and not before.
	shared := find(t, s, create(t, s, draft("used too", "used")).Hash)
	_, err = s.End(t.Context(), []session.Hash{hash("used"), shared.Hash}, session.ReasonRevoked.Ending("", now))
	must(t, err)
	for range 2 {
		_, err = s.Facts(t.Context(), shared.Person.ID)
		must(t, err)
		_, err = s.Sweep(t.Context(), later, 1)
		must(t, err)
	}
	if _, err = s.Facts(t.Context(), shared.Person.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Facts of a person who is forgotten: %v, want ErrNotFound", err)
	}
}

// testSweepUnused forgets what nobody ever used soon after its end, and what
// answers to a provider's refresh token never.
func testSweepUnused(t *testing.T, s session.Store) {
	at := epoch.Add(time.Hour)
	end := func(name string, upstream, used bool) {
		d := draft(name, name)
		if upstream {
			h := hash("upstream of " + name)
			d.Upstream = &h
		}
		create(t, s, d)
		if used {
			must(t, s.Used(t.Context(), []session.Use{{Token: d.Hash, At: epoch.Add(time.Minute)}}))
		}
		_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonPerPerson.Ending("", at))
		must(t, err)
	}
	end("used", false, true)
	end("never used", false, false)
	kept := create(t, s, ownDraft("with a renewal", "with a renewal"))
	_, err := s.End(t.Context(), []session.Hash{kept.Hash}, session.ReasonUnused.Ending("", at))
	must(t, err)
	end("upstream", true, true)
	end("upstream, never used", true, false)
	left := func(times session.SweepTimes, want ...string) {
		t.Helper()
		_, err := s.Sweep(t.Context(), times, 10)
		must(t, err)
		listed, err := s.List(t.Context(), session.Selector{Ended: true}, session.Hash{}, 10)
		must(t, err)
		var got []string
		for _, l := range listed {
			got = append(got, l.Facts.User)
		}
		slices.Sort(got)
		check(t, "what is left", got, want)
	}
	left(session.SweepTimes{Forget: epoch, Noted: at.Add(-time.Second)}, "never used", "upstream", "upstream, never used", "used", "with a renewal")
	left(session.SweepTimes{Forget: epoch, Noted: at}, "upstream", "upstream, never used", "used", "with a renewal")
	left(session.SweepTimes{Forget: at, Noted: at}, "upstream", "upstream, never used")
	if won, err := s.Claim(t.Context(), hash("upstream of upstream"), at, at.Add(time.Minute)); won || err != nil {
		t.Errorf("Claim of a token whose session ended long ago = %v, %v, want false", won, err)
	}
}

// testRevokeRefused revokes what a provider has ended, so that it stays so
// whatever is taken back.
func testRevokeRefused(t *testing.T, s session.Store) {
	at := epoch.Add(time.Hour)
	for _, why := range []session.Reason{session.ReasonEnded, session.ReasonStamp, session.ReasonGone, session.ReasonIdle} {
		name := string(why)
		row := create(t, s, draft(name, name))
		must(t, s.NoteEnding(t.Context(), "corp", session.Undo{Person: row.Person, Why: why, At: at}))
		_, err := s.End(t.Context(), []session.Hash{row.Hash}, why.Ending("", at))
		must(t, err)
		refusal := slices.Contains(session.Refusals(), why)
		for since, want := range map[time.Time]int{at.Add(-time.Second): map[bool]int{true: 1}[refusal], at: 0, {}: 0} {
			listed, err := s.List(t.Context(), session.Selector{User: name, Refused: since}, session.Hash{}, 10)
			must(t, err)
			check(t, fmt.Sprintf("List of what ended since %v for %q", since, why), len(listed), want)
		}
		n, err := s.End(t.Context(), []session.Hash{row.Hash}, session.ReasonRevoked.Ending("an operator", at.Add(time.Second)))
		must(t, err)
		check(t, "revoked of "+name, n == 1, refusal)
	}
	must(t, s.Doubt(t.Context(), "corp", epoch, at))
	for _, why := range session.Refusals() {
		check(t, "what is revoked after "+string(why), find(t, s, hash(string(why))).Why, session.ReasonRevoked)
	}
}

func testTakeRevocable(t *testing.T, s session.Store) {
	revoked, ended, alive := create(t, s, ownDraft("revoked", "alice")), create(t, s, ownDraft("ended", "alice")), create(t, s, ownDraft("alive", "alice"))
	create(t, s, draft("none", "alice"))
	_, err := s.End(t.Context(), []session.Hash{revoked.Hash, hash("none")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	_, err = s.End(t.Context(), []session.Hash{ended.Hash}, session.ReasonEnded.Ending("", epoch))
	must(t, err)
	take := func(before time.Time) []session.Sealed {
		t.Helper()
		taken, err := s.TakeRevocable(t.Context(), before, 10)
		must(t, err)
		return taken
	}
	check(t, "at once", take(epoch.Add(-time.Second)), []session.Sealed{{Person: revoked.Person.ID, Token: revoked.Hash, Provider: "corp", ProviderID: -42, Body: []byte("sealed revoked")}})
	check(t, "later", take(epoch), []session.Sealed{{Person: ended.Person.ID, Token: ended.Hash, Provider: "corp", ProviderID: -42, Body: []byte("sealed ended")}})
	check(t, "again", len(take(epoch)), 0)
	kept, err := s.Renewal(t.Context(), alive.Person.ID)
	must(t, err)
	check(t, "of one that lives", kept, []byte("sealed alive"))
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
