package session_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/session"
	"shorepass/session/sqlite"
)

// failing is a store that takes no answers while it fails.
type failing struct {
	*sqlite.Store
	fails atomic.Bool
}

func (f *failing) Settle(ctx context.Context, a *session.Settlement) (int, error) {
	if f.fails.Load() {
		return 0, errors.New("the disk is full")
	}
	return f.Store.Settle(ctx, a)
}

// A rotated token that the store cannot take is not lost while the process
// lives, and nobody is answered before it is kept.
func TestStoreFailsAfterRotation(t *testing.T) {
	for _, tc := range []struct {
		name    string
		outage  time.Duration
		during  string
		restart bool
	}{
		{"for a moment", time.Second, "ok", false},
		{"for long", time.Hour, "503", false},
		{"until it is shut down", time.Hour, "503", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, 0, session.Config{})
				defer func() { s.close() }()
				s.house = newHouse()
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
				if s.house.reused != 0 {
					t.Errorf("the provider saw %d reuses", s.house.reused)
				}
			})
		})
	}
}

// A store that is lost is 503, and everything is there when it is back.
func TestStoreLost(t *testing.T) {
	store, err := sqlite.Open(t.Context(), t.TempDir()+"/data/shorepass.db")
	must(t, err)
	s, err := session.New(t.Context(), session.Config{}.WithDefaults(), store, newHouse(), slog.New(slog.DiscardHandler))
	must(t, err)
	defer s.Close()
	token, _, err := s.Issue(t.Context(), newHouse().login("corp", "alice"), service, laptop)
	must(t, err)
	must(t, store.Close())
	if _, err := s.Redeem(t.Context(), token, service, laptop, session.KindRefresh); outcome(err) != "503" {
		t.Errorf("Redeem = %v, want 503", err)
	}
	if _, _, err := s.Issue(t.Context(), newHouse().login("corp", "bob"), service, laptop); outcome(err) != "503" {
		t.Errorf("Issue = %v, want 503", err)
	}
	if _, err := s.List(t.Context(), session.Selector{}); outcome(err) != "503" {
		t.Errorf("List = %v, want 503", err)
	}
	if _, err := s.Revoke(t.Context(), session.Selector{User: "alice"}, ""); outcome(err) != "503" {
		t.Errorf("Revoke = %v, want 503", err)
	}
}
