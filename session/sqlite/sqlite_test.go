package sqlite_test

import (
	"path/filepath"
	"strings"
	"testing"

	"shorepass/session"
	"shorepass/session/sqlite"
	"shorepass/session/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) session.Store { return open(t, filepath.Join(t.TempDir(), "data", "shorepass.db")) })
}

func TestWindows(t *testing.T) {
	storetest.RunWindows(t, func(t *testing.T) (storetest.ThrottleStore, func() storetest.ThrottleStore) {
		file := filepath.Join(t.TempDir(), "data", "shorepass.db")
		return open(t, file), func() storetest.ThrottleStore { return open(t, file) }
	})
}

// TestSweepByIndex: a sweep finds sessions by index and scans no others, since it
// holds the only writer.
func TestSweepByIndex(t *testing.T) {
	steps, err := sqlite.ExportSweepPlan(open(t, filepath.Join(t.TempDir(), "data", "shorepass.db")))
	if err != nil {
		t.Fatal(err)
	}
	plan := strings.Join(steps, "\n")
	for _, index := range []string{"USING INDEX session_ended (ended>? AND ended<?)", "USING INDEX session_ended_unused (ended>? AND ended<?)"} {
		if !strings.Contains(plan, index) {
			t.Errorf("the query plan of a sweep is\n%s\nwant %s", plan, index)
		}
	}
}

// TestListByIndex: the sessions of a person and of a provider's session are found by
// index, since a stranger can send logout tokens.
func TestListByIndex(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "data", "shorepass.db"))
	for index, sel := range map[string]session.Selector{
		"session_live_sid (sid=? AND hash>?)":                  {Provider: "sso", SID: "one", Kind: session.KindBrowser},
		"sqlite_autoindex_person_1 (provider=? AND subject=?)": {Provider: "sso", Subject: "alice"},
	} {
		steps, err := sqlite.ExportListPlan(s, sel)
		if err != nil {
			t.Fatal(err)
		}
		if plan := strings.Join(steps, "\n"); !strings.Contains(plan, index) {
			t.Errorf("the query plan of %+v is\n%s\nwant the index %s", sel, plan, index)
		}
	}
}

func open(t *testing.T, file string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
