package main

import (
	"context"
	"path/filepath"
	"testing"

	"shorepass/internal/secret"
	"shorepass/session"
	"shorepass/session/postgres"
	"shorepass/session/postgres/postgrestest"
	"shorepass/session/sqlite"
)

// BenchmarkCountSessions measures the count of a million live sessions beside a million
// ended ones, which one replica does every five minutes for the metrics.
func BenchmarkCountSessions(b *testing.B) {
	binary := buildBinary(b)
	filled := contents{newDataset(b, manyPeople, manySessions), manySessions}
	b.Run("sqlite", func(b *testing.B) {
		dir := b.TempDir()
		file := filepath.Join(dir, "data", "sessions.db")
		seedStore(b, binary, dir, serverConfig(b, dir, `store = "sqlite:`+file+`"`, []string{"first"}))
		fillSQLite(b, file, filled)
		store, err := sqlite.Open(b.Context(), file)
		countSessions(b, store, err)
	})
	b.Run("postgres", func(b *testing.B) {
		server := postgrestest.Start(b, "fsync=on")
		dsn, dir := server.Database(b), b.TempDir()
		seedStore(b, binary, dir, replicaConfig(b, dir, dsn, noRevalidation, []string{"first"}))
		fillPostgres(b, dsn, filled)
		store, err := postgres.Open(b.Context(), session.Config{Store: secret.New(dsn)}.WithDefaults())
		countSessions(b, store, err)
	})
}

func countSessions(b *testing.B, store interface {
	CountSessions(context.Context) (map[session.Kind]int, error)
	Close() error
}, err error) {
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	for b.Loop() {
		live, err := store.CountSessions(b.Context())
		if err != nil || live[session.KindRefresh] < manySessions {
			b.Fatalf("CountSessions = %v, %v", live, err)
		}
	}
}
