package acmecert

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"shorepass/internal/durable"
	"shorepass/internal/tlsconf"
)

// files are the files of a directory's account. Each directory has a folder of its own, so
// that the certificate of a directory for tests does not stand in for a real one.
type files struct{ folder, account, certificate string }

func (c Config) files() files {
	name := "directory"
	if u, err := url.Parse(c.Directory); err == nil {
		name = strings.Trim(u.Host+u.Path, "/")
	}
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' {
			return r
		}
		return '_'
	}, name)
	folder := filepath.Join(c.Folder, name)
	return files{folder: folder, account: filepath.Join(folder, "account.key"), certificate: filepath.Join(folder, "certificate.pem")}
}

// maxFile bounds the files, in bytes.
const maxFile = 1 << 20

// errUnreadable means that a file does not hold what it should.
var errUnreadable = errors.New("it does not hold a private key and its certificate")

// readCertificate returns the stored certificate, or nil if there is none. The error wraps
// errUnreadable for a file that cannot be parsed.
func (f files) readCertificate() (*tls.Certificate, error) {
	data, _, err := durable.ReadSecret(f.certificate, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(data, data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %w", f.certificate, errUnreadable, err)
	}
	return &pair, nil
}

// writeCertificate stores a certificate with its chain and its key, in one file, so that
// after a crash they belong together.
func (f files) writeCertificate(chain [][]byte, key *ecdsa.PrivateKey) (*tls.Certificate, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	text.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, c := range chain {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c}))
	}
	pair, err := tls.X509KeyPair(text.Bytes(), text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("the directory's certificate: %w", err)
	}
	return &pair, durable.Replace(f.certificate, text.Bytes(), 0o600)
}

// accountKey returns the key of the account, and makes one if there is none.
func (f files) accountKey() (*ecdsa.PrivateKey, error) {
	if err := os.MkdirAll(f.folder, 0o700); err != nil {
		return nil, err
	}
	key, err := f.readAccountKey()
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, durable.Create(f.account, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

func (f files) readAccountKey() (*ecdsa.PrivateKey, error) {
	data, _, err := durable.ReadSecret(f.account, maxFile)
	if err != nil {
		return nil, err
	}
	blocks, err := tlsconf.DecodePEM(data)
	if err == nil && len(blocks) == 1 {
		if key, err := x509.ParsePKCS8PrivateKey(blocks[0].Bytes); err == nil {
			if key, ok := key.(*ecdsa.PrivateKey); ok {
				return key, nil
			}
		}
	}
	return nil, fmt.Errorf("%s does not hold an ECDSA key; move it away, and a new account is made", f.account)
}
