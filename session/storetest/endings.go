package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
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
	check(t, "sessions that ended", end(epoch, a, hash("no session")), 1)
	check(t, "sessions that ended, not counting one that had ended before", end(epoch.Add(time.Hour), a, b), 1)
	row := find(t, s, a)
	check(t, "the time", row.Ended, epoch)
	check(t, "the reason", row.Reason, session.ReasonRevoked)
	listed, err := s.List(t.Context(), session.Selector{Ended: true, ID: a.ID()}, session.Hash{}, 10)
	must(t, err)
	if len(listed) != 1 || listed[0].By != "an operator" {
		t.Errorf("List of the ended session = %+v", listed)
	}
}

// testCount: sessions count until they end, in the store and not by their lifetime.
func testCount(t *testing.T, s session.Store) {
	count := func(what string, want map[session.Kind]int) {
		t.Helper()
		got, err := s.CountSessions(t.Context())
		must(t, err)
		check(t, what, got, want)
	}
	count("an empty store", map[session.Kind]int{})
	ended := create(t, s, draft("a", "alice"))
	create(t, s, draft("b", "bob"))
	pat := draft("pat", "alice")
	pat.Kind = session.KindPAT
	create(t, s, pat)
	count("three sessions", map[session.Kind]int{session.KindRefresh: 2, session.KindPAT: 1})
	_, err := s.End(t.Context(), []session.Hash{ended.Hash}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	count("after one ended", map[session.Kind]int{session.KindRefresh: 1, session.KindPAT: 1})
}

func testList(t *testing.T, s session.Store) {
	for i, user := range []string{"alice", "alice", "bob"} {
		d := draft(fmt.Sprint(i), user)
		d.Created = epoch.Add(time.Duration(i) * time.Hour)
		create(t, s, d)
	}
	other := draft("other", "alice")
	other.Provider, other.Kind, other.Login.SID = "sso", session.KindPAT, ""
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
		{session.Selector{SID: "sid of 1"}, 1},
		{session.Selector{SID: "sid of 1", Provider: "corp", Kind: session.KindRefresh}, 1},
		{session.Selector{SID: "sid of 1", Provider: "sso"}, 0},
		{session.Selector{SID: "sid of 1", Kind: session.KindBrowser}, 0},
		{session.Selector{SID: "sid of 1", Before: epoch.Add(time.Hour)}, 0},
		{session.Selector{SID: "sid"}, 0},
		{session.Selector{NoSID: true, User: "alice"}, 1},
		{session.Selector{NoSID: true, Provider: "corp"}, 0},
		{session.Selector{SID: "sid of ended"}, 0},
		{session.Selector{SID: "sid of ended", Ended: true}, 1},
		{session.Selector{ID: other.Hash.ID()}, 1},
		{session.Selector{ID: other.Hash.ID(), User: "bob"}, 0},
		{session.Selector{ID: "no id"}, 0},
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

func testListPerson(t *testing.T, s session.Store) {
	for i, kind := range []session.Kind{session.KindPAT, session.KindRefresh, session.KindRefresh, session.KindBrowser, session.KindRefresh, session.KindRefresh, session.KindRefresh} {
		d := perLoginDraft(fmt.Sprint(i), "alice")
		d.Kind, d.Created, d.Label = kind, epoch.Add(time.Duration(i)*time.Hour), fmt.Sprint("label ", i)
		create(t, s, d)
		if i >= 4 {
			_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonRevoked.Ending("alice", epoch.Add(time.Duration(10-i)*time.Hour)))
			must(t, err)
		}
	}
	create(t, s, draft("other", "bob"))
	elsewhere := draft("elsewhere", "alice")
	elsewhere.Provider = "sso"
	create(t, s, elsewhere)
	for _, tc := range []struct {
		live, ended int
		want        string
	}{{10, 10, "0 1 2 3 4 5 6"}, {3, 0, "0 2 3"}, {2, 1, "0 3 4"}, {1, 2, "3 4 5"}} {
		listed, count, err := s.ListPerson(t.Context(), "corp", "subject of alice", tc.live, tc.ended)
		must(t, err)
		check(t, "live sessions", count, 4)
		var names []string
		for _, l := range listed {
			names = append(names, l.Label[len("label "):])
			check(t, "a listed session", []any{l.Provider, l.Subject, l.Identity.User, l.Identity.Body, l.Client.ID, l.Login.ACR}, []any{"corp", "subject of alice", "alice", []byte(nil), "docker", "gold"})
			if !l.Ended.IsZero() {
				check(t, "who ended it", l.By, "alice")
			}
		}
		slices.Sort(names)
		check(t, fmt.Sprintf("ListPerson of %d and %d", tc.live, tc.ended), strings.Join(names, " "), tc.want)
	}
	listed, count, err := s.ListPerson(t.Context(), "corp", "nobody", 10, 10)
	must(t, err)
	check(t, "the sessions of a stranger", len(listed)+count, 0)
}

func testSweep(t *testing.T, s session.Store) {
	now := epoch.Add(100 * time.Hour)
	times := session.SweepTimes{Now: now, DeleteEnded: now.Add(-time.Hour), Kinds: []session.KindTimes{
		{Kind: session.KindRefresh, Idle: now.Add(-10 * time.Hour), Unused: now.Add(-5 * time.Hour)},
		{Kind: session.KindBrowser, Idle: now.Add(-2 * time.Hour), Unused: now.Add(-2 * time.Hour)},
	}}
	wants := map[string]session.Reason{}
	for _, tc := range []struct {
		name                   string
		kind                   session.Kind
		created, used, expires int // hours before now; 0 is never
		want                   session.Reason
	}{
		{"expired", session.KindRefresh, 20, 1, 0, session.ReasonExpired},
		{"idle", session.KindRefresh, 20, 10, -1, session.ReasonIdle},
		{"unused", session.KindRefresh, 5, 0, -1, session.ReasonUnused},
		{"used", session.KindRefresh, 20, 9, -1, ""},
		{"new", session.KindRefresh, 4, 0, -1, ""},
		{"idle browser", session.KindBrowser, 20, 2, -1, session.ReasonIdle},
		{"browser in use", session.KindBrowser, 20, 1, -1, ""},
		{"old PAT", session.KindPAT, 99, 0, -1, ""},
	} {
		d := draft(tc.name, tc.name)
		d.Kind, d.Created, d.Expires = tc.kind, now.Add(-time.Duration(tc.created)*time.Hour), now.Add(-time.Duration(tc.expires)*time.Hour)
		create(t, s, d)
		if tc.used > 0 {
			must(t, s.WriteLastUses(t.Context(), []session.LastUse{{Token: d.Hash, At: now.Add(-time.Duration(tc.used) * time.Hour)}}))
		}
		wants[tc.name] = tc.want
	}
	for range 4 {
		n, err := s.Sweep(t.Context(), times, 1)
		must(t, err)
		check(t, "rows that a sweep of one touched", n, 1)
	}
	n, err := s.Sweep(t.Context(), times, 10)
	must(t, err)
	check(t, "rows that the last sweep touched", n, 0)
	for name, want := range wants {
		row := find(t, s, hash(name))
		check(t, name, row.Reason, want)
		if want != "" {
			check(t, name, row.Ended, now)
		}
	}
	later := times
	later.DeleteEnded = now
	n, err = s.Sweep(t.Context(), later, 10)
	must(t, err)
	check(t, "deleted sessions", n, 4)
	if _, err := s.Find(t.Context(), hash("idle"), session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of a deleted session: %v, want ErrNotFound", err)
	}
	listed, err := s.List(t.Context(), session.Selector{Ended: true}, session.Hash{}, 10)
	must(t, err)
	check(t, "sessions left", len(listed), 4)

	// A sign-in is deleted with its last session, and not before.
	shared := find(t, s, create(t, s, draft("used too", "used")).Hash)
	_, err = s.End(t.Context(), []session.Hash{hash("used"), shared.Hash}, session.ReasonRevoked.Ending("", now))
	must(t, err)
	for range 2 {
		_, err = s.Identity(t.Context(), shared.SignIn.ID)
		must(t, err)
		_, err = s.Sweep(t.Context(), later, 1)
		must(t, err)
	}
	if _, err = s.Identity(t.Context(), shared.SignIn.ID); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Identity of a deleted sign-in: %v, want ErrNotFound", err)
	}
}

// testSweepUnused: an ended session that was never used is deleted at DeleteUnused,
// before others. One with a provider's refresh token is never deleted.
func testSweepUnused(t *testing.T, s session.Store) {
	at := epoch.Add(time.Hour)
	end := func(name string, tokenHash, used bool) {
		d := draft(name, name)
		if tokenHash {
			h := hash("provider token of " + name)
			d.ProviderToken = &h
		}
		create(t, s, d)
		if used {
			must(t, s.WriteLastUses(t.Context(), []session.LastUse{{Token: d.Hash, At: epoch.Add(time.Minute)}}))
		}
		_, err := s.End(t.Context(), []session.Hash{d.Hash}, session.ReasonPerPerson.Ending("", at))
		must(t, err)
	}
	end("used", false, true)
	end("never used", false, false)
	end("with token", true, true)
	end("with token, never used", true, false)
	left := func(times session.SweepTimes, want ...string) {
		t.Helper()
		_, err := s.Sweep(t.Context(), times, 10)
		must(t, err)
		listed, err := s.List(t.Context(), session.Selector{Ended: true}, session.Hash{}, 10)
		must(t, err)
		var got []string
		for _, l := range listed {
			got = append(got, l.Identity.User)
		}
		slices.Sort(got)
		check(t, "the sessions left", got, want)
	}
	left(session.SweepTimes{DeleteEnded: epoch, DeleteUnused: at.Add(-time.Second)}, "never used", "used", "with token", "with token, never used")
	left(session.SweepTimes{DeleteEnded: epoch, DeleteUnused: at}, "used", "with token", "with token, never used")
	left(session.SweepTimes{DeleteEnded: at, DeleteUnused: at}, "with token", "with token, never used")
	if won, err := s.LeaseFirstUse(t.Context(), hash("provider token of with token"), at, at.Add(time.Minute)); won || err != nil {
		t.Errorf("LeaseFirstUse of a token whose session ended long ago = %v, %v, want false", won, err)
	}
}

// testPending: FinishPendingEnd makes a pending end final, unless the provider has
// answered since.
func testPending(t *testing.T, s session.Store) {
	hour := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Hour) }
	pend := func(name string, at time.Time, reason session.Reason) {
		storeAnswer(t, s, hash(name), at, func(s *session.SignIn) { s.PendingSince, s.PendingReason = at, reason }, session.AnswerUpdate{})
	}
	pending := func(before time.Time, after int64, limit int) (all []session.PendingEnd) {
		t.Helper()
		all, err := s.ListPendingEnds(t.Context(), before, after, limit)
		must(t, err)
		return all
	}
	a := create(t, s, draft("a", "alice"))
	second := draft("b", "alice")
	second.Stamp, second.Created = "s1b", epoch.Add(-time.Second) // stored after a later login
	create(t, s, second)
	create(t, s, draft("ended", "alice"))
	_, err := s.End(t.Context(), []session.Hash{hash("ended")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	create(t, s, draft("of bob", "bob"))
	create(t, s, draft("of carol", "carol"))
	check(t, "sign-ins with a pending end, at first", len(pending(hour(9), 0, 10)), 0)
	pend("a", hour(1), session.ReasonEnded)
	pend("of bob", hour(2), session.ReasonGone)
	check(t, "sign-ins with a pending end, before the first", len(pending(hour(1).Add(-time.Second), 0, 10)), 0)
	got := pending(hour(1), 0, 10)
	if len(got) != 1 {
		t.Fatalf("Pending = %+v, want alice's sign-in", got)
	}
	slices.SortFunc(got[0].Sessions, func(a, b session.SessionStamp) int { return strings.Compare(a.Stamp, b.Stamp) })
	check(t, "alice's sign-in", got, []session.PendingEnd{{
		Provider: "corp", Subject: "subject of alice", SignIn: find(t, s, a.Hash).SignIn,
		Sessions: []session.SessionStamp{{Hash: hash("a"), Stamp: "s1"}, {Hash: hash("b"), Stamp: "s1b"}},
	}})
	check(t, "both sign-ins", len(pending(hour(2), 0, 10)), 2)
	check(t, "a page", len(pending(hour(2), 0, 1)), 1)
	check(t, "the next page", len(pending(hour(2), pending(hour(2), 0, 1)[0].SignIn.ID, 10)), 1)

	finish := func(signIn int64, lastAsked time.Time, tokens ...session.Hash) bool {
		t.Helper()
		done, err := s.FinishPendingEnd(t.Context(), signIn, lastAsked, tokens, session.ReasonEnded.Ending("", hour(3)))
		must(t, err)
		return done
	}
	check(t, "FinishPendingEnd after another answer", finish(got[0].SignIn.ID, epoch, hash("a")), false)
	check(t, "the session after that", find(t, s, hash("a")).Reason, "")
	check(t, "FinishPendingEnd of a pending end", finish(got[0].SignIn.ID, hour(1), hash("a"), hash("ended")), true)
	row := find(t, s, hash("a"))
	check(t, "the session that ended", []any{row.Reason, row.Ended, row.SignIn.PendingSince, row.SignIn.PendingReason}, []any{session.ReasonEnded, hour(3), time.Time{}, session.Reason("")})
	check(t, "a session that FinishPendingEnd did not name", find(t, s, hash("b")).Reason, "")
	check(t, "a session that had ended before", find(t, s, hash("ended")).Reason, session.ReasonRevoked)
	check(t, "pending ends left", len(pending(hour(9), 0, 10)), 1)
}

// testNotAskedSince: ListNotAskedSince returns one live session of each sign-in whose
// provider was last asked at or before a time.
func testNotAskedSince(t *testing.T, s session.Store) {
	add := func(name, user string, kind session.Kind, hours int) {
		d := draft(name, user)
		d.Kind, d.Created = kind, epoch.Add(time.Duration(hours)*time.Hour)
		create(t, s, d)
	}
	add("a", "alice", session.KindPAT, 1)
	add("a2", "alice", session.KindPAT, 1)
	add("b", "bob", session.KindPAT, 0)
	add("c", "carol", session.KindPAT, 3)
	add("d", "dora", session.KindRefresh, 0)
	add("e", "eve", session.KindPAT, 0)
	_, err := s.End(t.Context(), []session.Hash{hash("e")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	bob := find(t, s, hash("b")).SignIn.ID
	unasked := func(hours int, after int64, limit int) (users []string) {
		t.Helper()
		rows, err := s.ListNotAskedSince(t.Context(), session.KindPAT, epoch.Add(time.Duration(hours)*time.Hour), after, limit)
		must(t, err)
		for _, row := range rows {
			known, err := s.Identity(t.Context(), row.SignIn.ID)
			must(t, err)
			check(t, "the identity of a row", row.Body, known.Body)
			users = append(users, known.User)
		}
		return users
	}
	check(t, "not asked for two hours", unasked(2, 0, 10), []string{"alice", "bob"})
	check(t, "at the time of the last answer", unasked(3, 0, 10), []string{"alice", "bob", "carol"})
	check(t, "a page", unasked(9, 0, 1), []string{"alice"})
	check(t, "the page after a sign-in", unasked(9, bob, 10), []string{"carol"})
}

func testTakeRevocable(t *testing.T, s session.Store) {
	revoked, idle, alive := create(t, s, perLoginDraft("revoked", "alice")), create(t, s, perLoginDraft("idle", "bob")), create(t, s, perLoginDraft("alive", "alice"))
	create(t, s, draft("none", "alice"))
	end := func(reason session.Reason, tokens ...session.Hash) {
		t.Helper()
		_, err := s.End(t.Context(), tokens, reason.Ending("", epoch))
		must(t, err)
	}
	take := func() []session.SealedToken {
		t.Helper()
		taken, err := s.TakeRevocable(t.Context(), epoch, 10)
		must(t, err)
		return taken
	}
	end(session.ReasonRevoked, revoked.Hash, hash("none"))
	check(t, "the token of a person with another live sign-in", take(), []session.SealedToken{{SignIn: revoked.SignIn.ID, Provider: "corp", ProviderID: -42, Subject: "subject of alice", LoginID: revoked.Hash.ID(), Body: []byte("sealed revoked"), Others: true}})
	end(session.ReasonIdle, idle.Hash)
	check(t, "the token of a person's last sign-in", take(), []session.SealedToken{{SignIn: idle.SignIn.ID, Provider: "corp", ProviderID: -42, Subject: "subject of bob", LoginID: idle.Hash.ID(), Body: []byte("sealed idle")}})
	check(t, "a token that was taken", len(take()), 0)
	stored, err := s.ProviderToken(t.Context(), alive.SignIn.ID)
	must(t, err)
	check(t, "the token of a live sign-in", stored, session.ProviderToken{TokenVersion: 1, LoginID: alive.Hash.ID(), Body: []byte("sealed alive")})
}

func testReseal(t *testing.T, s session.Store) {
	for _, name := range []string{"a", "b", "c"} {
		create(t, s, perLoginDraft(name, "alice"))
	}
	create(t, s, draft("none", "alice"))
	first, err := s.ListSealed(t.Context(), 0, 2)
	must(t, err)
	check(t, "the first page", len(first), 2)
	rest, err := s.ListSealed(t.Context(), first[1].SignIn, 2)
	must(t, err)
	check(t, "the second page", len(rest), 1)
	must(t, s.Reseal(t.Context(), first[0], []byte("resealed")))
	must(t, s.Reseal(t.Context(), first[0], []byte("lost race")))
	got, err := s.ProviderToken(t.Context(), first[0].SignIn)
	must(t, err)
	check(t, "the token after two writers", got.Body, []byte("resealed"))
}

func testSettings(t *testing.T, s session.Store) {
	get := func(value []byte) []byte {
		t.Helper()
		stored, err := s.Setting(t.Context(), "name", value)
		must(t, err)
		return stored
	}
	check(t, "no value yet", get(nil), nil)
	check(t, "the first value", get([]byte("one")), []byte("one"))
	check(t, "a second value", get([]byte("two")), []byte("one"))
	check(t, "a read", get(nil), []byte("one"))
	must(t, s.SetSetting(t.Context(), "name", []byte("three")))
	check(t, "after SetSetting", get([]byte("four")), []byte("three"))
}
