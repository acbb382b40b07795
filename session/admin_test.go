package session_test

import (
	"context"
	"errors"
	"testing"

	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

// TestNewAdmin lists and ends sessions with a store alone, while a server runs
// on it.
func TestNewAdmin(t *testing.T) {
	s := newCluster(t, 1, session.Config{})
	defer s.close()
	token, other := s.issue("corp", "alice"), s.issue("corp", "bob")
	store, err := sqlite.OpenExisting(t.Context(), s.file)
	must(t, err)
	defer store.Close()
	admin, err := session.NewAdmin(t.Context(), session.Config{}.WithDefaults(), store)
	must(t, err)
	all, err := admin.List(t.Context(), session.Selector{})
	must(t, err)
	if len(all) != 2 || all[0].Expires.Sub(all[0].Created) != 365*day {
		t.Errorf("List = %+v, want two sessions of a year", all)
	}
	if n, err := admin.Revoke(t.Context(), session.Selector{User: "alice"}, "an operator"); n != 1 || err != nil {
		t.Errorf("Revoke = %d, %v, want 1", n, err)
	}
	s.expect("the revoked one", token, "401")
	s.expect("the other one", other, "ok")
	if found, err := admin.Inspect(t.Context(), other); err != nil || found.Identity.User != "bob" {
		t.Errorf("Inspect = %+v, %v, want bob's session", found, err)
	}
	if _, err := admin.Inspect(t.Context(), token); outcome(err) != "401" {
		t.Errorf("Inspect of the revoked one = %v, want 401", err)
	}
}

// unlisted is an AdminStore whose List fails.
type unlisted struct{ session.AdminStore }

func (unlisted) List(context.Context, session.Selector, session.Hash, int) ([]session.ListedSession, error) {
	return nil, errors.New("the disk is gone")
}

// TestAdminStoreFails: an error of the store is ErrUnavailable.
func TestAdminStoreFails(t *testing.T) {
	store, err := sqlite.Open(t.Context(), t.TempDir()+"/data/shorepass.db")
	must(t, err)
	defer store.Close()
	admin, err := session.NewAdmin(t.Context(), session.Config{}.WithDefaults(), unlisted{store})
	must(t, err)
	if _, err := admin.List(t.Context(), session.Selector{}); !errors.Is(err, providers.ErrUnavailable) {
		t.Errorf("List = %v, want ErrUnavailable", err)
	}
	if _, err := admin.Revoke(t.Context(), session.Selector{User: "alice"}, "an operator"); !errors.Is(err, providers.ErrUnavailable) {
		t.Errorf("Revoke = %v, want ErrUnavailable", err)
	}
}
