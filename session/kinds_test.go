package session_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// logInBrowser logs a person in with a browser, and redeems the cookie.
func (c *cluster) logInBrowser(provider, subject string) *session.Session {
	c.t.Helper()
	id := c.providers.login(provider, subject)
	id.ACR, id.AMR, id.AuthTime = "gold", []string{"pwd", "otp"}, time.Now().Add(-time.Minute)
	client := laptop
	client.LoginName = "CORP\\" + subject
	made, err := c.replicas[0].IssueBrowser(c.t.Context(), id, "sid of "+subject, client)
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

// TestEvict: at per_person the least recently used session is evicted, those of the
// last hour last.
func TestEvict(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	live := func(id byte, created, used int) session.LiveSession { // minutes ago; 0 is never used
		l := session.LiveSession{Hash: session.Hash{id}, Created: now.Add(-time.Duration(created) * time.Minute)}
		if used > 0 {
			l.Used = now.Add(-time.Duration(used) * time.Minute)
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

// TestFreshLoginsAreNotEvicted: B4: concurrent logins at per_person do not end each
// other's tokens before their first use.
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

// TestRowsAreBounded: B8: sessions evicted at per_person leave no row.
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

// TestEndedRowsAreBounded: B8: the ended sessions of an account that logs in and
// revokes in turn are bounded.
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

// TestBoundsOfKinds: a kind never evicts another, and a PAT or robot's secret beyond the
// bound is refused.
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

// TestDerivedSessions: tokens derived from a browser's session copy its login, point to
// its sign-in, and outlive it.
func TestDerivedSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		browser := s.logInBrowser("sso", "alice")
		const limits = `{"repositories":["team-a/**"]}`
		pat, err := s.replicas[0].IssuePAT(t.Context(), browser, session.PAT{Label: "laptop", Limits: limits, Lifetime: 10 * day}, laptop)
		must(t, err)
		oneTime, err := s.replicas[0].IssueOneTimePassword(t.Context(), browser, service)
		must(t, err)
		if n, err := s.replicas[0].Admin().Revoke(t.Context(), session.Selector{Kind: session.KindBrowser}, "log out"); n != 1 || err != nil {
			t.Errorf("Revoke = %d, %v", n, err)
		}
		synctest.Wait()
		docker, err := s.replicas[0].RedeemOneTimePassword(t.Context(), oneTime, service, laptop)
		must(t, err)
		again, err := s.redeem(docker.Token)
		must(t, err)
		asPassword, err := s.redeemAsPassword(pat.Token, "another service")
		must(t, err)
		for name, found := range map[string]*session.Session{"the PAT": asPassword, "the docker login": again} {
			id := found.Identity
			if id.ACR != "gold" || !slices.Equal(id.AMR, []string{"pwd", "otp"}) || !id.AuthTime.Equal(browser.Identity.AuthTime) || found.LoginName != "CORP\\alice" || id.User != "alice" {
				t.Errorf("%s: %+v of %+v, want the login of the browser's session, %+v", name, found, id, browser.Identity)
			}
		}
		if asPassword.Limits != limits || asPassword.Service != "" || asPassword.Identity.Method != providers.MethodPAT || again.Limits != "" || again.Identity.Method != providers.MethodPassword {
			t.Errorf("the PAT has limits %q, service %q, method %q; the docker login limits %q, method %q",
				asPassword.Limits, asPassword.Service, asPassword.Identity.Method, again.Limits, again.Identity.Method)
		}
		if got := asPassword.Expires.Sub(asPassword.Created); got != 10*day {
			t.Errorf("the PAT lives for %v, want ten days", got)
		}
		if _, err := s.replicas[0].IssuePAT(t.Context(), asPassword, session.PAT{}, laptop); err == nil {
			t.Error("a PAT was derived from a PAT")
		}
		if _, err := s.replicas[0].IssueOneTimePassword(t.Context(), again, service); err == nil {
			t.Error("a one-time password was derived from a refresh token")
		}
		if len(s.providers.revoked) != 0 {
			t.Errorf("revoked refresh tokens = %q, want none while derived sessions live", s.providers.revoked)
		}
		s.providers.change("alice", func(a *account) { a.disabled = true })
		time.Sleep(5 * time.Minute)
		if _, err := s.redeemAsPassword(pat.Token, service); outcome(err) != "401" {
			t.Errorf("the PAT of a disabled account: %v, want 401", err)
		}
		s.expect("its docker login", docker.Token, "401")
	})
}

// TestGrantsAreBounded: B8: the one-time passwords of a person are bounded.
func TestGrantsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		browser := s.logInBrowser("corp", "alice")
		var made []secret.Text
		for range 120 {
			token, err := s.replicas[0].IssueOneTimePassword(t.Context(), browser, service)
			must(t, err)
			made = append(made, token)
			time.Sleep(time.Millisecond)
		}
		for i, want := range map[int]string{0: "401", 19: "401", 20: "ok", 119: "ok"} {
			if _, err := s.replicas[0].RedeemOneTimePassword(t.Context(), made[i], service, laptop); outcome(err) != want {
				t.Errorf("one-time password %d of 120: %v, want %s", i+1, err, want)
			}
		}
	})
}

// TestOneTime: a one-time password is valid for one login at its service, within ten
// minutes, and for nothing else.
func TestOneTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 3, session.Config{})
		defer s.close()
		browser := s.logInBrowser("corp", "alice")
		oneTime := func() secret.Text {
			token, err := s.replicas[0].IssueOneTimePassword(t.Context(), browser, service)
			must(t, err)
			return token
		}
		spend := func(token secret.Text, service string) error {
			_, err := s.replicas[1].RedeemOneTimePassword(t.Context(), token, service, laptop)
			return err
		}
		token := oneTime()
		if err := spend(token, "another"); outcome(err) != "401" {
			t.Errorf("for another service: %v, want 401", err)
		}
		if _, err := s.redeemAsPassword(token, service); outcome(err) != "401" {
			t.Errorf("as a password: %v, want 401", err)
		}
		if err := spend(browser.Token, service); outcome(err) != "401" {
			t.Errorf("a cookie as a one-time password: %v, want 401", err)
		}
		var won, spent int
		var mu sync.Mutex
		var group sync.WaitGroup
		for i := range 9 {
			group.Go(func() {
				_, err := s.replicas[i%3].RedeemOneTimePassword(t.Context(), token, service, laptop)
				mu.Lock()
				defer mu.Unlock()
				if _, ok := errors.AsType[*session.SpentError](err); ok {
					spent++
				} else if err == nil {
					won++
				}
			})
		}
		group.Wait()
		if won != 1 || spent != 8 {
			t.Errorf("of nine concurrent logins %d succeeded and %d got SpentError, want 1 and 8", won, spent)
		}
		at := time.Now()
		time.Sleep(time.Hour)
		err := spend(token, service)
		if was, ok := errors.AsType[*session.SpentError](err); !ok || was.At.Sub(at).Abs() > time.Second || outcome(err) != "401" {
			t.Errorf("an hour later: %v, want that it was used at %v", err, at)
		}
		late := oneTime()
		time.Sleep(10 * time.Minute)
		if err := spend(late, service); outcome(err) != "401" {
			t.Errorf("after ten minutes: %v, want 401", err)
		}
		refused := oneTime()
		s.providers.change("alice", func(a *account) { a.locked = true })
		time.Sleep(5 * time.Minute)
		if err := spend(refused, service); outcome(err) != "401" {
			t.Errorf("of an account that is locked: %v, want 401", err)
		}
		s.providers.change("alice", func(a *account) { a.locked = false })
		time.Sleep(time.Minute)
		if err := spend(refused, service); err != nil {
			t.Errorf("once the lock is lifted: %v", err)
		}
	})
}

// TestPATsAreRevalidatedDaily: the provider of an unused PAT is asked once a day, with a
// jitter.
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
		// The jitter is up to six hours of a day, so that the first revalidations are
		// due from hour 18 to 24, the second from 36 to 48. No replica runs for most of
		// the time before. A revalidation that was due too early happens in the first
		// hour of a window.
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

// TestPATsOfReplacedProvider: a page full of PATs that cannot be revalidated does not
// keep the others from being revalidated.
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
