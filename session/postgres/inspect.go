package postgres

import (
	"context"
	"errors"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"

	"shorepass/session"
)

// Check reports whether the URL of cfg can be parsed, and its TLS files read. It
// connects to nothing.
func Check(cfg session.Config) error {
	_, err := poolConfig(cfg)
	return err
}

// Inspect connects to the database that cfg names, whose defaults must be applied, and
// returns sentences on its version and schema. It changes nothing. The error is that
// of Open.
func Inspect(ctx context.Context, cfg session.Config) (found []string, err error) {
	pool, err := poolConfig(cfg)
	if err != nil {
		return nil, err
	}
	conn, err := pgx.ConnectConfig(ctx, pool.ConnConfig)
	if err != nil {
		return nil, openError(addHint(err))
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	known, err := newestSchema()
	if err != nil {
		return nil, err
	}
	version, current, oldest, err := readVersions(ctx, conn)
	if err != nil {
		return nil, openError(addHint(err))
	}
	found = []string{"connected to PostgreSQL " + version}
	if err := session.MayServe(current, known, oldest); err != nil {
		return found, openError(err)
	}
	return append(found, session.DescribeSchema(current, known)), nil
}

// readVersions returns the version of the server, the version of the schema, 0 for
// none, and its setting session.OldestSchema, nil for none.
func readVersions(ctx context.Context, conn *pgx.Conn) (server string, schema int64, oldest []byte, err error) {
	var exists, unreleased bool
	if err := conn.QueryRow(ctx, unreleasedQuery).Scan(&unreleased); err != nil {
		return "", 0, nil, err
	}
	if unreleased {
		return "", 0, nil, session.ErrUnreleasedSchema
	}
	if err := conn.QueryRow(ctx, "SELECT current_setting('server_version'), to_regclass('"+versionTable+"') IS NOT NULL").Scan(&server, &exists); err != nil || !exists {
		return server, 0, nil, err
	}
	if err := conn.QueryRow(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable+" WHERE is_applied").Scan(&schema); err != nil || schema == 0 {
		return server, schema, nil, err
	}
	err = conn.QueryRow(ctx, "SELECT value FROM setting WHERE name = $1", session.OldestSchema(schema)).Scan(&oldest)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return server, schema, oldest, err
}

// requireSchema refuses a database with an older schema, and one with a newer schema
// that this version cannot serve.
func (s *Store) requireSchema(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, slowFactor*s.queryTimeout)
	defer cancel()
	known, err := newestSchema()
	if err != nil {
		return err
	}
	var current int64
	var oldest []byte
	err = s.pool.AcquireFunc(ctx, func(c *pgxpool.Conn) (err error) {
		_, current, oldest, err = readVersions(ctx, c.Conn())
		return err
	})
	if err != nil {
		return s.withHint(err)
	}
	return session.RequireSchema(current, known, oldest)
}

// newestSchema returns the version that Open brings the schema to.
func newestSchema() (int64, error) {
	files, err := fs.ReadDir(migrations, "migrations")
	if err != nil {
		return 0, err
	}
	var newest int64
	for _, f := range files {
		number, err := goose.NumericComponent(f.Name())
		if err != nil {
			return 0, err
		}
		newest = max(newest, number)
	}
	return newest, nil
}
