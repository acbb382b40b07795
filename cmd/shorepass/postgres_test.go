package main

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"shorepass/session/postgres/postgrestest"
)

// TestPostgresScripts plays the binary on PostgreSQL: testdata/postgres. $STORE
// is a new database's URL, with a password that must come out nowhere, and
// "sql STATEMENT [WANT]" changes that database as another program does, or holds
// what it says.
func TestPostgresScripts(t *testing.T) {
	server := postgrestest.Start(t)
	params := scripts("testdata/postgres", func(e *testscript.Env) {
		e.Setenv("STORE", strings.Replace(server.Database(t), "postgres@", "postgres:c4nary@", 1))
	})
	params.Cmds["sql"] = func(ts *testscript.TestScript, _ bool, args []string) {
		if got := server.SQL(t, ts.Getenv("STORE"), args[0]); len(args) > 1 && got != args[1] {
			ts.Fatalf("%s: %s, want %s", args[0], got, args[1])
		}
	}
	testscript.Run(t, params)
}
