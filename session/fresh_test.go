package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// TestFresh: a browser's session is fresh for ten minutes from its own authentication.
func TestFresh(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name              string
		kind              session.Kind
		authenticated, in time.Duration // before now
		want              bool
	}{
		{"just now", session.KindBrowser, 0, 0, true},
		{"less than ten minutes ago", session.KindBrowser, 10*time.Minute - time.Millisecond, 0, true},
		{"ten minutes ago", session.KindBrowser, 10 * time.Minute, 0, false},
		{"at the provider yesterday", session.KindBrowser, 24 * time.Hour, 0, false},
		{"by a clock that is ahead", session.KindBrowser, -time.Hour, 9 * time.Minute, true},
		{"by a clock that is ahead, ten minutes ago", session.KindBrowser, -time.Hour, 10 * time.Minute, false},
		{"a refresh token", session.KindRefresh, 0, 0, false},
		{"a PAT", session.KindPAT, 0, 0, false},
		{"a robot's secret", session.KindRobot, 0, 0, false},
	} {
		s := &session.Session{Kind: tc.kind, Created: now.Add(-tc.in), Identity: &providers.Identity{AuthTime: now.Add(-tc.authenticated)}}
		if got := s.Fresh(now); got != tc.want {
			t.Errorf("%s: Fresh = %v, want %v", tc.name, got, tc.want)
		}
	}
}

// TestFreshIsOfItsOwnLogin: another login of the person, which shares the sign-in, and a
// revalidation change nothing of a session's acr, amr and auth_time.
func TestFreshIsOfItsOwnLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		first := s.logInBrowser("corp", "alice")
		now := func() time.Time { return s.replicas[0].Now() }
		if !first.Fresh(now()) {
			t.Error("a session is not fresh after its login")
		}
		time.Sleep(9 * time.Minute)
		stepUp := s.providers.login("corp", "alice")
		stepUp.ACR, stepUp.AMR, stepUp.AuthTime = "platinum", []string{"hwk"}, time.Now()
		second, err := s.replicas[0].IssueBrowser(t.Context(), stepUp, "", secret.Text{}, laptop)
		must(t, err)
		again, err := s.redeemCookie(first.Token)
		must(t, err)
		if again.Fresh(now()) || !second.Fresh(now()) {
			t.Errorf("ten minutes after its login: fresh = %v, and a new session %v, want false and true", again.Fresh(now()), second.Fresh(now()))
		}
		if id := again.Identity; id.ACR != "gold" || len(id.AMR) != 2 || !id.AuthTime.Equal(first.Identity.AuthTime) {
			t.Errorf("the older session has acr %q, amr %q, auth_time %v, want those of its login", id.ACR, id.AMR, id.AuthTime)
		}
		pat, err := s.replicas[0].IssuePAT(t.Context(), second, session.PAT{}, laptop)
		if err == nil || pat != nil {
			t.Errorf("a session that was not redeemed derives a PAT: %v", err)
		}
	})
}

// TestIssueBrowserReplaces: a login with a browser ends the session of the cookie that the
// browser had, also another person's, and no other.
func TestIssueBrowserReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		alice, phone, refresh := s.logInBrowser("sso", "alice"), s.logInBrowser("sso", "alice"), s.issue("corp", "bob")
		login := func(old secret.Text) secret.Text {
			made, err := s.replicas[1].IssueBrowser(t.Context(), s.providers.login("corp", "bob"), "", old, laptop)
			must(t, err)
			return made.Token
		}
		bob := login(alice.Token)
		if _, err := s.redeemCookie(alice.Token); outcome(err) != "401" {
			t.Errorf("the session that was replaced: %v, want 401", err)
		}
		if got := s.endReason(alice.Token); got != session.ReasonReplaced {
			t.Errorf("it ended for %q, want %q", got, session.ReasonReplaced)
		}
		synctest.Wait()
		if len(s.providers.revoked) != 1 {
			t.Errorf("revoked refresh tokens of the provider = %q, want that of the session", s.providers.revoked)
		}
		for _, old := range []secret.Text{{}, secret.New("sp_w_nonsense"), secret.New("another program's cookie"), refresh, alice.Token} {
			login(old)
		}
		for name, token := range map[string]secret.Text{"another browser of the person": phone.Token, "the new session": bob} {
			if _, err := s.redeemCookie(token); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		s.expect("a refresh token in the place of the cookie", refresh, "ok")
	})
}
