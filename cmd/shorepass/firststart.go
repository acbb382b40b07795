package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"shorepass/config"
	"shorepass/providers"
	"shorepass/registry"
)

// Files that a first start makes in the folder of a SQLite store, unless the
// configuration names a root.
const (
	rootCertificateFile = "RootCA.crt"
	rootKeyFile         = "RootCA.key"
)

// resolvedConfig is a configuration in which the files of the root are known.
type resolvedConfig struct {
	*config.Config
	ownRoot bool // the root is in the folder of the store, and a first start makes it
}

// resolveRoot fills in the files of the root where the configuration names none: in the
// folder of a SQLite store. With another store they must be configured, since replicas
// share one root.
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
	cfg.AddFiles(cfg.Token.RootCertificate, cfg.Token.RootKey)
	return &resolvedConfig{Config: cfg, ownRoot: true}, nil
}

func configuresRoot(cfg *config.Config) bool {
	return cfg.Token.RootCertificate != "" || cfg.Token.SigningCertificate != ""
}

// rootIsMissing reports whether makeMissingRoot has to make the root or its certificate,
// which it does only for files that resolveRoot chose. A certificate without its key is
// an error.
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
		return false, fmt.Errorf("%s exists and its key %s does not; put the key back, or move the certificate away to have a new root made", certificate, key)
	}
	if err := cmp.Or(certErr, keyErr); err != nil {
		return false, providers.WithKey("session.store", err) // which is beside them
	}
	return false, nil
}

// makeMissingRoot makes the root if it is missing, or only its certificate, if an earlier
// start was killed after it had made the key. It is idempotent.
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
	cfg.AddFiles(certificate, key) // or the watch would take the new files for a change
	log.Info("made a root certificate; the registry needs it as rootcertbundle", "file", certificate)
	return nil
}
