package session_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
)

func TestRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 3, session.Config{})
		defer s.close()
		s.providers.change("alice", func(a *account) { a.groups = []string{`<ops> & "Gäste"`, "dev"} })
		tokens := map[string]secret.Text{"alice": s.issue("corp", "alice"), "bob": s.issue("corp", "bob"), "carol": s.issue("sso", "carol")}
		time.Sleep(time.Hour)
		tokens["dave"] = s.issue("corp", "dave")
		for _, tc := range []struct {
			name string
			sel  session.Selector
			ends []string
		}{
			{"no selector", session.Selector{}, nil},
			{"only ended sessions", session.Selector{Ended: true}, nil},
			{"all but one of anyone", session.Selector{Except: session.ExportID(tokens["dave"])}, nil},
			{"all but the only one", session.Selector{Provider: "sso", Except: session.ExportID(tokens["carol"])}, nil},
			{"of a stranger", session.Selector{User: "mallory"}, nil},
			{"of a group", session.Selector{Group: `<ops> & "Gäste"`}, []string{"alice"}},
			{"of a claim's name that is no group", session.Selector{Group: "mail"}, nil},
			{"older", session.Selector{Before: time.Now().Add(-time.Minute), Provider: "corp"}, []string{"bob"}},
			{"of a provider", session.Selector{Provider: "sso"}, []string{"carol"}},
			{"by id", session.Selector{ID: session.ExportID(tokens["dave"])}, []string{"dave"}},
			{"again", session.Selector{User: "alice"}, nil},
		} {
			n, err := s.replicas[0].Admin().Revoke(t.Context(), tc.sel, "an operator")
			if n != len(tc.ends) || (err != nil) != (tc.sel == session.Selector{Ended: tc.sel.Ended, Except: tc.sel.Except}) {
				t.Errorf("%s: Revoke = %d, %v, want %d", tc.name, n, err, len(tc.ends))
			}
			for _, user := range tc.ends {
				for i, r := range s.replicas {
					if _, err := r.Redeem(t.Context(), tokens[user], service, laptop, session.KindRefresh); outcome(err) != "401" {
						t.Errorf("%s: replica %d takes the token of %s: %v", tc.name, i, user, err)
					}
				}
				if got := s.endReason(tokens[user]); got != session.ReasonRevoked {
					t.Errorf("%s: %s's ended for %q", tc.name, user, got)
				}
				delete(tokens, user)
			}
			for user, token := range tokens {
				s.expect(tc.name+": "+user, token, "ok")
			}
		}
		synctest.Wait()
		s.providers.mu.Lock()
		defer s.providers.mu.Unlock()
		if len(s.providers.revoked) != 1 || s.providers.revoked[0] != "sso "+s.providers.accounts["carol"].providerToken {
			t.Errorf("revoked refresh tokens = %q, want carol's", s.providers.revoked)
		}
	})
}

// TestRevokeWhileAsking: a revocation during a revalidation refuses the clients
// that wait for its answer.
func TestRevokeWhileAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		s.providers.slow = 5 * time.Second
		token := s.issue("sso", "alice")
		time.Sleep(time.Hour)
		var group sync.WaitGroup
		for range 10 {
			group.Go(func() { s.expect("while revoked", token, "401") })
		}
		time.Sleep(time.Second)
		n, err := s.replicas[1].Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "alice")
		if n != 1 || err != nil {
			t.Errorf("Revoke = %d, %v", n, err)
		}
		group.Wait()
	})
}
