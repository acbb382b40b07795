package session_test

import (
	"testing"
	"testing/synctest"
	"time"

	"shorepass/providers"
	"shorepass/session"
)

// TestHoldsProviderToken: a login at a provider whose logins share a sign-in finds the
// refresh token of an earlier one, as long as a session of it lives.
func TestHoldsProviderToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		holds := func(when, provider, subject string, want bool) {
			t.Helper()
			if got, err := s.replicas[1].HoldsProviderToken(t.Context(), s.providers.login(provider, subject)); got != want || err != nil {
				t.Errorf("%s: HoldsProviderToken = %v, %v, want %v", when, got, err, want)
			}
		}
		holds("before the first login", "corp", "alice", false)
		s.issue("corp", "alice")
		holds("after a login without a refresh token", "corp", "alice", false)
		s.providers.change("alice", func(a *account) { a.providerToken = "one" })
		s.issue("corp", "alice")
		holds("after a login with one", "corp", "alice", true)
		holds("for another person", "corp", "bob", false)
		s.providers.change("alice", func(a *account) { a.providerToken = "" })
		s.issue("corp", "alice")
		holds("after another login without one", "corp", "alice", true)
		s.issue("sso", "carol")
		holds("where each login has a sign-in of its own", "sso", "carol", false)
		job := s.providers.login("corp", "alice")
		job.Method = providers.MethodIDToken
		if got, err := s.replicas[0].HoldsProviderToken(t.Context(), job); got || err != nil {
			t.Errorf("of an ID token: HoldsProviderToken = %v, %v, want false", got, err)
		}
		_, err := s.replicas[0].Admin().Revoke(t.Context(), session.Selector{Subject: "alice"}, "test")
		must(t, err)
		holds("once all sessions have ended", "corp", "alice", false)
	})
}

// TestRevokeByProviderSession: a back-channel logout ends the browser's sessions of one
// provider's session that began before it, so that its token can be replayed.
func TestRevokeByProviderSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		first, other := s.logInBrowser("sso", "alice"), s.logInBrowser("sso", "bob")
		pat, err := s.replicas[0].IssuePAT(t.Context(), first, session.PAT{}, laptop)
		must(t, err)
		logout := session.Selector{Provider: "sso", SID: "sid of alice", Kind: session.KindBrowser, Before: first.Created.Add(time.Millisecond)}
		revoke := func(when string, sel session.Selector, want int) {
			t.Helper()
			if n, err := s.replicas[1].Admin().Revoke(t.Context(), sel, session.ByBackChannelLogout); n != want || err != nil {
				t.Errorf("%s: Revoke = %d, %v, want %d", when, n, err, want)
			}
		}
		elsewhere, early := logout, logout
		elsewhere.Provider, early.Before = "corp", first.Created
		revoke("at another provider", elsewhere, 0)
		revoke("for a session that began after it", early, 0)
		revoke("a logout", logout, 1)
		revoke("replayed", logout, 0)
		if _, err := s.redeemCookie(first.Token); outcome(err) != "401" {
			t.Errorf("the session of the logout: %v, want 401", err)
		}
		if _, err := s.redeemCookie(other.Token); err != nil {
			t.Errorf("the session of another sid: %v", err)
		}
		if _, err := s.redeemAsPassword(pat.Token, service); err != nil {
			t.Errorf("a PAT of the same login: %v", err)
		}
		time.Sleep(time.Second)
		again := s.logInBrowser("sso", "alice") // the provider's session is the same
		revoke("replayed after a new login", logout, 0)
		if _, err := s.redeemCookie(again.Token); err != nil {
			t.Errorf("a session that began after the logout: %v", err)
		}
		all := session.Selector{Provider: "sso", Subject: "alice", Before: again.Created.Add(time.Millisecond)}
		revoke("of all that the person has", all, 2)
		listed, err := s.replicas[0].Admin().List(t.Context(), session.Selector{ID: first.ID, Ended: true})
		must(t, err)
		if len(listed) != 1 || listed[0].By != session.ByBackChannelLogout || listed[0].Reason != session.ReasonRevoked {
			t.Errorf("List = %+v, want who ended it", listed)
		}
	})
}
