package postgres_test

import (
	"testing"

	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/postgres"
	"shorepass/session/postgres/postgrestest"
	"shorepass/session/storetest"
)

func TestContract(t *testing.T) {
	server := postgrestest.Start(t)
	storetest.Run(t, func(t *testing.T) session.Store { return open(t, server.Database(t)) })
}

func TestCounters(t *testing.T) {
	server := postgrestest.Start(t)
	storetest.RunCounters(t, func(t *testing.T) (storetest.Counting, func() storetest.Counting) {
		dsn := server.Database(t)
		return open(t, dsn), func() storetest.Counting { return open(t, dsn) }
	})
}

// config is a configuration for a database.
func config(dsn string) session.Config {
	return session.Config{Store: providers.NewSecret(dsn)}.WithDefaults()
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
