package sqlite

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/session"
)

var (
	//go:embed migrations/0001.sql
	migration1 string

	//go:embed migrations/0002.sql
	migration2 string

	//go:embed migrations/0003.sql
	migration3 string
)

// migrations are the migrations of the schema. Number i leads to version i+1.
var migrations = []string{migration1, migration2, migration3}

// applicationID marks the file as shorepass's (PRAGMA application_id).
const applicationID = 0x73687073

var errOtherProgram = errors.New("it is another program's SQLite file, and was left unchanged; name another file in session.store")

// migrate brings the file to the schema of this version, each migration in a
// transaction of its own. It checks the version (PRAGMA user_version) before each
// migration and after the last.
//
// sqlitemigration.Migrate accepts a newer version, and writes to the file at every
// start.
func migrate(ctx context.Context, conn *sqlite.Conn) error {
	version, err := readVersion(conn)
	if err != nil {
		return err
	}
	if err := enableWAL(ctx, conn); err != nil {
		return fmt.Errorf("set journal_mode to WAL: %w", err)
	}
	defer conn.SetInterrupt(nil)
	for version < len(migrations) {
		if err := applyMigration(ctx, conn, version); err != nil {
			return fmt.Errorf("bring the schema from version %d to %d: %w", version, version+1, err)
		}
		if version, err = readVersion(conn); err != nil {
			return err
		}
	}
	return nil
}

// enableWAL sets the journal mode to WAL, which is stored in the file. It retries,
// since SQLite does not wait for another process that sets it at the same time: each
// would wait for the other's read lock.
func enableWAL(ctx context.Context, conn *sqlite.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	for {
		err := sqlitex.ExecuteTransient(conn, "PRAGMA journal_mode = WAL", nil)
		if sqlite.ErrCode(err).ToPrimary() != sqlite.ResultBusy {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// applyMigration runs the migration from a version to the next, unless another process
// has run it.
func applyMigration(ctx context.Context, conn *sqlite.Conn, version int) (err error) {
	end, err := beginImmediate(ctx, conn)
	if err != nil {
		return err
	}
	defer end(&err)
	if now, err := readVersion(conn); err != nil || now != version {
		return err
	}
	return sqlitex.ExecuteScript(conn, fmt.Sprintf("%s\nPRAGMA application_id = %d; PRAGMA user_version = %d;",
		migrations[version], applicationID, version+1), nil)
}

// requireSchema refuses a file with an older schema, and one with a newer schema that
// this version cannot serve.
func requireSchema(conn *sqlite.Conn) error {
	version, err := readVersion(conn)
	if err != nil {
		return err
	}
	oldest, err := readOldestSchema(conn, version)
	if err != nil {
		return err
	}
	return session.RequireSchema(int64(version), int64(len(migrations)), oldest)
}

// readVersion returns the version of the schema, 0 for an empty file. It refuses
// another program's file, a schema from before version 1, and a newer schema unless it
// says that this version can serve it.
func readVersion(conn *sqlite.Conn) (version int, err error) {
	var tables, application int
	var unreleased bool
	err = sqlitex.ExecuteTransient(conn, `SELECT a.application_id, v.user_version, count(s.name), total(s.name IN ('goose_db_version', 'person', 'renewal')) = 3
		FROM pragma_application_id a, pragma_user_version v LEFT JOIN sqlite_schema s`, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
		application, version, tables, unreleased = stmt.ColumnInt(0), stmt.ColumnInt(1), stmt.ColumnInt(2), stmt.ColumnBool(3)
		return nil
	}})
	switch {
	case err != nil:
		return 0, fmt.Errorf("read the version of the schema: %w", err)
	case unreleased && application != applicationID: // a file of ours can have tables that such a program tried to add
		return 0, session.ErrUnreleasedSchema
	case application == 0 && version == 0 && tables == 0:
		return 0, nil
	case application != applicationID:
		return 0, errOtherProgram
	}
	oldest, err := readOldestSchema(conn, version)
	if err != nil {
		return 0, err
	}
	return version, session.MayServe(int64(version), int64(len(migrations)), oldest)
}

// readOldestSchema returns the setting session.OldestSchema of a newer schema, or nil.
func readOldestSchema(conn *sqlite.Conn, version int) (oldest []byte, err error) {
	if version <= len(migrations) {
		return nil, nil
	}
	err = sqlitex.ExecuteTransient(conn, "SELECT value FROM setting WHERE name = ?", &sqlitex.ExecOptions{
		Args: []any{session.OldestSchema(int64(version))},
		ResultFunc: func(stmt *sqlite.Stmt) error {
			oldest = readBlob(stmt, 0)
			return nil
		},
	})
	if err != nil {
		return nil, fmt.Errorf("read the oldest program version that can serve the store: %w", err)
	}
	return oldest, nil
}
