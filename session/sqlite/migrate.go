package sqlite

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"time"

	"github.com/pressly/goose/v3"

	"shorepass/session"
)

//go:embed migrations/*.sql
var migrations embed.FS

// migrateTries is how often a migration is tried, since another process may be
// at it too: each is one transaction, so the second to come finds it done.
const migrateTries = 3

// migrate brings the file to the schema of this version.
func (s *Store) migrate(ctx context.Context) error {
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	g, err := goose.NewProvider(goose.DialectSQLite3, s.write, steps, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read the migrations: %w", err)
	}
	for try := 1; ; try++ {
		if err = up(ctx, g); err == nil || try == migrateTries {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func up(ctx context.Context, g *goose.Provider) error {
	is, want, err := g.GetVersions(ctx)
	switch {
	case err != nil:
		return fmt.Errorf("read the version of the schema: %w", err)
	case is > want:
		return &session.NewerSchemaError{Is: is, Known: want}
	case is == want:
		return nil
	}
	if _, err := g.Up(ctx); err != nil {
		return fmt.Errorf("bring the schema from version %d to %d: %w", is, want, err)
	}
	return nil
}
