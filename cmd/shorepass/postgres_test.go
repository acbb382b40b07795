package main

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"shorepass/session/postgres/postgrestest"
)

// TestPostgresScripts plays the binary on PostgreSQL: testdata/postgres. $STORE
// is a new database's URL, with a password that must come out nowhere.
func TestPostgresScripts(t *testing.T) {
	server := postgrestest.Start(t)
	testscript.Run(t, scripts("testdata/postgres", func(e *testscript.Env) {
		e.Setenv("STORE", strings.Replace(server.Database(t), "postgres@", "postgres:c4nary@", 1))
	}))
}
