package sqlite

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// withHint adds to an error of SQLite what the operator can do about it.
func withHint(err error) error {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultBusy, sqlite.ResultLocked:
		return fmt.Errorf("another process has locked the file for more than %v; stop it, or wait until it is done: %w: %w", busyTimeout, session.ErrUnavailable, err)
	case sqlite.ResultFull:
		return fmt.Errorf("the disk is full; nothing was lost, make room: %w: %w", session.ErrFull, err)
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return fmt.Errorf("the file is damaged, or is no SQLite database; it was left unchanged, restore a backup of it: %w", err)
	case sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultPerm, sqlite.ResultAuth:
		return fmt.Errorf("the file cannot be written to; check its owner and its disk: %w", err)
	case sqlite.ResultIOErr:
		return fmt.Errorf("the disk reports I/O errors; check the system log: %w", err)
	}
	return err
}
