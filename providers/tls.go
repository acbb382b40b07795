package providers

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// TLS is the tls table, the same on the server, each provider and the store.
type TLS struct {
	// Certificate is a PEM file: the certificate to show, and its chain.
	Certificate string `toml:"certificate" path:"read"`

	// Key is the certificate's private key, a PEM file.
	Key string `toml:"key" path:"read"`

	// CA is a PEM file of the authorities to trust instead of the system's.
	CA string `toml:"ca" path:"read"`

	// ServerName is the name that the peer's certificate must have, where it
	// is not the host in the URL.
	ServerName string `toml:"server_name"`
}

// Client returns the configuration for connecting to a peer, reading the files
// it names. TLS 1.2 is the least, and the peer is always verified.
func (t TLS) Client() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, fmt.Errorf("read tls.ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read tls.ca: %s holds no PEM certificate", t.CA)
		}
	}
	if t.Certificate != "" {
		pair, err := tls.LoadX509KeyPair(t.Certificate, t.Key)
		if err != nil {
			return nil, fmt.Errorf("read tls.certificate and tls.key: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// Server returns the configuration for listening, or nil when no certificate
// is set. With CA set, clients must show a certificate of it.
func (t TLS) Server() (*tls.Config, error) {
	if t.Certificate == "" {
		return nil, nil
	}
	cfg, err := t.Client()
	if err != nil {
		return nil, err
	}
	if cfg.RootCAs != nil {
		cfg.ClientCAs, cfg.ClientAuth, cfg.RootCAs = cfg.RootCAs, tls.RequireAndVerifyClientCert, nil
	}
	return cfg, nil
}
