package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"shorepass/session"
	"shorepass/throttle"
)

// openError names the operation of an error, and marks one that may pass as
// [session.ErrUnavailable].
func openError(err error) error {
	if isAway(err) {
		return fmt.Errorf("open the store: %w: %w", session.ErrUnavailable, err)
	}
	return fmt.Errorf("open the store: %w", err)
}

// isAway reports whether no server answers, or one that is starting or stopping, has no
// connection left, or is a standby. A server that refuses the user, the database or TLS
// is an error of the configuration.
func isAway(err error) bool {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		class := pgErr.Code[:min(2, len(pgErr.Code))]
		return class == "08" || class == "57" || class == "53" || pgErr.Code == "25006"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return false
	}
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	_, network := errors.AsType[net.Error](err)
	return connecting || network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

// withHint adds to an error what the operator can do about it. The driver's text has
// the host, the user and the database, and never the password.
func (s *Store) withHint(err error) error {
	switch {
	case err == nil, errors.Is(err, session.ErrNotFound):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("PostgreSQL did not answer in time (session.query_timeout is %v): %w", s.queryTimeout, err)
	}
	return addHint(err)
}

// addHint is withHint without the timeout of a query.
func addHint(err error) error {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return addTLSHint(err)
	}
	if pgErr.Code == diskFull {
		return fmt.Errorf("%s: %w: %w", hints[diskFull], session.ErrFull, err)
	}
	if hint := hints[pgErr.Code]; hint != "" {
		return fmt.Errorf("%s: %w", hint, err)
	}
	return err
}

// addTLSHint adds to an error of PostgreSQL's certificate the key to change.
func addTLSHint(err error) error {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return fmt.Errorf("PostgreSQL's certificate is signed by an unknown authority; name it in session.tls.ca: %w", err)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("PostgreSQL's certificate is for another name; write that name in session.tls.server_name, or as the host of session.store: %w", err)
	}
	return err
}

// diskFull is the SQLSTATE disk_full.
const diskFull = "53100"

// hints are what the operator can do about an error, by SQLSTATE. The map is never
// written to.
var hints = map[string]string{
	"28P01":  "PostgreSQL refuses the password of session.store",
	"28000":  "PostgreSQL does not let the user of session.store in; check its pg_hba.conf",
	"3D000":  "the database of session.store does not exist; create it with createdb",
	"42501":  "the user of session.store lacks rights; let it own the database, or GRANT it CREATE on the schema",
	"42P01":  "the tables of session.store are missing; if they were dropped, restart shorepass",
	"53300":  "PostgreSQL has no connection left; lower session.connections, or raise its max_connections",
	diskFull: "the disk of PostgreSQL is full; nothing was lost, make room",
	"25006":  "PostgreSQL is read-only: session.store leads to a standby; name all hosts, with target_session_attrs=read-write",
	"57P03":  "PostgreSQL is starting or stopping",
}

// isConflict reports a serialization failure or a deadlock (SQLSTATE 40001, 40P01):
// the transaction was rolled back, and can be retried.
func isConflict(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pgErr.Code == "40001" || pgErr.Code == "40P01")
}

// isRace reports whether a migration failed because of another replica that migrates
// at the same time: it created the same table, or changed the catalog.
func isRace(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (isConflict(err) || slices.Contains([]string{"42P07", "42710", "23505", "XX000"}, pgErr.Code))
}

// isUnsent reports whether the query cannot have reached the server.
func isUnsent(err error) bool { return pgconn.SafeToRetry(err) && !isContext(err) }

// isLost reports whether a connection broke, or leads to a server that is shutting down
// or has become a standby. A connection that could not be opened is not lost.
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
