package session_test

import (
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"shorepass/session"
	"shorepass/session/sqlite"
)

// forgetful is a house that writes down whose passwords it has to forget.
type forgetful struct {
	*house
	mu        sync.Mutex
	forgotten []string
}

func (f *forgetful) Forget(provider, subject string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forgotten = append(f.forgotten, provider+" "+subject)
}

// TestForget: a session that ends because the person may not come in any more
// takes the remembered password along, or the old one would be good for another
// minute. Nothing else empties that memory, least of all what a client can do
// again and again.
func TestForget(t *testing.T) {
	revoke := func(sel session.Selector) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			_, err := s.replicas[0].Revoke(t.Context(), sel, "test")
			must(t, err)
		}
	}
	change := func(how func(*account)) func(*testing.T, *site) {
		return func(_ *testing.T, s *site) { s.house.change("alice", how) }
	}
	for name, test := range map[string]struct {
		happens func(*testing.T, *site)
		want    []string
	}{
		"nothing":                {func(*testing.T, *site) {}, nil},
		"her session is revoked": {revoke(session.Selector{User: "alice"}), []string{"corp alice"}},
		"all of her group are":   {revoke(session.Selector{Group: "team"}), []string{"corp alice", "corp bob"}},
		"nobody's is":            {revoke(session.Selector{User: "nobody"}), nil},
		"her account is disabled": {change(func(a *account) { a.disabled = true }),
			[]string{"corp alice"}},
		"her password changes":  {change(func(a *account) { a.stamp = "s2" }), []string{"corp alice"}},
		"her groups change":     {change(func(a *account) { a.groups = nil }), nil},
		"she is locked a while": {change(func(a *account) { a.locked = true }), nil},
		"her entry is missing":  {change(func(a *account) { a.missing = true }), nil},
		"the directory is down": {func(_ *testing.T, s *site) { s.house.setDown(true) }, nil},
		"she logs in with a new password": {func(_ *testing.T, s *site) {
			s.house.change("alice", func(a *account) { a.stamp = "s2" })
			s.issue("corp", "alice")
		}, []string{"corp alice"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &site{t: t, house: newHouse(), file: filepath.Join(t.TempDir(), "data", "shorepass.db")}
			f := &forgetful{house: s.house}
			store, err := sqlite.Open(t.Context(), s.file)
			must(t, err)
			// Too short for the file, so that each redemption asks again.
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
