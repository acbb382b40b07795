package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"shorepass/config"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/postgres"
	"shorepass/session/sqlite"
	"shorepass/throttle"
)

// store is the storage that replicas share, for sessions and for the throttle.
type store interface {
	session.Store
	throttle.Store
}

// backend is a configured store that is not open yet.
type backend interface {
	kind() string

	// open opens the store for a server. It creates and migrates it as needed.
	open(context.Context) (store, error)

	// openExisting opens the store for a command. It neither creates nor migrates
	// it.
	openExisting(context.Context) (store, error)

	// check checks the store as far as that needs no network, and a sealing key in
	// its folder. The error has the key to change, see [providers.KeyOf].
	check() error

	// inspect describes the state of the store, without changing it.
	inspect(context.Context) ([]string, error)
}

// newBackend returns the store that the configuration names.
func newBackend(cfg session.Config) (backend, error) {
	if cfg.IsPostgres() {
		return postgresBackend{cfg}, nil
	}
	if file, ok := cfg.SQLiteFile(); ok {
		return sqliteBackend{file, cfg.SealKey.IsZero()}, nil
	}
	return nil, errors.New("session.store is neither sqlite:FILE nor postgres://…; write one of the two")
}

// withStore calls do with the configured store. It reads the secrets at these keys, and
// those that are needed to open the store.
func withStore(ctx context.Context, o *options, secrets []string, do func(session.Config, store) error) (err error) {
	cfg, err := o.load(config.OnlySecrets(append(secrets, "session.store", "session.tls")...))
	if err != nil {
		return err
	}
	b, err := newBackend(cfg.Session)
	if err != nil {
		return err
	}
	opened, err := b.openExisting(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return do(cfg.Session, opened)
}

// sqliteBackend is a store in a SQLite file.
type sqliteBackend struct {
	name   string
	ownKey bool // the sealing key is a file in the same folder
}

func (b sqliteBackend) kind() string { return "sqlite" }

func (b sqliteBackend) open(ctx context.Context) (store, error) { return sqlite.Open(ctx, b.name) }

func (b sqliteBackend) openExisting(ctx context.Context) (store, error) {
	return sqlite.OpenExisting(ctx, b.name)
}

func (b sqliteBackend) check() error {
	exists, err := sqlite.Check(b.name)
	if err != nil {
		return providers.WithKey("session.store", err)
	}
	if !b.ownKey {
		return nil
	}
	if err := session.CheckSealKeyFile(filepath.Dir(b.name), exists); err != nil {
		return providers.WithKey("session.seal_key", err)
	}
	return nil
}

func (b sqliteBackend) inspect(ctx context.Context) ([]string, error) {
	exists, err := sqlite.Check(b.name)
	switch {
	case err != nil:
		return nil, err
	case !exists:
		return []string{fmt.Sprintf("%s does not exist; serve makes it", b.name)}, nil
	}
	return sqlite.Inspect(ctx, b.name)
}

// postgresBackend is a store in PostgreSQL.
type postgresBackend struct{ cfg session.Config }

func (b postgresBackend) kind() string { return "postgres" }

func (b postgresBackend) open(ctx context.Context) (store, error) {
	if err := b.check(); err != nil {
		return nil, err // before it waits for a database that is away
	}
	return postgres.Open(ctx, b.cfg)
}

func (b postgresBackend) openExisting(ctx context.Context) (store, error) {
	return postgres.OpenExisting(ctx, b.cfg)
}

func (b postgresBackend) check() error {
	if b.cfg.SealKey.IsZero() {
		return providers.WithKey("session.seal_key", session.ErrNoSealKey)
	}
	if err := postgres.Check(b.cfg); err != nil {
		return providers.WithKey("session.store", err)
	}
	return nil
}

func (b postgresBackend) inspect(ctx context.Context) ([]string, error) {
	return postgres.Inspect(ctx, b.cfg)
}
