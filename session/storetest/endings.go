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
	check(t, "ended", end(epoch, a, hash("nobody")), 1)
	check(t, "ended again", end(epoch.Add(time.Hour), a, b), 1)
	row := find(t, s, a)
	check(t, "when", row.Ended, epoch)
	check(t, "why", row.Reason, session.ReasonRevoked)
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
		check(t, "a step", n, 1)
	}
	n, err := s.Sweep(t.Context(), times, 10)
	must(t, err)
	check(t, "the last step", n, 0)
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
	check(t, "forgotten", n, 4)
	if _, err := s.Find(t.Context(), hash("idle"), session.Version{}); !errors.Is(err, session.ErrNotFound) {
		t.Errorf("Find of what is forgotten: %v, want ErrNotFound", err)
	}
	listed, err := s.List(t.Context(), session.Selector{Ended: true}, session.Hash{}, 10)
	must(t, err)
	check(t, "left", len(listed), 4)

	// A sign-in is forgotten with the last session, and not before.
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
		t.Errorf("Identity of a sign-in that is forgotten: %v, want ErrNotFound", err)
	}
}

// testSweepUnused forgets what nobody ever used soon after its end, and what
// answers to a provider's refresh token never.
func testSweepUnused(t *testing.T, s session.Store) {
	at := epoch.Add(time.Hour)
	end := func(name string, tokenHash, used bool) {
		d := draft(name, name)
		if tokenHash {
			h := hash("upstream of " + name)
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
			got = append(got, l.Identity.User)
		}
		slices.Sort(got)
		check(t, "what is left", got, want)
	}
	left(session.SweepTimes{DeleteEnded: epoch, DeleteUnused: at.Add(-time.Second)}, "never used", "upstream", "upstream, never used", "used")
	left(session.SweepTimes{DeleteEnded: epoch, DeleteUnused: at}, "upstream", "upstream, never used", "used")
	left(session.SweepTimes{DeleteEnded: at, DeleteUnused: at}, "upstream", "upstream, never used")
	if won, err := s.LeaseFirstUse(t.Context(), hash("upstream of upstream"), at, at.Add(time.Minute)); won || err != nil {
		t.Errorf("Claim of a token whose session ended long ago = %v, %v, want false", won, err)
	}
}

// testPending makes ends final, unless the provider has answered since.
func testPending(t *testing.T, s session.Store) {
	hour := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Hour) }
	pend := func(name string, at time.Time, why session.Reason) {
		storeAnswer(t, s, hash(name), at, func(s *session.SignIn) { s.Pending, s.Reason = at, why }, session.AnswerUpdate{})
	}
	pending := func(before time.Time, after int64, limit int) (all []session.PendingEnd) {
		t.Helper()
		all, err := s.ListPendingEnds(t.Context(), before, after, limit)
		must(t, err)
		return all
	}
	a := create(t, s, draft("a", "alice"))
	second := draft("b", "alice")
	second.Stamp, second.Created = "s1b", epoch.Add(-time.Second) // kept late
	create(t, s, second)
	create(t, s, draft("ended", "alice"))
	_, err := s.End(t.Context(), []session.Hash{hash("ended")}, session.ReasonRevoked.Ending("", epoch))
	must(t, err)
	create(t, s, draft("of bob", "bob"))
	create(t, s, draft("of carol", "carol"))
	check(t, "before anything", len(pending(hour(9), 0, 10)), 0)
	pend("a", hour(1), session.ReasonEnded)
	pend("of bob", hour(2), session.ReasonGone)
	check(t, "before the first", len(pending(hour(1).Add(-time.Second), 0, 10)), 0)
	got := pending(hour(1), 0, 10)
	if len(got) != 1 {
		t.Fatalf("Pending = %+v, want alice's", got)
	}
	slices.SortFunc(got[0].Sessions, func(a, b session.SessionStamp) int { return strings.Compare(a.Stamp, b.Stamp) })
	check(t, "alice's", got, []session.PendingEnd{{
		Provider: "corp", Subject: "subject of alice", SignIn: find(t, s, a.Hash).SignIn,
		Sessions: []session.SessionStamp{{Hash: hash("a"), Stamp: "s1"}, {Hash: hash("b"), Stamp: "s1b"}},
	}})
	check(t, "both", len(pending(hour(2), 0, 10)), 2)
	check(t, "a page", len(pending(hour(2), 0, 1)), 1)
	check(t, "the next page", len(pending(hour(2), pending(hour(2), 0, 1)[0].SignIn.ID, 10)), 1)

	finish := func(signIn int64, asked time.Time, tokens ...session.Hash) bool {
		t.Helper()
		done, err := s.FinishPendingEnd(t.Context(), signIn, asked, tokens, session.ReasonEnded.Ending("", hour(3)))
		must(t, err)
		return done
	}
	check(t, "after another answer", finish(got[0].SignIn.ID, epoch, hash("a")), false)
	check(t, "what lives on", find(t, s, hash("a")).Reason, "")
	check(t, "made final", finish(got[0].SignIn.ID, hour(1), hash("a"), hash("ended")), true)
	row := find(t, s, hash("a"))
	check(t, "what ended", []any{row.Reason, row.Ended, row.SignIn.Pending, row.SignIn.Reason}, []any{session.ReasonEnded, hour(3), time.Time{}, session.Reason("")})
	check(t, "what does not end", find(t, s, hash("b")).Reason, "")
	check(t, "what had ended before", find(t, s, hash("ended")).Reason, session.ReasonRevoked)
	check(t, "left", len(pending(hour(9), 0, 10)), 1)
}

// testUnasked finds one session for each sign-in that was not asked about.
func testUnasked(t *testing.T, s session.Store) {
	make := func(name, user string, kind session.Kind, hours int) {
		d := draft(name, user)
		d.Kind, d.Created = kind, epoch.Add(time.Duration(hours)*time.Hour)
		create(t, s, d)
	}
	make("a", "alice", session.KindPAT, 1)
	make("a2", "alice", session.KindPAT, 1)
	make("b", "bob", session.KindPAT, 0)
	make("c", "carol", session.KindPAT, 3)
	make("d", "dora", session.KindRefresh, 0)
	make("e", "eve", session.KindPAT, 0)
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
			check(t, "its identity", row.Body, known.Body)
			users = append(users, known.User)
		}
		return users
	}
	check(t, "of two hours ago", unasked(2, 0, 10), []string{"alice", "bob"})
	check(t, "at the limit", unasked(3, 0, 10), []string{"alice", "bob", "carol"})
	check(t, "as many as asked for", unasked(9, 0, 1), []string{"alice"})
	check(t, "those after another", unasked(9, bob, 10), []string{"carol"})
}

func testTakeRevocable(t *testing.T, s session.Store) {
	revoked, idle, alive := create(t, s, ownDraft("revoked", "alice")), create(t, s, ownDraft("idle", "bob")), create(t, s, ownDraft("alive", "alice"))
	create(t, s, draft("none", "alice"))
	end := func(why session.Reason, tokens ...session.Hash) {
		t.Helper()
		_, err := s.End(t.Context(), tokens, why.Ending("", epoch))
		must(t, err)
	}
	take := func() []session.SealedToken {
		t.Helper()
		taken, err := s.TakeRevocable(t.Context(), epoch, 10)
		must(t, err)
		return taken
	}
	end(session.ReasonRevoked, revoked.Hash, hash("none"))
	check(t, "of one with others", take(), []session.SealedToken{{SignIn: revoked.SignIn.ID, Provider: "corp", ProviderID: -42, Subject: "subject of alice", LoginID: revoked.Hash.ID(), Body: []byte("sealed revoked"), Others: true}})
	end(session.ReasonIdle, idle.Hash)
	check(t, "of the last of another person", take(), []session.SealedToken{{SignIn: idle.SignIn.ID, Provider: "corp", ProviderID: -42, Subject: "subject of bob", LoginID: idle.Hash.ID(), Body: []byte("sealed idle")}})
	check(t, "again", len(take()), 0)
	kept, err := s.ProviderToken(t.Context(), alive.SignIn.ID)
	must(t, err)
	check(t, "of one that lives", kept, session.ProviderToken{TokenVersion: 1, LoginID: alive.Hash.ID(), Body: []byte("sealed alive")})
}

func testReseal(t *testing.T, s session.Store) {
	for _, name := range []string{"a", "b", "c"} {
		create(t, s, ownDraft(name, "alice"))
	}
	create(t, s, draft("none", "alice"))
	first, err := s.ListSealed(t.Context(), 0, 2)
	must(t, err)
	check(t, "the first page", len(first), 2)
	rest, err := s.ListSealed(t.Context(), first[1].SignIn, 2)
	must(t, err)
	check(t, "the second page", len(rest), 1)
	must(t, s.Reseal(t.Context(), first[0], []byte("anew")))
	must(t, s.Reseal(t.Context(), first[0], []byte("too late")))
	got, err := s.ProviderToken(t.Context(), first[0].SignIn)
	must(t, err)
	check(t, "resealed", got.Body, []byte("anew"))
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
