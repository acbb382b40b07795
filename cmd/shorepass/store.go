package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"shorepass/session"
	"shorepass/session/postgres"
	"shorepass/session/sqlite"
	"shorepass/throttle"
)

// store keeps what replicas share: sessions, and what the throttle counts.
type store interface {
	session.Store
	throttle.CounterStore
}

// openStore opens the store that the configuration names.
func openStore(ctx context.Context, cfg *settled) (store, error) {
	if cfg.Session.IsPostgres() {
		return postgres.Open(ctx, cfg.Session)
	}
	file, err := storeFile(cfg)
	if err != nil {
		return nil, err
	}
	return sqlite.Open(ctx, file)
}

// storeFile is the file of a SQLite store.
func storeFile(cfg *settled) (string, error) {
	file, isSQLite := cfg.Session.SQLiteFile()
	if !isSQLite {
		return "", errors.New("session.store is neither sqlite:FILE nor postgres://…")
	}
	return file, nil
}

func storeKind(cfg *settled) string {
	if cfg.Session.IsPostgres() {
		return "postgres"
	}
	return "sqlite"
}

// checkStore holds the store against what can be known of it without the
// network, and the sealing key that lies beside it.
func checkStore(cfg *settled) error {
	if cfg.Session.IsPostgres() {
		if cfg.Session.SealKey.IsZero() {
			return session.ErrNoSealKey
		}
		return postgres.Check(cfg.Session)
	}
	file, err := storeFile(cfg)
	if err != nil {
		return err
	}
	exists, err := sqlite.Check(file)
	if err != nil || !cfg.Session.SealKey.IsZero() {
		return err
	}
	return session.CheckKeyBeside(filepath.Dir(file), exists)
}

// lookAtStore says what is in the store, and changes nothing there.
func lookAtStore(ctx context.Context, cfg *settled) ([]string, error) {
	if cfg.Session.IsPostgres() {
		return postgres.Look(ctx, cfg.Session)
	}
	file, err := storeFile(cfg)
	if err != nil {
		return nil, err
	}
	exists, err := sqlite.Check(file)
	switch {
	case err != nil:
		return nil, err
	case !exists:
		return []string{fmt.Sprintf("%s does not exist; serve makes it", file)}, nil
	}
	return []string{file + " exists"}, nil
}
