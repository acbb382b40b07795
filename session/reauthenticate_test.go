package session_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
)

// TestReauthenticateStory: a provider that accepts refresh tokens for ever (D15). Its
// sessions end a day after the person signed in, used or not, and the provider's refresh
// tokens are revoked. A reload changes the limit: a shorter one holds for all sessions,
// a longer one for new logins.
func TestReauthenticateStory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		limit := func(of time.Duration) {
			s.providers.mu.Lock()
			defer s.providers.mu.Unlock()
			s.providers.reauthenticate = map[string]time.Duration{"sso": of}
		}
		check := func(name string, token secret.Text, reason string) {
			t.Helper()
			_, err := s.replicas[0].Redeem(t.Context(), token, service, laptop, session.KindRefresh)
			if reason == "" && err != nil || reason != "" && (!errors.Is(err, session.ErrRefused) || !strings.Contains(err.Error(), reason)) {
				t.Errorf("%s: Redeem = %v, want %q", name, err, reason)
			}
		}
		time.Sleep(time.Minute) // so that no sweep is at the limit
		limit(24 * time.Hour)
		used, unused, directory := s.issue("sso", "alice"), s.issue("sso", "bob"), s.issue("corp", "alice")
		time.Sleep(23 * time.Hour)
		check("within the limit", used, "")
		s.providers.setDown(true)
		time.Sleep(time.Hour)
		check("at the limit, while the provider is down", used, "sign-in too old")
		s.providers.setDown(false)
		check("another provider", directory, "")
		time.Sleep(10 * time.Minute) // a sweep
		check("never used, so deleted", unused, "no such session")
		if got := len(s.providers.revoked); got != 2 {
			t.Errorf("%d refresh tokens were revoked, want 2", got)
		}

		again := s.issue("sso", "alice")
		time.Sleep(2 * time.Hour)
		limit(time.Hour)
		check("a shorter limit", again, "sign-in too old")
		check("a shorter limit, once more", again, "it ended: sign-in too old")
		limit(0)
		free := s.issue("sso", "alice")
		time.Sleep(48 * time.Hour)
		check("no limit", free, "")
	})
}
