package postgres_test

import (
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
	"shorepass/session/postgres"
	"shorepass/session/postgres/postgrestest"
	"shorepass/session/storetest"
)

func TestContract(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	storetest.Run(t, func(t *testing.T) session.Store { return open(t, server.Database(t)) })
}

// TestContractUnprepared: for a pooler without prepared statements the URL can disable
// them.
func TestContractUnprepared(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	storetest.Run(t, func(t *testing.T) session.Store { return open(t, server.Database(t)+"?default_query_exec_mode=exec") })
}

func TestWindows(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	storetest.RunWindows(t, func(t *testing.T) (storetest.ThrottleStore, func() storetest.ThrottleStore) {
		dsn := server.Database(t)
		return open(t, dsn), func() storetest.ThrottleStore { return open(t, dsn+"?default_query_exec_mode=exec") }
	})
}

// config returns the configuration for a database.
func config(dsn string) session.Config {
	return session.Config{Store: secret.New(dsn)}.WithDefaults()
}

func open(t testing.TB, dsn string) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), config(dsn))
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

// TestUsedChangesNoIndex: no index has the column that redemptions update once a
// minute, so that only the row is written (HOT).
func TestUsedChangesNoIndex(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	store := open(t, dsn)
	p := newSSO()
	issue(t, replica(t, sealed(dsn), p), p.login("corp", "alice"))
	listed, err := store.List(t.Context(), session.Selector{}, session.Hash{}, 1)
	must(t, err)
	noon := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	for i := range 11 {
		use := session.LastUse{Token: listed[0].Hash, At: noon.Add(time.Duration(i) * time.Minute)}
		must(t, store.WriteLastUses(t.Context(), []session.LastUse{use}))
	}
	must(t, store.Close()) // the server publishes its statistics then
	var got string
	for range 1000 {
		if got = server.SQL(t, dsn, "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'session'"); got == "11|10" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("updates of sessions, and of those HOT updates: %s, want 11|10", got)
}
