package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"shorepass/internal/durable"
)

// rootYears is the lifetime of a root. It is long, because a new root has to be
// given to every registry.
const rootYears = 10

// CreateRoot makes a root for [Config.RootCertificate] and [Config.RootKey]: an
// ECDSA P-256 CA for ten years. Registries get the certificate as
// rootcertbundle. Only its owner can read the key. A file that exists is never
// overwritten; the error is then fs.ErrExist, and no file is left.
func CreateRoot(certFile, keyFile string) error {
	for _, name := range []string{certFile, keyFile} {
		if _, err := os.Lstat(name); err == nil {
			return fmt.Errorf("make root: %s: %w; move it away first if registries may forget it", name, fs.ErrExist)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make root: %w", err)
		}
	}
	key, err := generateRootKey(func() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) })
	if err != nil {
		return fmt.Errorf("make root: %w", err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("make root: %w", err)
	}
	if err := durable.Create(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		return fmt.Errorf("make root: %w", err)
	}
	if err := writeRootCertificate(certFile, key, time.Now()); err != nil {
		return errors.Join(fmt.Errorf("make root: %w", err), os.Remove(keyFile))
	}
	return nil
}

// CreateRootCertificate makes the certificate for a root key that exists. A
// [CreateRoot] that is killed between its two files leaves the key alone. A
// registry that has an older certificate of the key accepts tokens signed under
// the new one.
func CreateRootCertificate(certFile, keyFile string) error {
	key, err := readKey(keyFile)
	if err != nil {
		return fmt.Errorf("make root certificate: %w", err)
	}
	if err := writeRootCertificate(certFile, key, time.Now()); err != nil {
		return fmt.Errorf("make root certificate: %w", err)
	}
	return nil
}

// writeRootCertificate writes a self-signed CA certificate of key.
func writeRootCertificate(certFile string, key crypto.Signer, now time.Time) error {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "shorepass token root"},
		NotBefore:             now.Add(-24 * time.Hour), // so that the first leaf can be backdated
		NotAfter:              now.AddDate(rootYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	return durable.Create(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

// generateRootKey generates keys until neither X nor Y begins with a zero byte,
// which one key of 128 does. Distribution 3 leaves such bytes out of its
// thumbprint, against RFC 7638, and would never find the key by the right kid.
func generateRootKey(generate func() (*ecdsa.PrivateKey, error)) (*ecdsa.PrivateKey, error) {
	for {
		key, err := generate()
		if err != nil {
			return nil, err
		}
		point, err := key.PublicKey.Bytes() // 4, X, Y
		if err != nil {
			return nil, err
		}
		if point[1] != 0 && point[1+len(point)/2] != 0 {
			return key, nil
		}
	}
}
