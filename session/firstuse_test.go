package session_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// TestRedeemProviderToken: a provider's refresh token as the password is sent
// to the provider once, however many clients send it to however many replicas.
func TestRedeemProviderToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 3, session.Config{})
		defer s.close()
		s.providers.login("sso", "alice") // so that she has a refresh token
		providerToken := secret.New("alice token 0")
		var asked atomic.Int32
		first := func(ctx context.Context) (*providers.Identity, error) {
			asked.Add(1)
			return s.providers.Revalidate(ctx, &providers.Identity{Provider: "sso", Subject: "alice", RefreshToken: providerToken})
		}
		s.providers.slow = 2 * time.Second
		var made atomic.Int32
		var token secret.Text
		redeem := func(replica int, service string) *session.Session {
			found, first, err := s.replicas[replica].RedeemProviderToken(t.Context(), providerToken, service, laptop, first)
			if err != nil {
				t.Error(err)
				return nil
			}
			if first == found.Token.IsZero() {
				t.Errorf("made = %v, with the token: %v", first, !found.Token.IsZero())
			}
			if first {
				made.Add(1)
				token = found.Token
			}
			return found
		}
		var group sync.WaitGroup
		for i := range 60 {
			group.Go(func() { redeem(i%3, service) })
		}
		group.Wait()
		if asked.Load() != 1 || made.Load() != 1 {
			t.Fatalf("the provider was asked %d times, and %d sessions were made", asked.Load(), made.Load())
		}
		found := redeem(1, "another service")
		if found.Service != service || found.Identity.User != "alice" {
			t.Errorf("for another service: %+v", found)
		}
		s.expect("its own token", token, "ok")
		if _, err := s.replicas[0].Redeem(t.Context(), token, "another service", laptop, session.KindRefresh); outcome(err) != "401" {
			t.Errorf("its own token for another service: %v", err)
		}
		for range 3 {
			time.Sleep(5 * time.Minute)
			redeem(2, service)
		}
		if s.providers.reused != 0 || s.providers.rotated != 4 {
			t.Errorf("the provider rotated %d times and saw %d reuses", s.providers.rotated, s.providers.reused)
		}
		if n, err := s.replicas[0].Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "alice"); n != 1 || err != nil {
			t.Errorf("Revoke = %d, %v", n, err)
		}
		if _, _, err := s.replicas[1].RedeemProviderToken(t.Context(), providerToken, service, laptop, first); outcome(err) != "401" || asked.Load() != 1 {
			t.Errorf("after its revocation: %v, and the provider was asked %d times", err, asked.Load())
		}
	})
}

// TestReloadDuringALogin: a session belongs to the provider that proved its
// login, also if a reload pointed that name elsewhere before the session was
// stored. The provider that has the name now gets no token.
func TestReloadDuringALogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		proved, other := s.providers.login("sso", "alice"), s.providers.login("sso", "bob")
		providerToken := secret.New("alice's own")
		s.providers.prints["sso"] = "another tenant"
		token, _, err := s.replicas[0].Issue(t.Context(), proved, service, laptop)
		must(t, err)
		_, _, err = s.replicas[0].RedeemProviderToken(t.Context(), providerToken, service, laptop, func(context.Context) (*providers.Identity, error) { return other, nil })
		must(t, err)
		time.Sleep(5 * time.Minute)
		s.expect("the password's session", token, "401")
		if _, _, err := s.replicas[0].RedeemProviderToken(t.Context(), providerToken, service, laptop, nil); outcome(err) != "401" {
			t.Errorf("the refresh token's session: %v, want 401", err)
		}
		s.replicas[0].RevokeProviderToken(proved)
		synctest.Wait()
		if s.providers.asked != 0 || len(s.providers.revoked) != 0 {
			t.Errorf("the new tenant was asked %d times and shown %q", s.providers.asked, s.providers.revoked)
		}
		s.providers.prints["sso"] = "oidc" // as it was
		s.expect("back at the first", token, "ok")
	})
}

// TestRevokeProviderToken: the provider's refresh token of a login without a
// session is revoked. Otherwise each retry while the disk is full would leave
// one behind.
func TestRevokeProviderToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		s.replicas[0].RevokeProviderToken(s.providers.login("sso", "alice"))
		s.replicas[0].RevokeProviderToken(s.providers.login("corp", "bob")) // who has none
		s.replicas[0].RevokeProviderToken(nil)
		synctest.Wait()
		if want := []string{"sso alice token 0"}; !slices.Equal(s.providers.revoked, want) {
			t.Errorf("revoked refresh tokens = %q, want %q", s.providers.revoked, want)
		}
		nameless := s.providers.login("sso", "carol")
		nameless.Subject = "" // cannot be stored
		_, _, err := s.replicas[0].RedeemProviderToken(t.Context(), secret.New("carol's own"), service, laptop,
			func(context.Context) (*providers.Identity, error) { return nameless, nil })
		synctest.Wait()
		if err == nil || len(s.providers.revoked) != 2 {
			t.Errorf("RedeemProviderToken = %v, and revoked refresh tokens are %q, want an error and carol's too", err, s.providers.revoked)
		}
	})
}

func TestRedeemProviderTokenFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 2, session.Config{})
		defer s.close()
		providerToken := secret.New("unknown")
		for _, want := range []error{providers.ErrRejected, providers.ErrGone, errors.New("down"), &providers.RotatedError{Err: errors.New("down")}} {
			for i := range 2 {
				_, _, err := s.replicas[i].RedeemProviderToken(t.Context(), providerToken, service, laptop, func(context.Context) (*providers.Identity, error) { return nil, want })
				if !errors.Is(err, want) || outcome(err) == "401" || outcome(err) == "503" {
					t.Errorf("RedeemProviderToken = %v, want %v as it is", err, want)
				}
			}
		}
		if _, _, err := s.replicas[0].RedeemProviderToken(t.Context(), secret.Text{}, service, laptop, nil); outcome(err) != "401" {
			t.Errorf("RedeemProviderToken of nothing = %v", err)
		}
	})
}
