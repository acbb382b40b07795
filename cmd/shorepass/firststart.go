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

// resolvedConfig is a configuration in which it is decided where the root is kept.
type resolvedConfig struct {
	*config.Config
	ownRoot bool // the root is beside the store, and a first start makes it
}

// resolveRoot fills in where the root is kept when the configuration leaves it out:
// beside a SQLite store. Replicas on another store must be given theirs.
func resolveRoot(cfg *config.Config) (*resolvedConfig, error) {
	if configuresRoot(cfg) {
		return &resolvedConfig{Config: cfg}, nil
	}
	store, isSQLite := cfg.Session.SQLiteFile()
	if !isSQLite {
		return nil, errors.New("token.root_certificate and token.root_key must be set when the store is not SQLite: " +
			"replicas share one root; make it with: shorepass keys init --certificate RootCA.crt --key RootCA.key")
	}
	dir := filepath.Dir(store)
	cfg.Token.RootCertificate = filepath.Join(dir, rootCertificateFile)
	cfg.Token.RootKey = filepath.Join(dir, rootKeyFile)
	return &resolvedConfig{Config: cfg, ownRoot: true}, nil
}

func configuresRoot(cfg *config.Config) bool {
	return cfg.Token.RootCertificate != "" || cfg.Token.SigningCertificate != ""
}

// rootIsMissing reports whether the root is still to be made, or its
// certificate, which is so only where resolveRoot chose its place. A certificate
// without its key is an error.
func rootIsMissing(cfg *resolvedConfig) (bool, error) {
	if !cfg.ownRoot {
		return false, nil
	}
	certificate, key := cfg.Token.RootCertificate, cfg.Token.RootKey
	_, certErr := os.Stat(certificate)
	_, keyErr := os.Stat(key)
	switch {
	case errors.Is(certErr, fs.ErrNotExist) && (keyErr == nil || errors.Is(keyErr, fs.ErrNotExist)):
		return true, nil
	case errors.Is(keyErr, fs.ErrNotExist):
		return false, fmt.Errorf("%s is there and its key %s is not; put the key back, or move the certificate away to have a new root made", certificate, key)
	}
	return false, errors.Join(certErr, keyErr)
}

// makeMissingRoot makes what is still to be made of the root. A start that was killed
// in the middle of this has left the key alone.
func makeMissingRoot(cfg *resolvedConfig, log *slog.Logger) error {
	missing, err := rootIsMissing(cfg)
	if err != nil || !missing {
		return err
	}
	certificate, key := cfg.Token.RootCertificate, cfg.Token.RootKey
	if err := makeFolders(key); err != nil {
		return err
	}
	makeRoot := registry.CreateRoot
	if _, err := os.Stat(key); err == nil {
		makeRoot = registry.CreateRootCertificate
	}
	if err := makeRoot(certificate, key); err != nil {
		return err
	}
	log.Info("made a root; the registry needs its certificate as rootcertbundle", "certificate", certificate)
	return nil
}
