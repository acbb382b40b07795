package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"

	"shorepass/internal/durable"
	"shorepass/internal/tlsconf"
)

// maxKeyFile bounds a file with a private key, in bytes. It may have a
// certificate chain too.
const maxKeyFile = 1 << 20

// minRSA is the minimum size of an RSA key in bits (RFC 7518, section 3.3).
const minRSA = 2048

// keyPair is a private key with its certificate.
type keyPair struct {
	certificate *x509.Certificate
	others      []*x509.Certificate // the other certificates in its file, in their order
	key         crypto.Signer
}

// readKeyPair reads a certificate and its private key. The key selects the
// certificate in the file, so that a bundle of the old and the new root works,
// and a chain in any order. If several certificates have the key, one was
// renewed, and the one with the latest end counts. The configuration has the files at
// role+"_certificate" and role+"_key", for errors.
func readKeyPair(role, certFile, keyFile string) (*keyPair, error) {
	certificates, err := readCertificates(certFile)
	if err != nil {
		return nil, fmt.Errorf("%s_certificate: %w", role, err)
	}
	key, err := readKey(keyFile)
	if err != nil {
		return nil, fmt.Errorf("%s_key: %w", role, err)
	}
	p := &keyPair{key: key}
	for _, c := range certificates {
		if samePublicKey(c.PublicKey, key.Public()) && (p.certificate == nil || c.NotAfter.After(p.certificate.NotAfter)) {
			p.certificate = c
		}
	}
	if p.certificate == nil {
		return nil, fmt.Errorf("the key in %s is not the one of the certificate in %s; name two files that belong together in %s_certificate and %[3]s_key", keyFile, certFile, role)
	}
	p.others = slices.DeleteFunc(certificates, p.certificate.Equal)
	return p, nil
}

// readCertificates reads all certificates in a PEM file, at least one.
func readCertificates(name string) ([]*x509.Certificate, error) {
	certificates, err := tlsconf.ReadCertificates(name)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	return certificates, nil
}

// readKey reads the first private key in a PEM file.
func readKey(name string) (crypto.Signer, error) {
	data, state, err := durable.Read(name, maxKeyFile)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	blocks, err := tlsconf.DecodePEM(data)
	if err != nil {
		return nil, fmt.Errorf("read key: %s: %w", name, err)
	}
	for _, block := range blocks {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue // a certificate, or the EC PARAMETERS that openssl ecparam writes first
		}
		if err := durable.RequirePrivate(name, state); err != nil {
			return nil, fmt.Errorf("read key: %w", err)
		}
		key, err := tlsconf.ParseKey(block)
		if err == nil {
			_, err = signingMethod(key.Public())
		}
		if err != nil {
			return nil, fmt.Errorf("read key: %s: %w", name, err)
		}
		return key, nil
	}
	if len(blocks) > 0 && blocks[0].Type == "CERTIFICATE" {
		return nil, fmt.Errorf("read key: %s holds a certificate and no PEM private key; name the key's file", name)
	}
	return nil, fmt.Errorf("read key: %s holds no PEM private key", name)
}

// signingMethod returns the signing method of a key: RS256, ES256, ES384, ES512
// or EdDSA.
func signingMethod(public crypto.PublicKey) (jwt.SigningMethod, error) {
	switch public := public.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < minRSA {
			return nil, fmt.Errorf("an RSA key of %d bits is too short; make one of at least %d", public.N.BitLen(), minRSA)
		}
		return jwt.SigningMethodRS256, nil
	case *ecdsa.PublicKey:
		switch public.Curve.Params().Name {
		case "P-256":
			return es256, nil
		case "P-384":
			return es384, nil
		case "P-521":
			return es512, nil
		}
		return nil, fmt.Errorf("the curve %s signs no tokens; use P-256, P-384 or P-521", public.Curve.Params().Name)
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA, nil
	}
	return nil, fmt.Errorf("a key of type %T signs no tokens; use RSA, ECDSA or Ed25519", public)
}

func samePublicKey(a, b crypto.PublicKey) bool {
	comparable, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && comparable.Equal(b)
}

func isEd25519(c *x509.Certificate) bool { return c.PublicKeyAlgorithm == x509.Ed25519 }
