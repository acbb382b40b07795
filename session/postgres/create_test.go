package postgres_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
	"shorepass/session/postgres/postgrestest"
)

// TestDeriveLocksThePersonFirst: creating a derived session locks rows in the order of
// a login, so that the two cannot deadlock.
func TestDeriveLocksThePersonFirst(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	store := open(t, dsn)
	p := newSSO()
	issue(t, replica(t, sealed(dsn), p), p.login("corp", "alice"))
	listed, err := store.List(t.Context(), session.Selector{}, session.Hash{}, 1)
	must(t, err)
	login, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer login.Close(t.Context())
	tx, err := login.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "SELECT id FROM person FOR UPDATE")
	must(t, err)
	created := make(chan error, 1)
	go func() {
		d := &session.Draft{Row: listed[0].Row, Derived: true}
		d.Hash, d.Kind = sha256.Sum256([]byte("a token")), session.KindPAT
		created <- store.Create(t.Context(), d)
	}()
	for waits := ""; waits != "1"; time.Sleep(10 * time.Millisecond) {
		waits = server.SQL(t, dsn, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
	}
	if _, err := tx.Exec(t.Context(), "SELECT id FROM sign_in FOR UPDATE NOWAIT"); err != nil {
		t.Errorf("the sign-in is locked before its person: %v", err)
	}
	must(t, tx.Rollback(t.Context()))
	must(t, <-created)
}
