package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"

	"shorepass/internal/acmecert"
	"shorepass/providers"
)

// resolveACME fills in the folder of [server.acme] where the configuration names none: it
// is beside a SQLite store.
func resolveACME(cfg *resolvedConfig) error {
	if !cfg.Server.ACME.Enabled() || cfg.Server.ACME.Folder != "" {
		return nil
	}
	store, isSQLite := cfg.Session.SQLiteFile()
	if !isSQLite {
		return errors.New("server.acme.folder must be set when the store is not SQLite: it has the account's key and the certificate; " +
			"with more than one replica, have the load balancer obtain the certificate instead")
	}
	cfg.Server.ACME.Folder = filepath.Join(filepath.Dir(store), "acme")
	return nil
}

// openACME reads the certificate that an earlier process obtained by ACME.
func (d *daemon) openACME(cfg *resolvedConfig) error {
	if !cfg.Server.ACME.Enabled() {
		return nil
	}
	var err error
	if d.acme, err = acmecert.Open(cfg.Server.ACME, cfg.Server.CertificateNames(), d.log, d.checkCertificatesSoon); err != nil {
		return asConfigError(nameKeys(providers.WithKey("server.acme.folder", err)))
	}
	return nil
}

// runACME orders certificates, and answers HTTP-01 challenges, until ctx ends.
func (d *daemon) runACME(ctx context.Context, cfg *resolvedConfig) (*sync.WaitGroup, error) {
	running := new(sync.WaitGroup)
	if d.acme == nil {
		return running, nil
	}
	if address := cfg.Server.ACME.ListenHTTP; address != "" {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return nil, asFileError(nameKeys(providers.WithKey("server.acme.listen_http", err)))
		}
		running.Go(func() {
			if err := d.acme.Serve(ctx, listener); err != nil {
				d.log.Error("ACME challenges are not answered any more", "address", address, "error", err)
			}
		})
	}
	running.Go(func() { d.acme.Run(ctx) })
	return running, nil
}

// serverTLS returns the TLS configuration of the listener, nil for plain HTTP.
func (d *daemon) serverTLS(cfg *resolvedConfig) (*tls.Config, error) {
	if d.acme != nil {
		return cfg.Server.TLS.ServerWith(d.acme.GetCertificate)
	}
	return cfg.Server.TLS.Server()
}

// checkACME adds what serve would do about the certificate by ACME. The error is a fault of
// its files.
func (c *checkResult) checkACME(cfg *resolvedConfig) error {
	if !cfg.Server.ACME.Enabled() {
		return nil
	}
	c.ACME = &partResult{Name: cfg.Server.ACME.Directory, Kind: "acme"}
	plan, err := cfg.Server.ACME.Check(cfg.Server.CertificateNames())
	if err != nil {
		return c.add(providers.WithKey("server.acme", err))
	}
	c.ACME.Findings = append(c.ACME.Findings, providers.Infof("%s", plan))
	return nil
}

// askACME adds what the ACME directory says of itself.
func (c *checkResult) askACME(ctx context.Context, cfg *resolvedConfig) error {
	if c.ACME == nil {
		return nil
	}
	answer, err := cfg.Server.ACME.AskDirectory(ctx)
	if err == nil {
		c.ACME.Findings = append(c.ACME.Findings, providers.Infof("%s", answer))
		return nil
	}
	key := "server.acme.directory"
	if errors.Is(err, acmecert.ErrExternalAccount) {
		key = "server.acme.external_account"
	}
	c.ACME.Findings = append(c.ACME.Findings, providers.Faultf(key, "%v", err))
	return fmt.Errorf("%s: %w", key, err)
}
