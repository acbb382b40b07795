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

// TestRevokedOneTimePasswords: a revocation ends the unspent one-time passwords with the
// sessions, and a logout of the browser does not.
func TestRevokedOneTimePasswords(t *testing.T) {
	for _, tc := range []struct {
		name   string
		revoke func(s *cluster, browser *session.Session, oneTime secret.Text) (int, error)
		ended  int
		want   string // of the one-time password
	}{
		{"all sessions of the person", selecting(session.Selector{User: "alice"}), 1, "401"},
		{"all sessions of a provider", selecting(session.Selector{Provider: "corp"}), 1, "401"},
		{"browsers' sessions", selecting(session.Selector{Subject: "alice", Kind: session.KindBrowser}), 1, "401"},
		{"a back-channel logout", selecting(session.Selector{Provider: "corp", SID: "sid of alice", Kind: session.KindBrowser}), 1, "401"},
		{"this session", func(s *cluster, browser *session.Session, _ secret.Text) (int, error) {
			return s.replicas[1].Admin().Revoke(s.t.Context(), session.Selector{ID: browser.ID}, "alice")
		}, 1, "401"},
		{"the one-time password", func(s *cluster, _ *session.Session, oneTime secret.Text) (int, error) {
			return s.revokeToken(oneTime)
		}, 1, "401"},
		{"all sessions, after a logout", func(s *cluster, browser *session.Session, _ secret.Text) (int, error) {
			_, err := s.revokeToken(browser.Token)
			must(s.t, err)
			return s.replicas[1].Admin().Revoke(s.t.Context(), session.Selector{User: "alice"}, "operator")
		}, 0, "401"},
		{"a logout", func(s *cluster, browser *session.Session, _ secret.Text) (int, error) {
			return s.revokeToken(browser.Token)
		}, 1, "ok"},
		{"refresh tokens", selecting(session.Selector{User: "alice", Kind: session.KindRefresh}), 0, "ok"},
		{"another person", selecting(session.Selector{User: "bob"}), 0, "ok"},
		{"another session of the provider", selecting(session.Selector{Provider: "corp", SID: "sid of bob"}), 0, "ok"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newCluster(t, 2, session.Config{})
				defer s.close()
				browser := s.logInBrowser("corp", "alice")
				oneTime, err := s.replicas[0].IssueOneTimePassword(t.Context(), browser, service)
				must(t, err)
				time.Sleep(time.Second)
				if n, err := tc.revoke(s, browser, oneTime); n != tc.ended || err != nil {
					t.Errorf("revoked = %d, %v, want %d", n, err, tc.ended)
				}
				if _, err := s.replicas[0].RedeemOneTimePassword(t.Context(), oneTime, service, laptop); outcome(err) != tc.want {
					t.Errorf("the one-time password: %v, want %s", err, tc.want)
				} else if _, spent := errors.AsType[*session.SpentError](err); spent {
					t.Errorf("the one-time password: %v, want that it was revoked", err)
				}
			})
		})
	}
}

func selecting(sel session.Selector) func(*cluster, *session.Session, secret.Text) (int, error) {
	return func(s *cluster, _ *session.Session, _ secret.Text) (int, error) {
		return s.replicas[1].Admin().Revoke(s.t.Context(), sel, "operator")
	}
}

// revokeToken revokes a token at the second replica, and returns how many ended.
func (c *cluster) revokeToken(token secret.Text) (int, error) {
	_, ended, err := c.replicas[1].Admin().RevokeToken(c.t.Context(), token, "alice")
	if ended {
		return 1, err
	}
	return 0, err
}

// TestRevokeOneTimePassword: the holder of a one-time password can revoke it, again and
// again, and no spent or unknown one (RFC 7009).
func TestRevokeOneTimePassword(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		browser := s.logInBrowser("sso", "alice")
		oneTime := func() secret.Text {
			token, err := s.replicas[0].IssueOneTimePassword(t.Context(), browser, service)
			must(t, err)
			return token
		}
		admin, token := s.replicas[1].Admin(), oneTime()
		for i, want := range []bool{true, false} {
			was, ended, err := admin.RevokeToken(t.Context(), token, "alice")
			must(t, err)
			if ended != want || was.Kind != session.KindOneTime || was.Identity.User != "alice" || was.Service != service {
				t.Errorf("revocation %d = %+v, %v, want the one-time password, %v", i+1, was, ended, want)
			}
		}
		spent := oneTime()
		docker, err := s.replicas[0].RedeemOneTimePassword(t.Context(), spent, service, laptop)
		must(t, err)
		if was, ended, err := admin.RevokeToken(t.Context(), spent, "alice"); ended || err != nil || was.LastUsed.IsZero() {
			t.Errorf("of one that was spent: RevokeToken = %+v, %v, %v, want when it was used", was, ended, err)
		}
		s.expect("the login that it was spent for", docker.Token, "ok")
		unknown := secret.New("sp_o_" + docker.Token.Reveal()[5:])
		if _, _, err := admin.RevokeToken(t.Context(), unknown, "alice"); outcome(err) != "401" {
			t.Errorf("of one that never was: RevokeToken = %v, want 401", err)
		}
	})
}

// TestStaleSessionDerivesNothing: a request that redeemed a browser's session before its
// end makes neither a one-time password nor a PAT after it.
func TestStaleSessionDerivesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		stale := s.logInBrowser("sso", "alice")
		_, err := s.revokeToken(stale.Token)
		must(t, err)
		if _, err := s.replicas[0].IssueOneTimePassword(t.Context(), stale, service); outcome(err) != "401" {
			t.Errorf("IssueOneTimePassword = %v, want 401", err)
		}
		if _, err := s.replicas[0].IssuePAT(t.Context(), stale, session.PAT{}, laptop); outcome(err) != "401" {
			t.Errorf("IssuePAT = %v, want 401", err)
		}
	})
}

// TestRevokeWhileDeriving: what a person makes and spends while an operator ends all of
// their sessions is ended too, or refused.
func TestRevokeWhileDeriving(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	defer s.close()
	for range 5 {
		browser := s.logInBrowser("corp", "alice")
		made := make(chan secret.Text, 30)
		begun := make(chan struct{}, cap(made))
		var group sync.WaitGroup
		for range 3 {
			group.Go(func() {
				for range cap(made) / 3 {
					oneTime, err := s.replicas[0].IssueOneTimePassword(t.Context(), browser, service)
					begun <- struct{}{}
					if outcome(err) == "401" {
						return
					}
					docker, err := s.replicas[0].RedeemOneTimePassword(t.Context(), oneTime, service, laptop)
					switch outcome(err) {
					case "ok":
						made <- docker.Token
					case "401":
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		<-begun
		_, err := s.replicas[0].Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "operator")
		group.Wait()
		must(t, err)
		close(made)
		for token := range made {
			s.expect("a docker login that was made meanwhile", token, "401")
		}
	}
}
