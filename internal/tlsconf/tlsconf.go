// Package tlsconf is the tls table of the configuration, for the server, each
// provider and the store. It reads the certificates that the table names.
package tlsconf

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"shorepass/internal/certwatch"
	"shorepass/internal/durable"
)

// Config is a tls table.
type Config struct {
	// Certificate is the certificate to present, with its chain, a PEM file.
	Certificate string `toml:"certificate" path:"read"`

	// Key is the certificate's private key, a PEM file.
	Key string `toml:"key" path:"read"`

	// CA is a PEM file of the certificate authorities to trust instead of the
	// system's. In the server's table they issue client certificates, and every
	// client must present one.
	CA string `toml:"ca" path:"read"`

	// ServerName is the name to verify in the peer's certificate, if it is not
	// the host in the URL.
	ServerName string `toml:"server_name"`
}

// maxFile bounds a PEM file, in bytes. A system's bundle of authorities has a
// quarter of that.
const maxFile = 1 << 20

// Validate reports the faults of the table. It reads no files.
func (c Config) Validate(fault func(key, problem string)) {
	if (c.Certificate == "") != (c.Key == "") {
		fault("tls", "certificate and key go together; name both or neither")
	}
}

// Client returns the TLS configuration of a client, and reads the files that
// the table names. The minimum is TLS 1.2, and the peer is always verified.
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

// Server returns the TLS configuration of a server, or nil without a
// certificate. If CA is set, clients must present a certificate that it
// issued (mutual TLS).
func (c Config) Server() (*tls.Config, error) {
	if c.Certificate == "" {
		return nil, nil
	}
	return c.server()
}

// ServerWith is [Config.Server] for a server whose certificates come from get, and not
// from the table's files.
func (c Config) ServerWith(get func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (*tls.Config, error) {
	cfg, err := c.server()
	if err != nil {
		return nil, err
	}
	cfg.GetCertificate = get
	return cfg, nil
}

func (c Config) server() (*tls.Config, error) {
	cfg, err := c.Client()
	if err != nil {
		return nil, err
	}
	if cfg.RootCAs != nil {
		cfg.ClientCAs, cfg.ClientAuth, cfg.RootCAs = cfg.RootCAs, tls.RequireAndVerifyClientCert, nil
	}
	return cfg, nil
}

// Files returns the certificate files that the table names, under the key of the table,
// to watch for their ends.
func (c Config) Files(key string) ([]certwatch.File, error) {
	var files []certwatch.File
	for _, f := range []certwatch.File{
		{Key: key + ".certificate", Name: c.Certificate, Use: certwatch.Chain},
		{Key: key + ".ca", Name: c.CA, Use: certwatch.Authorities},
	} {
		if f.Name == "" {
			continue
		}
		var err error
		if f.Certificates, err = ReadCertificates(f.Name); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Key, err)
		}
		files = append(files, f)
	}
	return files, nil
}

// readPair reads a certificate with its chain, and its key.
func readPair(certFile, keyFile string) (tls.Certificate, error) {
	certificate, _, err := durable.Read(certFile, maxFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, state, err := durable.Read(keyFile, maxFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	// The types of the files come first: a certificate in place of the key needs another
	// name and no chmod.
	if err := checkPair(certFile, certificate, keyFile, key); err != nil {
		return tls.Certificate{}, err
	}
	if err := durable.RequirePrivate(keyFile, state); err != nil {
		return tls.Certificate{}, err
	}
	chain, err := parseCertificates(certificate, certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	var clean []byte // the chain without the text between blocks
	for _, c := range chain {
		clean = append(clean, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	pair, err := tls.X509KeyPair(clean, key)
	if err == nil {
		return pair, nil
	}
	if problem := keyProblem(key); problem != "" {
		return tls.Certificate{}, fmt.Errorf("%s %s", keyFile, problem)
	}
	return tls.Certificate{}, fmt.Errorf("%s and %s: %w; the certificate of the key comes first, and then its chain", certFile, keyFile, err)
}

// keyProblem returns why a file is no usable PEM private key, as the end of a sentence,
// or "". It quotes nothing of the file.
func keyProblem(text []byte) string {
	blocks, err := DecodePEM(text)
	if err != nil {
		return "cannot be read: " + err.Error()
	}
	for _, block := range blocks {
		switch {
		case !strings.HasSuffix(block.Type, "PRIVATE KEY"):
		case block.Type == "ENCRYPTED PRIVATE KEY", strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED"):
			return "is encrypted: write it without a password with openssl pkey"
		default:
			return ""
		}
	}
	if problem := otherFormat(text, "KEY"); strings.HasPrefix(problem, "is DER") {
		return "is DER, not PEM: convert it with openssl pkey"
	} else if problem != "" {
		return problem
	}
	return "holds no PEM private key"
}

// checkPair returns an error where a file has PEM blocks of the other's type alone.
func checkPair(certFile string, certificate []byte, keyFile string, key []byte) error {
	isKey := holdsKey(certificate) && !holdsCertificate(certificate)
	isCertificate := holdsCertificate(key) && !holdsKey(key)
	switch {
	case isKey && isCertificate:
		return fmt.Errorf("%s holds a private key and %s a certificate; swap the two", certFile, keyFile)
	case isKey:
		return fmt.Errorf("%s holds a private key and no certificate; name the certificate's file", certFile)
	case isCertificate:
		return fmt.Errorf("%s holds a certificate and no private key; name the key's file", keyFile)
	}
	return nil
}

func holdsKey(data []byte) bool { return bytes.Contains(data, []byte("PRIVATE KEY-----")) }

func holdsCertificate(data []byte) bool {
	return bytes.Contains(data, []byte("-----BEGIN CERTIFICATE-----"))
}

// ReadCertificates returns every certificate in a PEM file, at least one. A
// certificate that cannot be parsed is an error, and so are a malformed PEM block and
// one that holds certificates in another form: an authority that is skipped silently
// would be missed only when it is needed. Blocks of other types are skipped.
func ReadCertificates(name string) ([]*x509.Certificate, error) {
	data, _, err := durable.Read(name, maxFile)
	if err != nil {
		return nil, err
	}
	return parseCertificates(data, name)
}

// parseCertificates returns every certificate in the content of a PEM file.
func parseCertificates(data []byte, name string) ([]*x509.Certificate, error) {
	blocks, err := DecodePEM(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var all []*x509.Certificate
	for _, block := range blocks {
		if problem := blockProblem(block, name); problem != "" {
			return nil, fmt.Errorf("%s holds a PEM block %q, and not only certificates: %s", name, block.Type, problem)
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", name, len(all)+1, err)
		}
		all = append(all, c)
	}
	if len(all) > 0 {
		return all, nil
	}
	if holdsKey(data) {
		return nil, fmt.Errorf("%s holds a private key and no PEM certificate; name the certificate's file", name)
	}
	switch problem := otherFormat(data, name); {
	case problem != "":
		return nil, fmt.Errorf("%s holds no PEM certificate: it %s", name, problem)
	case len(blocks) > 0:
		return nil, fmt.Errorf("%s holds no PEM certificate, but a PEM block %q", name, blocks[0].Type)
	}
	return nil, fmt.Errorf("%s holds no PEM certificate", name)
}
