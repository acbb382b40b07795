package postgres_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"shorepass/session/postgres"
	"shorepass/session/postgres/postgrestest"
)

// TestInspectChangesNothing: Inspect reports the schema that Open would find, and
// creates nothing.
func TestInspectChangesNothing(t *testing.T) {
	t.Parallel()
	server := postgrestest.Start(t)
	url := server.Database(t)
	reports := func(want string) {
		t.Helper()
		if found, err := postgres.Inspect(t.Context(), config(url)); err != nil || !strings.Contains(strings.Join(found, "; "), want) {
			t.Errorf("Inspect = %q, %v, want %q", found, err, want)
		}
	}
	reports("connected to PostgreSQL ")
	reports("the schema is missing; serve makes it") // Inspect has created nothing

	s, err := postgres.Open(t.Context(), config(url))
	must(t, err)
	must(t, s.Close())
	reports("as it should be")

	conn, err := pgx.Connect(t.Context(), url)
	must(t, err)
	defer conn.Close(t.Context())
	_, err = conn.Exec(t.Context(), "INSERT INTO shorepass_version (version_id, is_applied) VALUES (99, true)")
	must(t, err)
	if _, err := postgres.Inspect(t.Context(), config(url)); err == nil || !strings.Contains(err.Error(), "start the newer program") {
		t.Errorf("Inspect of a newer schema: %v", err)
	}
	refuses(t, config(url), "start the newer program")
	_, err = postgres.Inspect(t.Context(), config(strings.Replace(url, "/", "/"+"nobody:"+canary+"@", 1)))
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("Inspect with a malformed URL: %v", err)
	}
}
