package session_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/session"
)

// TestSweep: an unused session is ended in the store, retained for a while, and
// its provider's refresh token is revoked.
func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{Unused: time.Hour})
		defer s.close()
		s.issue("sso", "alice")
		list := func(ended bool) int {
			all, err := s.replicas[0].Admin().List(t.Context(), session.Selector{Ended: ended})
			must(t, err)
			return len(all)
		}
		for _, tc := range []struct {
			after       time.Duration
			live, shown int
			revoked     int
		}{
			{59 * time.Minute, 1, 1, 0}, {2 * time.Minute, 0, 1, 1}, {6 * time.Minute, 0, 0, 1},
		} {
			time.Sleep(tc.after)
			synctest.Wait()
			s.providers.mu.Lock()
			revoked := slices.Clone(s.providers.revoked)
			s.providers.mu.Unlock()
			if list(false) != tc.live || list(true) != tc.shown || len(revoked) != tc.revoked {
				t.Errorf("after %v: %d live, %d shown, revoked refresh tokens %q; want %+v", tc.after, list(false), list(true), revoked, tc)
			}
		}
	})
}

// TestSweepTimes: ended sessions are retained for thirty days.
func TestSweepTimes(t *testing.T) {
	now := time.Date(2026, 3, 31, 0, 0, 0, 0, time.UTC)
	got := session.ExportSweepTimes(session.Config{}.WithDefaults(), now)
	want := session.SweepTimes{
		Now: now, DeleteEnded: now.Add(-30 * day), DeleteUnused: now.Add(-2 * time.Minute), DeleteGrants: now.Add(-day), DeleteTallies: got.DeleteTallies,
		Kinds: []session.KindTimes{
			{Kind: session.KindRefresh, Idle: now.Add(-90 * day), Unused: now.Add(-7 * day)},
			{Kind: session.KindBrowser, Idle: now.Add(-8 * time.Hour), Unused: now.Add(-8 * time.Hour)},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sweepTimes (-want +got):\n%s", diff)
	}
}

func TestLastUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		token := s.issue("corp", "alice")
		began := time.Now()
		lastUsed := func() time.Duration {
			synctest.Wait()
			all, err := s.replicas[0].Admin().List(t.Context(), session.Selector{})
			must(t, err)
			return all[0].LastUsed.Sub(began)
		}
		for _, tc := range []struct{ after, want time.Duration }{
			{0, 0},                               // the first use is written immediately
			{31 * time.Second, 0},                // the stored use is younger than a minute
			{30 * time.Second, 0},                // a minute later the use is buffered
			{4 * time.Second, 0},                 // and so is this one
			{11 * time.Second, 65 * time.Second}, // the flush wrote the last buffered use
		} {
			time.Sleep(tc.after)
			s.expect("use", token, "ok")
			if got := lastUsed(); got != tc.want {
				t.Errorf("%v after the start: last used at %v, want %v", time.Since(began), got, tc.want)
			}
		}
	})
}
