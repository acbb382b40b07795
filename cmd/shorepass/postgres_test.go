package main

import (
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"shorepass/session/postgres/postgrestest"
)

// TestPostgresScripts runs the scripts in testdata/postgres. $STORE is the URL of a new
// database, with a password that no output may have. "sql STATEMENT [WANT]" executes a
// statement there, as another program would, and compares the result.
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
