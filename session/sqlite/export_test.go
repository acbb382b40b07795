package sqlite

import (
	"context"

	"zombiezen.com/go/sqlite"
)

// ExportFillDisk makes the writer believe that the disk is full, or has room.
func ExportFillDisk(s *Store, full bool) error {
	pages := "1" // which is less than there are, so: no page more
	if !full {
		pages = "1000000000"
	}
	return s.writer.with(context.Background(), func(c *conn) error { return exec(c.Conn, "PRAGMA max_page_count = "+pages) })
}

// ExportNewerProgram gives this program one more migration than it has, and
// returns how to take it away again.
func ExportNewerProgram(migration string) (undo func()) {
	known := migrations
	migrations = append(migrations[:len(known):len(known)], migration)
	return func() { migrations = known }
}

// ExportSweepPlan returns how SQLite finds what a sweep forgets.
func ExportSweepPlan(s *Store) (steps []string, err error) {
	err = s.listReaders.with(context.Background(), func(c *conn) error {
		return forEachRow(c.Conn, "EXPLAIN QUERY PLAN "+deletableSessions, func(stmt *sqlite.Stmt) error {
			steps = append(steps, stmt.ColumnText(3))
			return nil
		}, 1, 2, 3)
	})
	return steps, err
}
