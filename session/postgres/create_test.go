package postgres_test

import (
	"crypto/sha256"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
	"shorepass/session/postgres/postgrestest"
)

// TestPersonIsLockedFirst: a derived session and a grant lock rows in the order of a
// login, so that they cannot deadlock with one, and the revoker waits for no login.
func TestPersonIsLockedFirst(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	store := open(t, dsn)
	p := newSSO()
	issue(t, replica(t, sealed(dsn), p), p.login("corp", "alice"))
	listed, err := store.List(t.Context(), session.Selector{}, session.Hash{}, 1)
	must(t, err)
	from := listed[0].Row
	login, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer login.Close(t.Context())
	token := session.Hash(sha256.Sum256([]byte("a token")))
	for name, write := range map[string]func() error{
		"a derived session": func() error {
			d := &session.Draft{Row: from, Derived: true}
			d.Hash, d.Kind = token, session.KindPAT
			return store.Create(t.Context(), d)
		},
		"a grant": func() error {
			return store.PutGrant(t.Context(), &session.Grant{Hash: token, Kind: session.KindOneTime, SignIn: from.SignIn.ID, From: &from.Hash, Created: from.Created, Expires: from.Expires, Keep: 1})
		},
	} {
		tx, err := login.Begin(t.Context())
		must(t, err)
		_, err = tx.Exec(t.Context(), "SELECT id FROM person FOR UPDATE")
		must(t, err)
		written := make(chan error, 1)
		go func() { written <- write() }()
		for waits := ""; waits != "1"; time.Sleep(10 * time.Millisecond) {
			waits = server.SQL(t, dsn, "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
			if len(written) > 0 {
				t.Fatalf("%s does not wait for the lock of its person: %v", name, <-written)
			}
		}
		if _, err := tx.Exec(t.Context(), "SELECT id FROM sign_in FOR UPDATE NOWAIT"); err != nil {
			t.Errorf("%s: the sign-in is locked before its person: %v", name, err)
		}
		must(t, tx.Rollback(t.Context()))
		must(t, <-written)
	}
}

// TestTakeRevocableSkipsLogins: the revoker waits for no login, which may wait for the
// refresh token that it takes.
func TestTakeRevocableSkipsLogins(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	dsn := server.Database(t)
	store := open(t, dsn)
	p := newSSO()
	issue(t, replica(t, sealed(dsn), p), p.login("sso", "alice"))
	server.SQL(t, dsn, "UPDATE session SET ended = created; UPDATE provider_token SET revocable_since = 1")
	login, err := pgx.Connect(t.Context(), dsn)
	must(t, err)
	defer login.Close(t.Context())
	tx, err := login.Begin(t.Context())
	must(t, err)
	_, err = tx.Exec(t.Context(), "SELECT id FROM person FOR UPDATE")
	must(t, err)
	if taken, err := store.TakeRevocable(t.Context(), time.Now(), 10); err != nil || len(taken) != 0 {
		t.Errorf("during a login: TakeRevocable = %d tokens, %v, want none", len(taken), err)
	}
	must(t, tx.Rollback(t.Context()))
	if taken, err := store.TakeRevocable(t.Context(), time.Now(), 10); err != nil || len(taken) != 1 {
		t.Errorf("after it: TakeRevocable = %d tokens, %v, want one", len(taken), err)
	}
}
