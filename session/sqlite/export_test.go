package sqlite

import "context"

// ExportFillDisk makes the writer believe that the disk is full, or has room.
func ExportFillDisk(s *Store, full bool) error {
	pages := "1" // which is less than there are, so: no page more
	if !full {
		pages = "1000000000"
	}
	_, err := s.write.ExecContext(context.Background(), "PRAGMA max_page_count = "+pages)
	return err
}
