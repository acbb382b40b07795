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
	// migrateTimeout bounds all migrations.
	migrateTimeout = 10 * time.Minute

	// migrateAttempts bounds the retries after races with other replicas that
	// start at the same time.
	migrateAttempts = 5

	versionTable = "shorepass_version"
	lockTable    = "shorepass_version_lock"

	// unreleasedQuery returns whether the schema is from before version 1, which a
	// column shows that version 1 renamed.
	unreleasedQuery = `SELECT to_regclass('` + versionTable + `') IS NOT NULL AND EXISTS (SELECT 1 FROM information_schema.columns
		WHERE table_schema = current_schema() AND table_name = 'person' AND column_name = 'mark')`
)

// migrate brings the database to the schema of this version. It uses connections of
// its own, since a migration may take longer than the query timeout.
func migrate(ctx context.Context, conn *pgx.ConnConfig) (err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	db := stdlib.OpenDB(*conn)
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil {
		return addHint(err)
	}
	for attempt := 1; ; attempt++ {
		err := applyMigrations(ctx, db)
		if err == nil || !isRace(err) || attempt == migrateAttempts {
			return addHint(err)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(attempt) * 200 * time.Millisecond):
		}
	}
}

// newProvider returns a goose provider that one replica at a time migrates with. Its
// lock is a lease in a table and not an advisory lock: a pooler that hands out a
// connection per transaction loses those, and CockroachDB accepts them without locking.
func newProvider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	quiet := slog.New(slog.DiscardHandler)
	locker, err := lock.NewPostgresTableLocker(
		lock.WithTableName(lockTable),
		lock.WithTableLeaseDuration(15*time.Second), // after a crash another replica waits this long
		lock.WithTableHeartbeatInterval(3*time.Second),
		lock.WithTableLockTimeout(250*time.Millisecond, uint64(migrateTimeout/(250*time.Millisecond))),
		lock.WithTableUnlockTimeout(250*time.Millisecond, 20),
		lock.WithTableLogger(quiet),
	)
	if err != nil {
		return nil, fmt.Errorf("lock the migrations: %w", err)
	}
	g, err := goose.NewProvider(goose.DialectPostgres, db, files,
		goose.WithDisableGlobalRegistry(true), goose.WithTableName(versionTable), goose.WithLocker(locker), goose.WithSlog(quiet))
	if err != nil {
		return nil, fmt.Errorf("read the migrations: %w", err)
	}
	return g, nil
}

// applyMigrations runs the missing migrations. Without any it takes no lock.
func applyMigrations(ctx context.Context, db *sql.DB) error {
	var unreleased bool
	if err := db.QueryRowContext(ctx, unreleasedQuery).Scan(&unreleased); err != nil {
		return fmt.Errorf("read the version of the schema: %w", err)
	}
	if unreleased {
		return session.ErrUnreleasedSchema
	}
	g, err := newProvider(db) // a new one for each attempt, since it creates its table only once
	if err != nil {
		return err
	}
	current, known, err := g.GetVersions(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read the version of the schema: %w", err)
	case current == known:
		return nil
	case current > known:
		var oldest []byte
		if err := db.QueryRowContext(ctx, "SELECT value FROM setting WHERE name = $1", session.OldestSchema(current)).Scan(&oldest); err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("read the oldest program version that can serve the store: %w", err)
		}
		return session.MayServe(current, known, oldest)
	}
	if _, err := g.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", current, known, err)
	}
	return nil
}
