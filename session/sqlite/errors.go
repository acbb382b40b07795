package sqlite

import (
	"fmt"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// withHint says of an error of SQLite what to do about it.
func withHint(err error) error {
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultBusy, sqlite.ResultLocked:
		return fmt.Errorf("another process has locked the file for more than %v; end it, or wait until it is done: %w", busyTimeout, err)
	case sqlite.ResultFull:
		return fmt.Errorf("the disk is full; nothing was lost, make room: %w: %w", session.ErrFull, err)
	case sqlite.ResultCorrupt, sqlite.ResultNotADB:
		return fmt.Errorf("the file is damaged, or is no SQLite database; it was left as it is, put a copy of it back: %w", err)
	case sqlite.ResultReadOnly, sqlite.ResultCantOpen, sqlite.ResultPerm, sqlite.ResultAuth:
		return fmt.Errorf("the file cannot be written to; look at its owner and its disk: %w", err)
	case sqlite.ResultIOErr:
		return fmt.Errorf("the disk fails; look at the system's log: %w", err)
	}
	return err
}
