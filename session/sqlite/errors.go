package sqlite

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
	finding "zombiezen.com/go/sqlite"

	"shorepass/session"
)

// code is what SQLite answered, through either library. What did not come from
// SQLite is SQLITE_ERROR, of which nothing more is known.
func code(err error) int {
	if sqliteErr, ok := errors.AsType[*sqlite.Error](err); ok {
		return sqliteErr.Code()
	}
	return int(finding.ErrCode(err))
}

// explain says of an error of SQLite what to do about it.
func explain(err error) error {
	switch code(err) & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("another process has locked the file for more than %v; end it, or wait until it is done: %w", busyTimeout, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("the disk is full; nothing was lost, make room: %w: %w", session.ErrFull, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("the file is damaged, or is no SQLite database; it was left as it is, put a copy of it back: %w", err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return fmt.Errorf("the file cannot be written to; look at its owner and its disk: %w", err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("the disk fails; look at the system's log: %w", err)
	}
	return err
}
