package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
)

// TestInspect: Inspect returns what a redemption would, without asking a
// provider.
func TestInspect(t *testing.T) {
	for name, test := range map[string]struct {
		happens func(*cluster, secret.Text)
		want    string
	}{
		"live":                {func(*cluster, secret.Text) {}, "ok"},
		"it was redeemed":     {func(s *cluster, token secret.Text) { s.redeem(token) }, "ok"},
		"it was revoked":      {func(s *cluster, token secret.Text) { s.replicas[0].Admin().RevokeToken(s.t.Context(), token, "test") }, "401"},
		"it was never used":   {func(*cluster, secret.Text) { time.Sleep(4 * time.Hour) }, "401"},
		"its provider is new": {func(s *cluster, _ secret.Text) { s.providers.prints["corp"] = "another" }, "401"},
		"its provider went":   {func(s *cluster, _ secret.Text) { delete(s.providers.prints, "corp") }, "401"},
		"its password changed": {func(s *cluster, _ secret.Text) {
			s.providers.change("alice", func(a *account) { a.stamp = "s2" })
			s.issue("corp", "alice")
		}, "401"},
		"the provider was not asked yet": {func(s *cluster, _ secret.Text) {
			s.providers.change("alice", func(a *account) { a.disabled = true })
			time.Sleep(time.Hour)
		}, "ok"},
		"its person is locked": {func(s *cluster, token secret.Text) {
			s.providers.change("alice", func(a *account) { a.locked = true })
			time.Sleep(time.Hour)
			s.redeem(token)
		}, "401"},
		"its person is missing": {func(s *cluster, token secret.Text) {
			s.providers.change("alice", func(a *account) { a.missing = true })
			time.Sleep(10 * time.Minute)
			s.redeem(token)
		}, "401"},
		"its provider is down": {func(s *cluster, token secret.Text) {
			s.providers.setDown(true)
			time.Sleep(2 * time.Hour)
			s.redeem(token)
		}, "ok"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newCluster(t, 1, session.Config{Unused: 3 * time.Hour})
				defer s.close()
				token := s.issue("corp", "alice")
				test.happens(s, token)
				asked := s.providers.askCount()
				found, err := s.replicas[0].Admin().Inspect(t.Context(), token)
				if got := outcome(err); got != test.want {
					t.Errorf("Inspect = %v, want %s", err, test.want)
				}
				if err == nil && (found.ID != session.ExportID(token) || found.Identity.User != "alice" || found.Client != laptop) {
					t.Errorf("Inspect = %+v, want alice's session from her laptop", found)
				}
				if s.providers.askCount() != asked {
					t.Error("Inspect asked a provider")
				}
			})
		})
	}
}

// TestInspectUsesNothing: Inspect does not count as a use of the token.
func TestInspectUsesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{Unused: 7 * time.Hour})
		defer s.close()
		token := s.issue("corp", "alice")
		for range 9 {
			time.Sleep(time.Hour)
			s.replicas[0].Admin().Inspect(t.Context(), token)
		}
		s.expect("nine hours after a login, inspected only", token, "401")
	})
}

func TestRevokeToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		token, other := s.issue("corp", "alice"), s.issue("corp", "alice")
		pat, err := session.ExportIssue(t.Context(), s.replicas[0], session.KindPAT, s.providers.login("corp", "alice"), service)
		must(t, err)
		s.redeem(token) // the other replica has not cached it
		for _, test := range []struct {
			name  string
			token secret.Text
			ended bool
			want  string
		}{
			{"it lives", token, true, "ok"},
			{"again", token, false, "ok"},
			{"a personal access token", pat.Token, true, "ok"},
			{"mangled", secret.New(other.Reveal()[:20]), false, "401"},
			{"of another kind", secret.New("sp_b_" + other.Reveal()[5:]), false, "401"},
			{"a password", secret.New("correct-horse"), false, "401"},
		} {
			was, ended, err := s.replicas[1].Admin().RevokeToken(t.Context(), test.token, "its holder")
			if got := outcome(err); got != test.want || ended != test.ended {
				t.Errorf("%s: RevokeToken = %v, %v, want %v, %s", test.name, ended, err, test.ended, test.want)
			}
			if err == nil && (was.ID != session.ExportID(test.token) || was.Identity.Subject != "alice") {
				t.Errorf("%s: RevokeToken = %+v, want the session of the token", test.name, was)
			}
		}
		s.expect("revoked at another replica", token, "401")
		s.expect("the other session", other, "ok")
		if why := s.endReason(token); why != session.ReasonRevoked {
			t.Errorf("it ended because %q, want revoked", why)
		}
	})
}
