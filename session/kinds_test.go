package session_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
)

// logInBrowser logs a person in with a browser, and redeems the cookie.
func (c *cluster) logInBrowser(provider, subject string) *session.Session {
	c.t.Helper()
	id := c.providers.login(provider, subject)
	id.ACR, id.AMR, id.AuthTime = "gold", []string{"pwd", "otp"}, time.Now().Add(-time.Minute)
	client := laptop
	client.LoginName = "CORP\\" + subject
	made, err := c.replicas[0].IssueBrowser(c.t.Context(), id, "sid of "+subject, secret.Text{}, client)
	must(c.t, err)
	found, err := c.redeemCookie(made.Token)
	must(c.t, err)
	found.Token = made.Token
	return found
}

// redeemCookie redeems a browser's cookie.
func (c *cluster) redeemCookie(token secret.Text) (*session.Session, error) {
	return c.replicas[0].Redeem(c.t.Context(), token, "", laptop, session.KindBrowser)
}

// redeemAsPassword redeems a token that was sent as a password.
func (c *cluster) redeemAsPassword(token secret.Text, service string) (*session.Session, error) {
	return c.replicas[0].Redeem(c.t.Context(), token, service, laptop, session.KindRefresh, session.KindPAT, session.KindRobot)
}

// TestEvict: at per_person the least recently used session is evicted, those of
// the last hour last.
func TestEvict(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	live := func(id byte, created, used int) session.LiveSession { // minutes ago; 0 is never used
		l := session.LiveSession{Hash: session.Hash{id}, Created: now.Add(-time.Duration(created) * time.Minute)}
		if used > 0 {
			l.LastUsed = now.Add(-time.Duration(used) * time.Minute)
		}
		return l
	}
	providerToken := live('u', 600, 600)
	providerToken.ProviderToken = true
	for _, tc := range []struct {
		name            string
		live            []session.LiveSession
		perPerson       int
		deleted, ending string
	}{
		{"the least recently used", []session.LiveSession{live('a', 500, 10), live('b', 400, 200), live('c', 300, 100)}, 3, "b", ""},
		{"never used counts from its login", []session.LiveSession{live('a', 500, 10), live('b', 400, 0), live('c', 450, 410)}, 3, "c", ""},
		{"one of the last hour only where there is no older one", []session.LiveSession{live('a', 61, 1), live('b', 59, 59), live('c', 2, 0)}, 3, "a", ""},
		{"all of the last hour", []session.LiveSession{live('a', 50, 1), live('b', 40, 39), live('c', 45, 0)}, 3, "c", ""},
		{"as many as it takes", []session.LiveSession{live('a', 500, 100), live('b', 500, 90), live('c', 500, 80), live('d', 500, 70)}, 2, "abc", ""},
		{"one with a provider's token is ended, not deleted", []session.LiveSession{providerToken, live('a', 500, 100)}, 2, "", "u"},
	} {
		e := session.ExportEvict(session.Config{PerPerson: tc.perPerson}, tc.live, now)
		first := func(hashes []session.Hash) (text string) {
			for _, h := range hashes {
				text += string(rune(h[0]))
			}
			return text
		}
		if first(e.Delete) != tc.deleted || first(e.End) != tc.ending || e.Reason != session.ReasonPerPerson || !e.At.Equal(now) {
			t.Errorf("%s: deleted %q, ended %q, want %q and %q", tc.name, first(e.Delete), first(e.End), tc.deleted, tc.ending)
		}
	}
}

// TestFreshLoginsAreNotEvicted: concurrent logins at per_person do not end
// each other's tokens before their first use.
func TestFreshLoginsAreNotEvicted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perPerson = 50
		s := newCluster(t, 1, session.Config{PerPerson: perPerson})
		defer s.close()
		for range perPerson {
			s.expect("to fill up", s.issue("corp", "alice"), "ok")
		}
		time.Sleep(time.Second)
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				for range 20 {
					token, _, err := s.replicas[0].Issue(t.Context(), s.providers.login("corp", "alice"), service, laptop)
					if err != nil {
						t.Error(err)
						return
					}
					time.Sleep(20 * time.Millisecond) // as docker takes
					s.expect("at its first use", token, "ok")
				}
			})
		}
		group.Wait()
	})
}

// TestRowsAreBounded: sessions evicted at per_person leave no row.
func TestRowsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{PerPerson: 5})
		defer s.close()
		for _, provider := range []string{"corp", "sso"} {
			for range 40 {
				s.expect("a login", s.issue(provider, "alice"), "ok")
				time.Sleep(time.Second)
			}
		}
		synctest.Wait()
		all, err := s.replicas[0].Admin().List(t.Context(), session.Selector{Ended: true})
		must(t, err)
		if len(all) != 10 {
			t.Errorf("%d sessions are stored, want five at each provider", len(all))
		}
		if got := len(s.providers.revoked); got != 35 {
			t.Errorf("%d refresh tokens of the provider are revoked, want those of 35 sign-ins", got)
		}
	})
}

// TestEndedRowsAreBounded: the ended sessions of an account that logs in
// and revokes in turn are bounded.
func TestEndedRowsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{PerPerson: 2000})
		defer s.close()
		for range 1005 {
			s.issue("corp", "alice")
		}
		if n, err := s.replicas[0].Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "test"); n != 1005 || err != nil {
			t.Errorf("Revoke = %d, %v, want 1005", n, err)
		}
		s.expect("another login", s.issue("corp", "alice"), "ok")
		all, err := s.replicas[0].Admin().List(t.Context(), session.Selector{Ended: true})
		must(t, err)
		if len(all) != 1001 {
			t.Errorf("%d sessions are stored, want the live one and 1,000 ended ones", len(all))
		}
	})
}

// TestBoundsOfKinds: a kind never evicts another, and a PAT or robot's secret
// beyond the bound is refused.
func TestBoundsOfKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{PerPerson: 3})
		defer s.close()
		refresh := s.issue("corp", "alice")
		first := s.logInBrowser("corp", "alice")
		pats := make([]*session.Session, 0, 50)
		for range 50 {
			pat, err := s.replicas[0].IssuePAT(t.Context(), first, session.PAT{}, laptop)
			must(t, err)
			pats = append(pats, pat)
		}
		if _, err := s.replicas[0].IssuePAT(t.Context(), first, session.PAT{}, laptop); !errors.Is(err, session.ErrTooMany) {
			t.Errorf("the 51st PAT: %v, want ErrTooMany", err)
		}
		s.revoke(pats[0].Token)
		if _, err := s.replicas[0].IssuePAT(t.Context(), first, session.PAT{}, laptop); err != nil {
			t.Errorf("after a revocation: %v", err)
		}
		time.Sleep(time.Second)
		var browsers []*session.Session
		for range 20 {
			browsers = append(browsers, s.logInBrowser("corp", "alice"))
			time.Sleep(time.Second)
		}
		if _, err := s.redeemCookie(first.Token); outcome(err) != "401" {
			t.Errorf("the oldest of 21 browsers: %v, want 401", err)
		}
		for i, b := range browsers {
			if _, err := s.redeemCookie(b.Token); err != nil {
				t.Errorf("browser %d: %v", i, err)
			}
		}
		s.expect("a refresh token", refresh, "ok")
		if _, err := s.redeemAsPassword(pats[49].Token, service); err != nil {
			t.Errorf("a PAT: %v", err)
		}
		for i, want := range []error{nil, nil, session.ErrTooMany} {
			_, err := session.ExportIssue(t.Context(), s.replicas[0], session.KindRobot, s.providers.login("corp", "robot"), service)
			if !errors.Is(err, want) {
				t.Errorf("secret %d of a robot: %v, want %v", i+1, err, want)
			}
		}
	})
}

// TestBrowserIsRevalidated: the provider is asked again about the session of a browser as of
// every other, so that a leaver is out of the pages within minutes.
func TestBrowserIsRevalidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		alice, bob := s.logInBrowser("corp", "alice"), s.logInBrowser("corp", "bob")
		s.providers.change("alice", func(a *account) { a.disabled = true })
		s.providers.change("bob", func(a *account) { a.groups = []string{"authenticated", "team-c"} })
		time.Sleep(5 * time.Minute)
		if _, err := s.redeemCookie(alice.Token); outcome(err) != "401" {
			t.Errorf("the browser of a leaver: %v, want 401", err)
		}
		found, err := s.redeemCookie(bob.Token)
		if err != nil || !found.Identity.InGroup("team-c") {
			t.Errorf("the browser of a person who changed teams: %+v, %v, want the new groups", found, err)
		}
	})
}
