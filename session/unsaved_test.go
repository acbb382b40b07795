package session_test

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/session"
	"shorepass/session/sqlite"
)

// failing is a store that takes no answers while it fails.
type failing struct {
	*sqlite.Store
	fails atomic.Bool
}

func (f *failing) StoreAnswer(ctx context.Context, a *session.AnswerUpdate) error {
	if f.fails.Load() {
		return errors.New("the disk is full")
	}
	return f.Store.StoreAnswer(ctx, a)
}

// TestStoreFailsAfterRotation: a rotated token that the store does not take is
// not lost while the process lives, and no client is answered before it is
// stored.
func TestStoreFailsAfterRotation(t *testing.T) {
	for _, tc := range []struct {
		name    string
		outage  time.Duration
		during  string
		restart bool
	}{
		{"for a moment", time.Second, "ok", false},
		{"for longer than the lease", 5 * time.Minute, "503", false},
		{"until it is shut down", 5 * time.Minute, "503", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newCluster(t, 0, session.Config{})
				defer func() { s.close() }()
				s.providers = newFakeProviders()
				file, err := sqlite.Open(t.Context(), s.file)
				must(t, err)
				store := &failing{Store: file}
				s.startOn(store, session.Config{})
				token := s.issue("sso", "alice")
				time.Sleep(5 * time.Minute)
				store.fails.Store(true)
				heals := time.AfterFunc(tc.outage, func() { store.fails.Store(false) })
				defer heals.Stop()
				s.expect("the first", token, tc.during)
				if tc.restart {
					store.fails.Store(false)
					s.close()
					s.start(session.Config{})
				} else {
					time.Sleep(tc.outage)
				}
				s.expect("after it", token, "ok")
				time.Sleep(5 * time.Minute)
				s.expect("later", token, "ok")
				if s.providers.reused != 0 {
					t.Errorf("the provider saw %d reuses", s.providers.reused)
				}
			})
		})
	}
}

// TestStoreBackBeforeAnotherReplicaAsks: a buffered answer is stored as soon as
// the store is back, so that no other replica sends the provider a token that
// has been replaced.
func TestStoreBackBeforeAnotherReplicaAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 0, session.Config{})
		defer s.close()
		file, err := sqlite.Open(t.Context(), s.file)
		must(t, err)
		store := &failing{Store: file}
		s.startOn(store, session.Config{})
		other := s.start(session.Config{})
		token := s.issue("sso", "alice")
		time.Sleep(5 * time.Minute)
		store.fails.Store(true)
		s.expect("while the store takes nothing", token, "503")
		time.Sleep(time.Minute) // the lease has expired
		store.fails.Store(false)
		time.Sleep(200 * time.Millisecond)
		if _, err := other.Redeem(t.Context(), token, service, laptop, session.KindRefresh); err != nil {
			t.Errorf("at another replica once it is back: %v", err)
		}
		if s.providers.reused != 0 {
			t.Errorf("the provider saw %d reuses", s.providers.reused)
		}
	})
}

// TestPingWrites: a store that can only be read is unhealthy, and is written to
// at most every ten seconds.
func TestPingWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 0, session.Config{})
		defer s.close()
		file, err := sqlite.Open(t.Context(), s.file)
		must(t, err)
		store := &readOnly{Store: file}
		r := s.startOn(store, session.Config{})
		ping := func(when, want string) {
			t.Helper()
			if err := r.Ping(t.Context()); outcome(err) != want {
				t.Errorf("%s: Ping = %v, want %s", when, err, want)
			}
		}
		ping("at first", "ok")
		store.readOnly.Store(true)
		time.Sleep(10 * time.Second)
		ping("while it can only be read", "503")
		store.readOnly.Store(false)
		for range 100 {
			ping("again", "503") // writes are rate limited
		}
		if n := store.writes.Load(); n > 4 {
			t.Errorf("the store was written to %d times", n)
		}
		time.Sleep(10 * time.Second)
		ping("when it can be written to again", "ok")
	})
}

// readOnly is a store that takes no settings while it can only be read.
type readOnly struct {
	*sqlite.Store
	readOnly atomic.Bool
	writes   atomic.Int64
}

func (r *readOnly) SetSetting(ctx context.Context, name string, value []byte) error {
	r.writes.Add(1)
	if r.readOnly.Load() {
		return errors.New("read-only")
	}
	return r.Store.SetSetting(ctx, name, value)
}

// TestProviderPanic: a panic in a revalidation does not end the process.
func TestProviderPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		token := s.issue("corp", "alice")
		time.Sleep(5 * time.Minute)
		s.providers.change("alice", func(a *account) { a.panics = true })
		s.expect("when the provider panics", token, "503")
		s.providers.change("alice", func(a *account) { a.panics = false })
		time.Sleep(leaseEnds)
		s.expect("after it", token, "ok")
	})
}

// leaseEnds is the TTL of a lease whose holder has died.
const leaseEnds = 15 * time.Second

// TestTokenIsNotSentToAnotherProvider: after a provider's name was pointed
// elsewhere, no token of the first provider is sent to the other for
// revocation.
func TestTokenIsNotSentToAnotherProvider(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newCluster(t, 1, session.Config{})
		defer s.close()
		s.issue("sso", "alice")
		s.providers.mu.Lock()
		s.providers.prints["sso"] = "oidc of another tenant"
		s.providers.mu.Unlock()
		if n, err := s.replicas[0].Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "an operator"); n != 1 || err != nil {
			t.Errorf("Revoke = %d, %v, want 1", n, err)
		}
		synctest.Wait()
		s.providers.mu.Lock()
		defer s.providers.mu.Unlock()
		if len(s.providers.revoked) != 0 {
			t.Errorf("revoked refresh tokens = %q, want none", s.providers.revoked)
		}
	})
}

// TestClaimsOfASession: claims have the same types at login and at redemption,
// on every replica.
func TestClaimsOfASession(t *testing.T) {
	s := newCluster(t, 2, session.Config{})
	defer s.close()
	id := s.providers.login("corp", "alice")
	id.Claims = map[string]any{"project_id": int64(12345678), "level": 3.0, "deep": map[string]any{"ids": []any{int64(1 << 60)}}}
	token, _, err := s.replicas[0].Issue(t.Context(), id, service, laptop)
	must(t, err)
	for i, r := range s.replicas {
		found, err := r.Redeem(t.Context(), token, service, laptop, session.KindRefresh)
		must(t, err)
		if diff := cmp.Diff(id.Claims, found.Identity.Claims); diff != "" {
			t.Errorf("replica %d (-want +got):\n%s", i, diff)
		}
	}
}

// TestUnencodableClaims: a login with a claim that cannot be encoded is
// unavailable, and creates no session.
func TestUnencodableClaims(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	defer s.close()
	id := s.providers.login("corp", "alice")
	id.Claims = map[string]any{"level": math.NaN()}
	if _, _, err := s.replicas[0].Issue(t.Context(), id, service, laptop); outcome(err) != "503" {
		t.Errorf("Issue = %v, want 503", err)
	}
}

// TestStoreLost: every call is 503 while the store is down.
func TestStoreLost(t *testing.T) {
	store, err := sqlite.Open(t.Context(), t.TempDir()+"/data/shorepass.db")
	must(t, err)
	s, err := session.New(t.Context(), session.Config{}.WithDefaults(), store, newFakeProviders(), slog.New(slog.DiscardHandler))
	must(t, err)
	defer s.Close()
	token, _, err := s.Issue(t.Context(), newFakeProviders().login("corp", "alice"), service, laptop)
	must(t, err)
	must(t, store.Close())
	if _, err := s.Redeem(t.Context(), token, service, laptop, session.KindRefresh); outcome(err) != "503" {
		t.Errorf("Redeem = %v, want 503", err)
	}
	if _, _, err := s.Issue(t.Context(), newFakeProviders().login("corp", "bob"), service, laptop); outcome(err) != "503" {
		t.Errorf("Issue = %v, want 503", err)
	}
	if _, err := s.Admin().List(t.Context(), session.Selector{}); outcome(err) != "503" {
		t.Errorf("List = %v, want 503", err)
	}
	if _, err := s.Admin().Revoke(t.Context(), session.Selector{User: "alice"}, ""); outcome(err) != "503" {
		t.Errorf("Revoke = %v, want 503", err)
	}
}
