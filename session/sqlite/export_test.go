package sqlite

import (
	"context"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// ExportFillDisk makes writes fail as on a full disk, or succeed again.
func ExportFillDisk(s *Store, full bool) error {
	pages := "1" // fewer than the file has, so that it cannot grow
	if !full {
		pages = "1000000000"
	}
	return s.writer.with(context.Background(), func(c *conn) error { return exec(c.Conn, "PRAGMA max_page_count = "+pages) })
}

// ExportNewerProgram adds a migration to this program's, and returns a function that
// removes it.
func ExportNewerProgram(migration string) (undo func()) {
	known := migrations
	migrations = append(migrations[:len(known):len(known)], migration)
	return func() { migrations = known }
}

// ExportListPlan returns SQLite's query plan of a list.
func ExportListPlan(s *Store, sel session.Selector) (steps []string, err error) {
	where, args, _ := whereClause(sel)
	err = s.listReaders.with(context.Background(), func(c *conn) error {
		return forEachRow(c.Conn, "EXPLAIN QUERY PLAN "+listQuery(where), func(stmt *sqlite.Stmt) error {
			steps = append(steps, stmt.ColumnText(3))
			return nil
		}, append(append([]any{make([]byte, 32)}, args...), 1000)...)
	})
	return steps, err
}

// ExportSweepPlan returns SQLite's query plan of deletableSessions.
func ExportSweepPlan(s *Store) (steps []string, err error) {
	err = s.listReaders.with(context.Background(), func(c *conn) error {
		return forEachRow(c.Conn, "EXPLAIN QUERY PLAN "+deletableSessions, func(stmt *sqlite.Stmt) error {
			steps = append(steps, stmt.ColumnText(3))
			return nil
		}, 1, 2, 3)
	})
	return steps, err
}
