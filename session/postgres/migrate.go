package postgres

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"shorepass/session"
)

//go:embed migrations/*.sql
var migrations embed.FS

const (
	// migrateTimeout is how long bringing the schema up to date may take.
	migrateTimeout = 10 * time.Minute

	// migrateAttempts is how often it is tried, since other replicas that start
	// at the same time may be at it too.
	migrateAttempts = 5

	versionTable = "shorepass_version"
	lockTable    = "shorepass_version_lock"

	// unreleasedQuery asks whether the schema is one of those that were numbered
	// before version 1: they are told by a column that has another name since.
	unreleasedQuery = `SELECT to_regclass('` + versionTable + `') IS NOT NULL AND EXISTS (SELECT 1 FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = 'person' AND column_name = 'mark')`
)

// migrate brings the database to the schema of this version, through
// connections of its own: a step may take longer than a question may.
func migrate(ctx context.Context, conn *pgx.ConnConfig) (err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	db := stdlib.OpenDB(*conn)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil {
		return addHint(err)
	}
	for try := 1; ; try++ {
		err := applyMigrations(ctx, db)
		if err == nil || !isRace(err) || try == migrateAttempts {
			return addHint(err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(try) * 200 * time.Millisecond):
		}
	}
}

// newProvider has each step done by one replica at a time. That is seen to by a
// row in a table and not by an advisory lock, which is lost behind a pooler
// that lends connections for one transaction, and which CockroachDB takes
// without having any.
func newProvider(db *sql.DB) (*goose.Provider, error) {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableName(lockTable),
		lock.WithTableLeaseDuration(15*time.Second), // after which another goes on where one died
		lock.WithTableHeartbeatInterval(3*time.Second),
		lock.WithTableLockTimeout(250*time.Millisecond, uint64(migrateTimeout/(250*time.Millisecond))),
		lock.WithTableUnlockTimeout(250*time.Millisecond, 20),
		lock.WithTableLogger(quiet),
	)
	if err != nil {
		return nil, fmt.Errorf("lock the migrations: %w", err)
	}
	g, err := goose.NewProvider(goose.DialectPostgres, db, steps,
		goose.WithDisableGlobalRegistry(true), goose.WithTableName(versionTable), goose.WithLocker(locker), goose.WithSlog(quiet))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return g, nil
}

// applyMigrations takes the steps that are missing. Where none are, it locks nothing.
func applyMigrations(ctx context.Context, db *sql.DB) error {
	var unreleased bool
	if err := db.QueryRowContext(ctx, unreleasedQuery).Scan(&unreleased); err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if unreleased {
		return session.ErrUnreleasedSchema
	}
	g, err := newProvider(db) // anew at each try, since it makes its table just once
	if err != nil {
		return err
	}
	is, want, err := g.GetVersions(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read the version of the schema: %w", err)
	case is == want:
		return nil
	case is > want:
		var oldest []byte
		if err := db.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = $1", session.OldestSchema(is)).Scan(&oldest); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read which programs can serve the store: %w", err)
		}
		return session.MayServe(is, want, oldest)
	}
	if _, err := g.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", is, want, err)
	}
	return nil
}
