package main

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"shorepass/config"
	"shorepass/registry"
)

// What a first start makes beside a SQLite store when the configuration names
// nothing else.
const (
	rootCertificateFile = "RootCA.crt"
	rootKeyFile         = "RootCA.key"
)

// settled is a configuration in which it is decided where the root is kept.
type settled struct {
	*config.Config
	ownRoot bool // the root is beside the store, and a first start makes it
}

// settle fills in where the root is kept when the configuration leaves it out:
// beside a SQLite store. Replicas on another store must be given theirs.
func settle(cfg *config.Config) (*settled, error) {
	if cfg.Token.RootCertificate != "" || cfg.Token.SigningCertificate != "" {
		return &settled{Config: cfg}, nil
	}
	store, isSQLite := cfg.Session.SQLiteFile()
	if !isSQLite {
		return nil, errors.New("token.root_certificate and token.root_key must be set when the store is not SQLite: " +
			"replicas share one root; make it with: shorepass keys init --certificate RootCA.crt --key RootCA.key")
	}
	dir := filepath.Dir(store)
	cfg.Token.RootCertificate = filepath.Join(dir, rootCertificateFile)
	cfg.Token.RootKey = filepath.Join(dir, rootKeyFile)
	return &settled{Config: cfg, ownRoot: true}, nil
}

// rootIsMissing reports whether the root is still to be made, which is so only
// where settle chose its place. One file without the other is an error.
func rootIsMissing(cfg *settled) (bool, error) {
	if !cfg.ownRoot {
		return false, nil
	}
	certificate, key := cfg.Token.RootCertificate, cfg.Token.RootKey
	_, certErr := os.Stat(certificate)
	_, keyErr := os.Stat(key)
	switch {
	case certErr == nil && keyErr == nil:
		return false, nil
	case errors.Is(certErr, fs.ErrNotExist) && errors.Is(keyErr, fs.ErrNotExist):
		return true, nil
	}
	return false, fmt.Errorf("of %s and %s one exists and the other cannot be read; put the missing one back, or move both away to have a new root made",
		certificate, key)
}

// firstStart makes the root if it is still to be made.
func firstStart(cfg *settled, log *slog.Logger) error {
	missing, err := rootIsMissing(cfg)
	if err != nil || !missing {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(cfg.Token.RootCertificate), 0o700); err != nil {
		return fmt.Errorf("make the folder of the store: %w", err)
	}
	if err := registry.CreateRoot(cfg.Token.RootCertificate, cfg.Token.RootKey); err != nil {
		return err
	}
	log.Info("made a root; the registry needs its certificate as rootcertbundle", "certificate", cfg.Token.RootCertificate)
	return nil
}
