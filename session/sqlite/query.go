package sqlite

import (
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/session"
)

// exec runs a statement, which conn caches prepared.
//
// A statement writes a limit as LIMIT ? + 0. The planner reads the value of a LIMIT ?,
// so that SQLite would prepare the statement again each time a value is bound to it.
func exec(conn *sqlite.Conn, query string, args ...any) error {
	return sqlitex.Execute(conn, query, &sqlitex.ExecOptions{Args: args})
}

// execCount runs a statement and returns how many rows it changed.
func execCount(conn *sqlite.Conn, query string, args ...any) (int, error) {
	err := exec(conn, query, args...)
	if err != nil {
		return 0, err
	}
	return conn.Changes(), nil
}

// forEachRow runs a query, which conn caches prepared, and calls read for each row.
func forEachRow(conn *sqlite.Conn, query string, read func(*sqlite.Stmt) error, args ...any) error {
	return sqlitex.Execute(conn, query, &sqlitex.ExecOptions{Args: args, ResultFunc: read})
}

// queryInt returns the first column of a query's last row, and whether there
// was one.
func queryInt(conn *sqlite.Conn, query string, args ...any) (value int64, found bool, err error) {
	err = forEachRow(conn, query, func(stmt *sqlite.Stmt) error {
		value, found = stmt.ColumnInt64(0), true
		return nil
	}, args...)
	return value, found, err
}

// firstRow steps to the first row, or returns session.ErrNotFound.
func firstRow(stmt *sqlite.Stmt) error {
	found, err := stmt.Step()
	if err == nil && !found {
		return session.ErrNotFound
	}
	return err
}

// readText reads a column into a string type.
func readText[T ~string](stmt *sqlite.Stmt, column int, into *T) { *into = T(stmt.ColumnText(column)) }

// readBytes fills into from a column, which must have the same length.
func readBytes(stmt *sqlite.Stmt, column int, into []byte) error {
	if stmt.ColumnBytes(column, into) != len(into) || stmt.ColumnLen(column) != len(into) {
		return fmt.Errorf("column %d is damaged: it has %[3]d bytes, not %[2]d", column, len(into), stmt.ColumnLen(column))
	}
	return nil
}

// readBlob returns a copy of a column.
func readBlob(stmt *sqlite.Stmt, column int) []byte {
	blob := make([]byte, stmt.ColumnLen(column))
	stmt.ColumnBytes(column, blob)
	return blob
}
