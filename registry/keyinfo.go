package registry

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"shorepass/internal/durable"
)

// KeyInfo describes the key behind the tokens of services, without any secret.
type KeyInfo struct {
	Services    []string  `json:"services"`    // in the order of the configuration
	Signing     string    `json:"signing"`     // "x5c", "kid" or "libtrust"
	Signs       string    `json:"signs"`       // what signs the tokens
	Algorithm   string    `json:"algorithm"`   // of the tokens' signatures: "ES256"
	Certificate string    `json:"certificate"` // its file
	SHA256      string    `json:"sha256"`      // of that file, as sha256sum prints it, to compare a copy with
	Subject     string    `json:"subject"`
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"fingerprint"` // SHA-256 of the certificate, as openssl x509 -fingerprint prints it
	KeyID       string    `json:"key_id"`      // of the certificate's key: RFC 7638, or libtrust's with signing = "libtrust"
}

// Keys describes the keys of all services, each key once, in the order of the
// configuration.
func (i *Issuer) Keys() ([]KeyInfo, error) {
	var all []KeyInfo
	at := make(map[keyFiles]int)
	for _, name := range i.names {
		s := i.services[name]
		if n, seen := at[s.keyFiles]; seen {
			all[n].Services = append(all[n].Services, name)
			continue
		}
		info, err := s.keyInfo()
		if err != nil {
			return nil, fmt.Errorf("keys of service %q: %w", name, err)
		}
		at[s.keyFiles] = len(all)
		all = append(all, info)
	}
	return all, nil
}

func (s *service) keyInfo() (KeyInfo, error) {
	info := KeyInfo{Services: []string{s.name}, Signing: SigningX5C, Certificate: s.keyFiles.rootCertificate}
	var c *x509.Certificate
	switch keys := s.keys.(type) {
	case *staticKey:
		c, info.Signing, info.Algorithm = keys.pair.certificate, s.keyFiles.signing, keys.signer.method.Alg()
		info.Signs = "the key of this certificate"
	case *rotatingLeaf:
		c, info.Algorithm = keys.root.certificate, keys.leaf.Load().signer.method.Alg()
		info.Signs = "a leaf under this root, made in memory every day"
	case *reloadingLeaf:
		leaf := keys.leaf.Load()
		c, info.Algorithm = leaf.chain[0], leaf.method.Alg()
		info.Signs, info.Certificate = "the key of this leaf", s.keyFiles.signingCertificate
	}
	var err error
	if info.KeyID, err = keyID(c.PublicKey, info.Signing); err != nil {
		return KeyInfo{}, err
	}
	file, _, err := durable.Read(info.Certificate, maxKeyFile)
	if err != nil {
		return KeyInfo{}, err
	}
	sum := sha256.Sum256(file)
	info.SHA256, info.Fingerprint = hex.EncodeToString(sum[:]), fingerprint(c)
	info.Subject, info.NotBefore, info.NotAfter = c.Subject.String(), c.NotBefore.UTC(), c.NotAfter.UTC()
	return info, nil
}

// fingerprint returns the SHA-256 of a certificate: "AB:CD:…".
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}
