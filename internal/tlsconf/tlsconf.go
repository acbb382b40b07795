// Package tlsconf is the tls table of the configuration, the same for the
// server, each provider and the store, and reads the certificates that it names.
package tlsconf

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"shorepass/internal/durable"
)

// Config is a tls table.
type Config struct {
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

// maxFile bounds a PEM file, in bytes. A system's whole bundle of authorities
// has a quarter of it.
const maxFile = 1 << 20

// Validate reports what is wrong with the table. It reads no files.
func (c Config) Validate(fault func(key, problem string)) {
	if (c.Certificate == "") != (c.Key == "") {
		fault("tls", "certificate and key go together; name both or neither")
	}
}

// Client returns the configuration for connecting to a peer, reading the files
// that the table names. TLS 1.2 is the least, and the peer is always verified.
func (c Config) Client() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		authorities, err := ReadCertificates(c.CA)
		if err != nil {
			return nil, fmt.Errorf("read tls.ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		for _, a := range authorities {
			cfg.RootCAs.AddCert(a)
		}
	}
	if c.Certificate != "" {
		pair, err := readPair(c.Certificate, c.Key)
		if err != nil {
			return nil, fmt.Errorf("read tls.certificate and tls.key: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg, nil
}

// Server returns the configuration for listening, or nil when no certificate
// is set. With CA set, clients must show a certificate of it.
func (c Config) Server() (*tls.Config, error) {
	if c.Certificate == "" {
		return nil, nil
	}
	cfg, err := c.Client()
	if err != nil {
		return nil, err
	}
	if cfg.RootCAs != nil {
		cfg.ClientCAs, cfg.ClientAuth, cfg.RootCAs = cfg.RootCAs, tls.RequireAndVerifyClientCert, nil
	}
	return cfg, nil
}

func readPair(certFile, keyFile string) (tls.Certificate, error) {
	certificate, _, err := durable.Read(certFile, maxFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, _, err := durable.ReadSecret(keyFile, maxFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(certificate, key)
}

// ReadCertificates returns every certificate in a PEM file, at least one. A
// certificate that cannot be parsed is an error, and so is text that begins like
// a PEM block and is none: an authority that is left out without a word is found
// when it is needed. Blocks of other types are skipped.
func ReadCertificates(name string) ([]*x509.Certificate, error) {
	data, _, err := durable.Read(name, maxFile)
	if err != nil {
		return nil, err
	}
	blocks, err := DecodePEM(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var all []*x509.Certificate
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s holds no PEM certificate; a DER one is converted with openssl x509 -inform der", name)
	}
	return all, nil
}
