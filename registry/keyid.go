package registry

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// jwk is a public key as a JSON Web Key (RFC 7517). The fields up to Y are the
// required members in the order of their names, as RFC 7638 hashes them; the
// optional members follow.
type jwk struct {
	Crv string `json:"crv,omitempty"`
	E   string `json:"e,omitempty"`
	Kty string `json:"kty"`
	N   string `json:"n,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`

	Alg string `json:"alg,omitempty"`
	Use string `json:"use,omitempty"`
	Kid string `json:"kid,omitempty"`

	X5C [][]byte `json:"x5c,omitempty"` // in standard base64 (RFC 7517, section 4.7), as encoding/json writes bytes
}

// newJWK returns a key that signingMethod accepts, with the required members
// alone (RFC 7638, section 3.2).
func newJWK(public crypto.PublicKey) (jwk, error) {
	encode := base64.RawURLEncoding.EncodeToString
	switch public := public.(type) {
	case *rsa.PublicKey:
		return jwk{Kty: "RSA", E: encode(big.NewInt(int64(public.E)).Bytes()), N: encode(public.N.Bytes())}, nil
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, then X and Y in full length (RFC 7518, section 6.2.1.2)
		if err != nil {
			return jwk{}, fmt.Errorf("encode public key: %w", err)
		}
		half := len(point) / 2
		return jwk{Kty: "EC", Crv: public.Curve.Params().Name, X: encode(point[1 : 1+half]), Y: encode(point[1+half:])}, nil
	case ed25519.PublicKey:
		return jwk{Kty: "OKP", Crv: "Ed25519", X: encode(public)}, nil
	}
	return jwk{}, fmt.Errorf("encode public key: unknown type %T", public)
}

// thumbprint returns the SHA-256 thumbprint of a key (RFC 7638), the kid of
// distribution 3.
func thumbprint(public crypto.PublicKey) (string, error) {
	key, err := newJWK(public)
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(key)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// libtrustKeyID returns the libtrust key id, the kid of distribution 2.8:
// SHA-256 of the public key in DER, cut to 240 bits, in base32, with a colon
// after each four letters.
func libtrustKeyID(public crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return "", fmt.Errorf("encode public key: %w", err)
	}
	sum := sha256.Sum256(der)
	text := base32.StdEncoding.EncodeToString(sum[:30])
	var groups []string
	for ; text != ""; text = text[4:] {
		groups = append(groups, text[:4])
	}
	return strings.Join(groups, ":"), nil
}

// keyID returns the kid of a key with that signing: libtrust's, else the thumbprint.
func keyID(public crypto.PublicKey, signing string) (string, error) {
	if signing == SigningLibtrust {
		return libtrustKeyID(public)
	}
	return thumbprint(public)
}

// jwk returns the public key of a signer as a JSON Web Key, with its certificates.
func (s *signer) jwk(signing string) (jwk, error) {
	key, err := newJWK(s.key.Public())
	if err != nil {
		return jwk{}, err
	}
	key.Alg, key.Use = s.method.Alg(), "sig"
	for _, c := range s.chain {
		key.X5C = append(key.X5C, c.Raw)
	}
	key.Kid, err = keyID(s.key.Public(), signing)
	return key, err
}

// marshalKeySet returns a JSON Web Key Set (RFC 7517, section 5).
func marshalKeySet(keys []jwk) ([]byte, error) {
	if keys == nil {
		keys = []jwk{}
	}
	text, err := json.MarshalIndent(map[string][]jwk{"keys": keys}, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(text, '\n'), nil
}
