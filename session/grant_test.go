package session_test

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// TestDerivedSessions: tokens derived from a browser's session copy its login,
// point to its sign-in, and outlive it.
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
		if _, ended, err := s.replicas[0].Admin().RevokeToken(t.Context(), browser.Token, "alice"); !ended || err != nil {
			t.Errorf("a logout of the browser: RevokeToken = %v, %v", ended, err)
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

// TestGrantsAreBounded: the one-time passwords of a person are bounded.
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

// TestOneTime: a one-time password is valid for one login at its service,
// within ten minutes, and for nothing else.
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
