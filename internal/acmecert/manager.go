// Package acmecert obtains the certificate of a TLS server from an ACME directory
// (RFC 8555) and replaces it in time: an account, an order for all names, a challenge for
// each, a certificate in a folder.
//
// Orders are made by [Manager.Run] alone, for the configured names. A handshake takes the
// certificate that is there, whatever name the client asks for, so that no stranger can
// cause an order. For that reason autocert, of the same module as the protocol's client,
// is not used: there a handshake orders a certificate where it has none, and one by a
// client without ECDSA orders another.
package acmecert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/acme"

	"shorepass/internal/certwatch"
)

// checkInterval is how often the time of the next order is compared with the clock, which
// may be set, or stand still while the machine sleeps.
const checkInterval = time.Minute

// Manager has the certificate of a server. It is safe for concurrent use.
type Manager struct {
	cfg     Config
	files   files
	log     *slog.Logger
	changed func() // called after the certificate was replaced
	wake    chan struct{}

	mu      sync.RWMutex // guards the fields below
	names   []string
	current *tls.Certificate            // with its leaf; nil while there is none
	proofs  map[string]*tls.Certificate // of TLS-ALPN-01 challenges, by name
	answers map[string]string           // to HTTP-01 challenges, by path
}

// Open reads the certificate that an earlier process obtained, if there is one, and uses no
// network. A file that cannot be parsed counts as none. changed is called after each
// certificate that Run obtains.
func Open(cfg Config, names []string, log *slog.Logger, changed func()) (*Manager, error) {
	m := &Manager{cfg: cfg, files: cfg.files(), log: log, changed: changed, wake: make(chan struct{}, 1),
		names: names, proofs: make(map[string]*tls.Certificate), answers: make(map[string]string)}
	var err error
	m.current, err = m.files.readCertificate()
	if errors.Is(err, errUnreadable) {
		log.Warn("the stored certificate cannot be read; another one is ordered", "file", m.files.certificate, "error", err)
		err = nil
	}
	return m, err
}

// SetNames replaces the names of the certificate. Where the current one lacks any of them,
// Run orders another.
func (m *Manager) SetNames(names []string) {
	m.mu.Lock()
	same := slices.Equal(names, m.names)
	m.names = names
	m.mu.Unlock()
	if same {
		return
	}
	select {
	case m.wake <- struct{}{}:
	default: // Run has its signal already
	}
}

// errNoCertificate fails handshakes while there is no certificate.
var errNoCertificate = errors.New("there is no certificate yet: the ACME directory has given none, and the log says why")

// GetCertificate returns the certificate for a handshake, whatever name it asks for.
func (m *Manager) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.current == nil {
		return nil, errNoCertificate
	}
	return m.current, nil
}

// IsChallenge reports whether a handshake is that of a TLS-ALPN-01 validation (RFC 8737).
// It offers that one protocol alone, and needs the configuration of [Manager.Challenge].
func IsChallenge(hello *tls.ClientHelloInfo) bool {
	return len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == acme.ALPNProto
}

// errNoChallenge fails validations that no order of this process asked for.
var errNoChallenge = errors.New("no ACME order is in progress for this name")

// Challenge returns the TLS configuration for validations. Nothing is served over such a
// connection.
func (m *Manager) Challenge() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{acme.ALPNProto},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			m.mu.RLock()
			defer m.mu.RUnlock()
			if proof := m.proofs[hello.ServerName]; proof != nil {
				return proof, nil
			}
			return nil, errNoChallenge
		},
	}
}

// Certificates returns the certificate to watch for its end. It has none while the
// directory has given none.
func (m *Manager) Certificates() []certwatch.File {
	m.mu.RLock()
	defer m.mu.RUnlock()
	file := certwatch.File{Key: "server.acme", Name: m.files.certificate, Use: certwatch.Obtained}
	if m.current != nil {
		file.Certificates = []*x509.Certificate{m.current.Leaf}
	}
	return []certwatch.File{file}
}

// Run orders certificates until ctx ends: immediately if there is none, or none with these
// names, and then when a third of a certificate's validity is left. After a failure it
// waits, see backoff.
func (m *Manager) Run(ctx context.Context) {
	var failures backoff
	for next := m.due(); ; {
		if !time.Now().Before(next) {
			next = m.attempt(ctx, &failures)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(min(time.Until(next), checkInterval)):
		case <-m.wake:
			next = m.due()
		}
	}
}

// attempt orders a certificate, and returns when the next one is due.
func (m *Manager) attempt(ctx context.Context, failures *backoff) time.Time {
	m.mu.RLock()
	names := m.names
	m.mu.RUnlock()
	leaf, err := m.obtain(ctx, names)
	if err == nil && !time.Now().Before(renewAt(leaf)) {
		err = errClock
	}
	if err == nil {
		*failures = backoff{}
		m.log.Info("obtained a certificate by ACME", "names", names, "file", m.files.certificate, "next_order", inUTC(renewAt(leaf)))
		m.changed()
	}
	if err == nil || ctx.Err() != nil {
		return m.due() // now, if the names were replaced meanwhile
	}
	wait := failures.after(err)
	attrs := []any{"directory", m.cfg.Directory, "names", names, "error", shorten(err), "retry_in", wait, "serving", "no certificate; handshakes fail"}
	if current, err := m.GetCertificate(nil); err == nil {
		attrs[len(attrs)-1] = "the certificate that ends at " + inUTC(current.Leaf.NotAfter)
	}
	m.log.Error("no certificate was obtained by ACME", attrs...)
	return time.Now().Add(wait).Round(0) // by the clock, since the machine may sleep meanwhile
}

// errClock is the error of a certificate that would have to be replaced as soon as it is
// obtained.
var errClock = refusal{errors.New("the certificate ends, by this machine's clock, before it is of use; set the clock")}

// due returns when the next certificate has to be ordered.
func (m *Manager) due() time.Time {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.current == nil || !covers(m.current.Leaf, m.names) {
		return time.Time{}
	}
	return renewAt(m.current.Leaf)
}

// renewAt returns when a certificate is to be replaced: when a third of its validity is
// left, 30 days of 90.
func renewAt(leaf *x509.Certificate) time.Time {
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / 3)
}

// covers reports whether a certificate is for all names.
func covers(leaf *x509.Certificate, names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool { return leaf.VerifyHostname(name) != nil })
}

func inUTC(t time.Time) string { return t.UTC().Format(time.RFC3339) }
