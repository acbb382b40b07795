package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"shorepass/session"
	"shorepass/throttle"
)

// openError says that the store could not be opened.
func openError(err error) error { return fmt.Errorf("open the store: %w", err) }

// withHint says of an error what to do about it. The driver's own text names the
// host, the user and the database, and never the password.
func (s *Store) withHint(err error) error {
	switch {
	case err == nil, errors.Is(err, session.ErrNotFound):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("PostgreSQL did not answer in time (session.query_timeout is %v): %w", s.queryTimeout, err)
	}
	return addHint(err)
}

func addHint(err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return err
	}
	if pgErr.Code == diskFull {
		return fmt.Errorf("%s: %w: %w", hints[diskFull], session.ErrFull, err)
	}
	if what := hints[pgErr.Code]; what != "" {
		return fmt.Errorf("%s: %w", what, err)
	}
	return err
}

// diskFull is the SQLSTATE disk_full.
const diskFull = "53100"

// hints say what to do about what the server says, by SQLSTATE. Nobody changes
// them.
var hints = map[string]string{
	"28P01":  "PostgreSQL refuses the password of session.store",
	"28000":  "PostgreSQL does not let the user of session.store in; look at its pg_hba.conf",
	"3D000":  "the database of session.store does not exist; make it with createdb",
	"42501":  "the user of session.store lacks rights; let it own the database, or GRANT it CREATE on the schema",
	"42P01":  "the tables of session.store are not there; if somebody removed them, restart shorepass",
	"53300":  "PostgreSQL has no connection to spare; lower session.connections, or raise its max_connections",
	diskFull: "the disk of PostgreSQL is full; nothing was lost, make room",
	"25006":  "PostgreSQL takes no changes: session.store leads to a standby; name all hosts, with target_session_attrs=read-write",
	"57P03":  "PostgreSQL is starting or stopping",
}

// isConflict reports whether a transaction had to give way to another: it was
// undone, and can be tried again.
func isConflict(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "40001" || pgErr.Code == "40P01")
}

// isRace reports whether a migration failed for what another replica does at the
// same time: make the same table, or change what the server knows of it.
func isRace(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (isConflict(err) || slices.Contains([]string{"42P07", "42710", "23505", "XX000"}, pgErr.Code))
}

// isUnsent reports whether the server cannot have seen the question.
func isUnsent(err error) bool { return pgconn.SafeToRetry(err) && !isContext(err) }

// isLost reports whether a connection broke, or leads to a server that is of
// no use any more. One that could not be made is not one that was lost.
func isLost(err error) bool {
	switch {
	case err == nil, errors.Is(err, pgx.ErrNoRows), errors.Is(err, session.ErrNotFound), errors.Is(err, throttle.ErrConflict), isContext(err):
		return false
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return false
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return strings.HasPrefix(pgErr.Code, "57P") || strings.HasPrefix(pgErr.Code, "08") || pgErr.Code == "25006"
	}
	return !pgconn.Timeout(err)
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
