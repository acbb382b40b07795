package session_test

import (
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

// forgetRecorder records whose cached passwords the chain has to drop.
type forgetRecorder struct {
	*fakeProviders
	mu        sync.Mutex
	forgotten []string
}

// remembered are the identities with a cached password.
var remembered = []providers.Identity{
	{Provider: "corp", Subject: "alice", User: "alice", Groups: []string{"team"}},
	{Provider: "corp", Subject: "bob", User: "bob", Groups: []string{"team"}},
	{Provider: "corp", Subject: "carol", User: "carol", Groups: []string{"others"}}, // has no session
	{Provider: "file", Subject: "alice", User: "alice"},
}

func (f *forgetRecorder) Forget(match func(*providers.Identity) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range remembered {
		if name := id.Provider + " " + id.Subject; match(&id) && !slices.Contains(f.forgotten, name) {
			f.forgotten = append(f.forgotten, name)
		}
	}
}

// TestForget: when a session ends because the person is refused, the person's
// cached passwords are dropped; otherwise they would be valid for another
// minute. Nothing else drops them, above all nothing that a client can repeat.
func TestForget(t *testing.T) {
	revoke := func(sel session.Selector) func(*testing.T, *cluster) {
		return func(t *testing.T, s *cluster) {
			_, err := s.replicas[0].Admin().Revoke(t.Context(), sel, "test")
			must(t, err)
		}
	}
	change := func(how func(*account)) func(*testing.T, *cluster) {
		return func(_ *testing.T, s *cluster) { s.providers.change("alice", how) }
	}
	for name, test := range map[string]struct {
		happens func(*testing.T, *cluster)
		want    []string
	}{
		"nothing":                          {func(*testing.T, *cluster) {}, nil},
		"her sessions are revoked":         {revoke(session.Selector{User: "alice"}), []string{"corp alice", "file alice"}},
		"her sessions at one provider are": {revoke(session.Selector{User: "alice", Provider: "corp"}), []string{"corp alice"}},
		"those of her group are":           {revoke(session.Selector{Group: "team"}), []string{"corp alice", "corp bob"}},
		"all sessions are":                 {revoke(session.Selector{Before: time.Now().Add(time.Hour)}), []string{"corp alice", "corp bob"}},
		"sessions of robots are":           {revoke(session.Selector{Provider: "corp", Kind: session.KindRobot}), nil},
		"sessions of an unknown user are":  {revoke(session.Selector{User: "nobody"}), nil},
		"those of a user without a session are": {revoke(session.Selector{User: "carol"}),
			[]string{"corp carol"}},
		"her account is disabled": {change(func(a *account) { a.disabled = true }),
			[]string{"corp alice"}},
		"her password changes":  {change(func(a *account) { a.stamp = "s2" }), []string{"corp alice"}},
		"her groups change":     {change(func(a *account) { a.groups = nil }), nil},
		"her account is locked": {change(func(a *account) { a.locked = true }), nil},
		"her entry is missing":  {change(func(a *account) { a.missing = true }), nil},
		"the directory is down": {func(_ *testing.T, s *cluster) { s.providers.setDown(true) }, nil},
		"she logs in with a new password": {func(_ *testing.T, s *cluster) {
			s.providers.change("alice", func(a *account) { a.stamp = "s2" })
			s.issue("corp", "alice")
		}, []string{"corp alice"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &cluster{t: t, providers: newFakeProviders(), file: newStoreFile(t)}
			f := &forgetRecorder{fakeProviders: s.providers}
			store, err := sqlite.Open(t.Context(), s.file)
			must(t, err)
			// Shorter than Validate allows, so that each redemption
			// revalidates.
			cfg := session.Config{Revalidate: time.Nanosecond}.WithDefaults()
			sessions, err := session.New(t.Context(), cfg, store, f, slog.New(slog.DiscardHandler))
			must(t, err)
			s.replicas = append(s.replicas, sessions)
			defer s.close()
			token := s.issue("corp", "alice")
			s.issue("corp", "bob")
			test.happens(t, s)
			for range 3 {
				s.redeem(token)
			}
			slices.Sort(f.forgotten)
			if !slices.Equal(f.forgotten, test.want) {
				t.Errorf("forgotten: %q, want %q", f.forgotten, test.want)
			}
		})
	}
}
