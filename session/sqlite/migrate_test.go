package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/session/storetest"
)

// createVersion1 creates a file with schema version 1, and runs statements on it.
func createVersion1(t *testing.T, statements ...string) string {
	t.Helper()
	file := filepath.Join(folder(t, 0o700), "shorepass.db")
	first, err := os.ReadFile("migrations/0001.sql")
	must(t, err)
	conn, err := zombiezen.OpenConn(file, zombiezen.OpenReadWrite|zombiezen.OpenCreate)
	must(t, err)
	must(t, sqlitex.ExecuteScript(conn, string(first)+"PRAGMA application_id = 0x73687073; PRAGMA user_version = 1;", nil))
	for _, statement := range statements {
		must(t, sqlitex.ExecuteTransient(conn, statement, nil))
	}
	must(t, conn.Close())
	must(t, os.Chmod(file, 0o600))
	return file
}

// TestMigrateFrom1: the migration from schema version 1 loses no row.
func TestMigrateFrom1(t *testing.T) {
	file := createVersion1(t, storetest.Version1(func(b []byte) string { return fmt.Sprintf("x'%x'", b) })...)
	storetest.CheckVersion1(t, open(t, file))
}
