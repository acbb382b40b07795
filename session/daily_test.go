package session_test

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/session"
)

// TestPATsAreRevalidatedDaily: the provider of an unused PAT is asked once a
// day, with a jitter.
func TestPATsAreRevalidatedDaily(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer func() { s.close() }()
		const people = 20
		for i := range people {
			browser := s.logInBrowser("sso", fmt.Sprint("user", i))
			_, err := s.replicas[0].IssuePAT(t.Context(), browser, session.PAT{}, laptop)
			must(t, err)
		}
		s.issue("sso", "without a PAT")
		// The jitter is up to six hours of a day, so that the first
		// revalidations are due from hour 18 to 24, the second from 36 to 48.
		// No replica runs for most of the time before. A revalidation that was
		// due too early happens in the first hour of a window.
		hour := 0
		for _, window := range []struct{ start, end int }{{17, 25}, {35, 49}} {
			s.close()
			time.Sleep(time.Duration(window.start-hour) * time.Hour)
			for range 2 {
				s.start(session.Config{})
			}
			var asked []int // by hour
			sum := 0
			for hour = window.start; hour < window.end; hour++ {
				before := s.providers.askCount()
				time.Sleep(time.Hour)
				synctest.Wait()
				asked = append(asked, s.providers.askCount()-before)
				sum += asked[len(asked)-1]
			}
			if asked[0] != 0 || sum != people || slices.Max(asked) > people/2 {
				t.Errorf("asked from hour %d: %v, want each of %d once, spread over hours", window.start, asked, people)
			}
		}
		if s.providers.reused != 0 {
			t.Errorf("the provider saw %d reuses", s.providers.reused)
		}
	})
}

// TestPATsOfReplacedProvider: a page full of PATs that cannot be revalidated
// does not keep the others from being revalidated.
func TestPATsOfReplacedProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer func() { s.close() }()
		issue := func(provider, subject string) {
			_, err := session.ExportIssue(t.Context(), s.replicas[0], session.KindPAT, s.providers.login(provider, subject), "")
			must(t, err)
		}
		for i := range 500 {
			issue("corp", fmt.Sprint("user", i))
		}
		issue("sso", "alice")
		s.providers.prints["corp"] = "another"
		s.close() // nothing is due before hour 18, and all of it after hour 24
		time.Sleep(24 * time.Hour)
		s.start(session.Config{})
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := s.providers.askCount(); n != 1 {
			t.Errorf("asked %d times in a day about a PAT, want once", n)
		}
	})
}
