package main

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"shorepass/internal/acmecert"
	"shorepass/internal/certwatch"
	"shorepass/providers"
	"shorepass/registry"
)

// certificateInterval is how often the certificates in use are checked for their ends.
const certificateInterval = time.Hour

// inUse returns a function that returns every certificate file that a configuration uses.
// Those of tls tables are as they were read now; a signing certificate and one obtained by
// ACME are those in use at the call.
func inUse(cfg *resolvedConfig, issuer *registry.Issuer, acme *acmecert.Manager) (func() []certwatch.File, error) {
	files, err := cfg.TLSCertificates()
	if err != nil {
		return nil, err
	}
	return func() []certwatch.File {
		all := slices.Concat(issuer.Certificates(), files)
		if acme != nil {
			all = append(all, acme.Certificates()...)
		}
		return all
	}, nil
}

// checkCertificatesSoon makes watchCertificates check now.
func (d *daemon) checkCertificatesSoon() {
	select {
	case d.applied <- struct{}{}:
	default: // the watch has its signal already
	}
}

// watchCertificates logs each certificate in use that ends soon, once a threshold, until
// ctx ends. It checks every hour, and after each reload and each certificate obtained by
// ACME.
func (d *daemon) watchCertificates(ctx context.Context) {
	ticker := time.NewTicker(certificateInterval)
	defer ticker.Stop()
	var watcher certwatch.Watcher
	for {
		for _, found := range watcher.Due(certwatch.Check(d.server.Generation().Certificates(), time.Now())) {
			if found.State == certwatch.Missing {
				continue // the ACME client logs each order that fails
			}
			level := slog.LevelWarn
			if found.Fault {
				level = slog.LevelError
			}
			d.log.Log(ctx, level, "a certificate "+string(found.State), "key", found.Key, "file", found.File, "not_after", found.NotAfter.UTC().Format(time.RFC3339), "detail", found.Text)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-d.applied:
		}
	}
}

// checkCertificates adds a finding for each certificate that has ended or ends soon. The
// error joins the faults. A file that cannot be read is the fault of another check.
func (c *checkResult) checkCertificates(cfg *resolvedConfig, issuer *registry.Issuer) error {
	files, err := cfg.TLSCertificates()
	if err != nil {
		files = nil
	}
	if issuer != nil {
		files = slices.Concat(issuer.Certificates(), files)
	}
	var faults []error
	for _, found := range certwatch.Check(files, time.Now()) {
		if found.Fault {
			faults = append(faults, c.add(providers.WithKey(found.Key, errors.New(found.Text))))
			continue
		}
		c.Findings = append(c.Findings, finding{Severity: providers.SeverityWarning, Key: found.Key, Text: found.Text})
	}
	return errors.Join(faults...)
}
