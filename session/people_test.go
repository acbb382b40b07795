package session_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

// people returns the persons in the store, by user name.
func (c *cluster) people() map[string]session.Person {
	c.t.Helper()
	all, err := c.replicas[0].Admin().ListPersons(c.t.Context(), "", "")
	must(c.t, err)
	people := make(map[string]session.Person)
	for _, p := range all {
		people[p.User] = p
	}
	return people
}

// TestRememberPeople: a person is forgotten once the last session ended remember_people
// ago, and not while a session lives, however long it is not used.
func TestRememberPeople(t *testing.T) {
	type after struct {
		days  int // since the last session ended
		known bool
	}
	for _, tc := range []struct {
		name     string
		remember time.Duration
		after    []after
	}{
		{"longer than ended sessions are stored", 90 * day, []after{{29, true}, {31, true}, {89, true}, {91, false}}},
		{"not as long", 7 * day, []after{{6, true}, {8, false}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := session.Config{RememberPeople: tc.remember, PATLifetime: 365 * day}
			s := newCluster(t, 1, cfg)
			defer s.close()
			s.expect("a login", s.issue("sso", "alice"), "ok")
			pat, err := s.replicas[0].IssuePAT(t.Context(), s.logInBrowser("corp", "bob"), session.PAT{}, laptop)
			must(t, err)
			must(t, session.ExportFlush(t.Context(), s.replicas[0]))
			_, err = s.replicas[0].Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "operator")
			must(t, err)
			for _, after := range tc.after {
				store, err := sqlite.Open(t.Context(), s.file)
				must(t, err)
				later := s.startOn(clock{store, time.Duration(after.days) * day}, cfg)
				must(t, session.ExportSweep(t.Context(), later))
				if people := s.people(); after.known != (people["alice"].User != "") || people["bob"].Live != 1 {
					t.Errorf("%d days after the last session: %+v, want that alice is known: %v, and bob", after.days, people, after.known)
				}
			}
			if _, err := s.redeemAsPassword(pat.Token, service); err != nil {
				t.Errorf("a PAT that was not used for so long: %v", err)
			}
		})
	}
}

// TestForgetPerson: when Forget returns, every replica refuses the person's tokens, and
// nothing of the person is stored but what a provider has to revoke.
func TestForgetPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		browser := s.logInBrowser("sso", "alice")
		pat, err := s.replicas[0].IssuePAT(t.Context(), browser, session.PAT{}, laptop)
		must(t, err)
		oneTime, err := s.replicas[0].IssueOneTimePassword(t.Context(), browser, service)
		must(t, err)
		docker, other := s.issue("corp", "alice"), s.issue("sso", "bob")
		first := secret.New("a refresh token of the provider")
		redeem := func() error {
			_, _, err := s.replicas[1].RedeemProviderToken(t.Context(), first, service, laptop, func(context.Context) (*providers.Identity, error) {
				return s.providers.login("sso", "alice"), nil
			})
			return err
		}
		must(t, redeem())

		admin := s.replicas[0].Admin()
		alices, err := admin.ListPersons(t.Context(), "alice", "sso")
		must(t, err)
		if len(alices) != 1 || alices[0].Live != 3 {
			t.Fatalf("ListPersons = %+v, want alice with three sessions", alices)
		}
		done, err := admin.Forget(t.Context(), alices[0])
		if err != nil || done != (session.Forgotten{Sessions: 3, Tokens: 2}) {
			t.Errorf("Forget = %+v, %v, want three sessions and two refresh tokens", done, err)
		}
		if _, err := s.redeemCookie(browser.Token); outcome(err) != "401" {
			t.Errorf("the cookie: %v, want 401", err)
		}
		if _, err := s.redeemAsPassword(pat.Token, service); outcome(err) != "401" {
			t.Errorf("the PAT: %v, want 401", err)
		}
		if _, err := s.replicas[1].RedeemOneTimePassword(t.Context(), oneTime, service, laptop); outcome(err) != "401" {
			t.Errorf("the one-time password: %v, want 401", err)
		}
		if err := redeem(); outcome(err) != "401" || !errors.Is(err, session.ErrForgotten) {
			t.Errorf("the provider's refresh token: %v, want 401", err)
		}
		s.expect("of the account at another provider", docker, "ok")
		s.expect("of another person", other, "ok")
		if revoked := s.awaitRevoked(2); len(revoked) != 2 {
			t.Errorf("revoked refresh tokens of the provider = %q, want two", revoked)
		}
		if _, err := admin.Forget(t.Context(), alices[0]); !errors.Is(err, session.ErrNoPerson) {
			t.Errorf("once more: Forget = %v, want ErrNoPerson", err)
		}
		s.expect("a new login", s.issue("sso", "alice"), "ok")
		if all, err := admin.List(t.Context(), session.Selector{Provider: "sso", Subject: "alice", Ended: true}); len(all) != 1 || err != nil {
			t.Errorf("sessions after a new login = %d, %v, want one", len(all), err)
		}
	})
}

// awaitRevoked returns the provider's refresh tokens that were revoked, once there are n. A
// revoker that finds the store locked tries again a little later.
func (s *cluster) awaitRevoked(n int) []string {
	for range 60 {
		synctest.Wait()
		s.providers.mu.Lock()
		revoked := slices.Clone(s.providers.revoked)
		s.providers.mu.Unlock()
		if len(revoked) >= n {
			return revoked
		}
		time.Sleep(time.Second)
	}
	return nil
}
