package sqlite

import "context"

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
