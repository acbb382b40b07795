package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"shorepass/session/postgres"
	"shorepass/session/postgres/postgrestest"
)

// TestLook: Look says what Open would find, and makes nothing.
func TestLook(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	url := server.Database(t)
	looks := func(want string) {
		t.Helper()
		if found, err := postgres.Look(t.Context(), config(url)); err != nil || !strings.Contains(strings.Join(found, "; "), want) {
			t.Errorf("Look = %q, %v, want %q", found, err, want)
		}
	}
	looks("connected to PostgreSQL ")
	looks("the schema is missing; serve makes it") // still

	s, err := postgres.Open(t.Context(), config(url))
	must(t, err)
	must(t, s.Close())
	looks("as it should be")

	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), "INSERT INTO shorepass_version (version_id, is_applied) VALUES (99, true)")
	must(t, err)
	if _, err := postgres.Look(t.Context(), config(url)); err == nil || !strings.Contains(err.Error(), "start the newer program") {
		t.Errorf("Look at a newer schema: %v", err)
	}
	refuses(t, config(url), "start the newer program")
	_, err = postgres.Look(t.Context(), config(strings.Replace(url, "/", "/"+"nobody:"+canary+"@", 1)))
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("Look with a faulty URL: %v", err)
	}
}
