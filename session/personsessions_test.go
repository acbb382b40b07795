package session_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/session"
)

// TestNewSessions: what was made since the person's previous visit is new, and a
// stranger's visit does not hide the stranger's session.
func TestNewSessions(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	browser := func(id string, created, used int) session.Session { // hours before noon; 99 is never used
		s := session.Session{ID: id, Kind: session.KindBrowser, Created: noon.Add(-time.Duration(created) * time.Hour)}
		if used != 99 {
			s.LastUsed = noon.Add(-time.Duration(used) * time.Hour)
		}
		return s
	}
	token := func(id string, created int) session.Session {
		return session.Session{ID: id, Kind: session.KindRefresh, Created: noon.Add(-time.Duration(created) * time.Hour), LastUsed: noon}
	}
	now := browser("now", 0, 0)
	for _, tc := range []struct {
		name  string
		live  []session.Session
		ended []session.Session
		want  string
	}{
		{"the first visit", []session.Session{now, token("a", 5)}, nil, ""},
		{"made before and after the previous visit", []session.Session{now, token("a", 5), token("b", 3)}, []session.Session{browser("old", 20, 4)}, "b"},
		{"ended meanwhile", []session.Session{now}, []session.Session{browser("old", 20, 4), token("a", 3)}, "a"},
		{"a browser that was never used again", []session.Session{now, token("a", 21), token("b", 19)}, []session.Session{browser("old", 20, 99)}, "b"},
		{"the latest of several visits", []session.Session{now, browser("phone", 30, 2), token("a", 3), token("b", 1)}, []session.Session{browser("old", 40, 4)}, "b"},
		{"a stranger's visit", []session.Session{now, browser("stranger", 3, 2), token("before", 5)}, []session.Session{browser("old", 20, 4)}, "stranger"},
	} {
		p := &session.PersonSessions{Live: tc.live, Ended: tc.ended}
		var got []string
		for id := range p.New("now") {
			got = append(got, id)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: new = %v, want %s", tc.name, got, tc.want)
		}
	}
}

// TestListPerson: the sessions of a person are listed whatever their number, with the
// kinds that a person must see first.
func TestListPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		browser := s.logInBrowser("corp", "alice")
		pat, err := s.replicas[0].IssuePAT(t.Context(), browser, session.PAT{Label: "laptop"}, laptop)
		must(t, err)
		for range 210 {
			s.issue("corp", "alice")
		}
		s.issue("corp", "bob")
		s.issue("sso", "alice")
		for range 60 {
			s.revoke(s.issue("corp", "alice"))
			time.Sleep(time.Second)
		}
		listed, err := s.replicas[0].Admin().ListPerson(t.Context(), "corp", "alice")
		must(t, err)
		if listed.LiveCount != 212 || len(listed.Live) != 200 || len(listed.Ended) != 50 {
			t.Errorf("%d live sessions, %d listed, %d ended ones, want 212, 200 and 50", listed.LiveCount, len(listed.Live), len(listed.Ended))
		}
		seen := map[string]session.Session{}
		for _, one := range listed.Live {
			seen[one.ID] = one
			if one.Identity.User != "alice" || one.Identity.Provider != "corp" || one.Client.ID != "docker" {
				t.Errorf("%+v, want the person and the client", one)
			}
		}
		if seen[browser.ID].ID == "" || seen[pat.ID].Label != "laptop" {
			t.Error("the browser's session and the PAT are not among the first 200")
		}
		newestFirst := func(a, b session.Session) int { return b.Created.Compare(a.Created) }
		if !slices.IsSortedFunc(listed.Live, newestFirst) || listed.Ended[0].Ended.Before(listed.Ended[49].Ended) {
			t.Error("the sessions are not in order")
		}
		if listed.Ended[0].Reason != session.ReasonRevoked || listed.Ended[0].By == "" {
			t.Errorf("an ended session has the reason %q by %q", listed.Ended[0].Reason, listed.Ended[0].By)
		}
		none, err := s.replicas[0].Admin().ListPerson(t.Context(), "corp", "mallory")
		if err != nil || none.LiveCount+len(none.Live)+len(none.Ended) != 0 {
			t.Errorf("of a stranger: %+v, %v, want none", none, err)
		}
	})
}
