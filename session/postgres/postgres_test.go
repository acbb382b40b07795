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

// Behind a pooler that knows nothing of prepared statements the URL can say so.
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

// config is a configuration for a database.
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

// What each redemption changes, once a minute, is in no index, so that the row
// alone is written.
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
	must(t, store.Close()) // when the server counts
	var got string
	for range 1000 {
		if got = server.SQL(t, dsn, "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'session'"); got == "11|10" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("rows of sessions that changed, and those without an index: %s, want 11|10", got)
}
