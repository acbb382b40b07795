package registry

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ErrNoValidKey says that no token can be signed now, because the certificate
// that a registry would verify has expired or is not valid yet. The client gets
// 503.
var ErrNoValidKey = errors.New("no key can sign now")

// keySource has the key that signs now. Its methods are safe for concurrent
// use.
type keySource interface {
	// current returns the key to sign with at that time. Its certificate may be
	// invalid then; [signer.checkValidity] says so.
	current(now time.Time) (*signer, error)

	// verificationKey returns the public key to verify a token with. leaf is
	// the first certificate of its x5c, or nil. Only the keys known here, and
	// the key of a leaf that is certified under them, are trusted or even
	// tried.
	verificationKey(leaf *x509.Certificate, now time.Time) (crypto.PublicKey, error)
}

// signer is a private key and the header by which a registry finds the public
// key. It is immutable.
type signer struct {
	header string // the token's header, encoded, with the dot after it
	method jwt.SigningMethod
	key    crypto.Signer

	// Validity of the certificates in the header, if there are any. Registries
	// allow them no leeway.
	certified bool                // the header has certificates
	chain     []*x509.Certificate // in the order of x5c, leaf first
	notBefore time.Time
	notAfter  time.Time
}

// joseHeader is the header of a token (RFC 7515, section 4.1).
type joseHeader struct {
	Alg string   `json:"alg"`
	Typ string   `json:"typ"`
	Kid string   `json:"kid,omitempty"`
	X5C [][]byte `json:"x5c,omitempty"` // in standard base64 (section 4.1.6), as encoding/json writes bytes
}

// newSigner returns a signer without certificates.
func newSigner(key crypto.Signer, header joseHeader) (*signer, error) {
	method, err := signingMethod(key.Public())
	if err != nil {
		return nil, err
	}
	header.Alg, header.Typ = method.Alg(), "JWT"
	text, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	return &signer{header: base64.RawURLEncoding.EncodeToString(text) + ".", method: method, key: key}, nil
}

// newCertifiedSigner returns a signer that sends chain as x5c, leaf first. It
// is valid while each certificate of chain and of above is; above is not sent.
func newCertifiedSigner(key crypto.Signer, chain, above []*x509.Certificate) (*signer, error) {
	var header joseHeader
	for _, c := range chain {
		header.X5C = append(header.X5C, c.Raw)
	}
	s, err := newSigner(key, header)
	if err != nil {
		return nil, err
	}
	s.certified, s.chain = true, chain
	s.notBefore, s.notAfter = chain[0].NotBefore, chain[0].NotAfter
	for _, c := range append(chain[1:len(chain):len(chain)], above...) {
		s.notBefore, s.notAfter = later(s.notBefore, c.NotBefore), earlier(s.notAfter, c.NotAfter)
	}
	return s, nil
}

// checkValidity returns ErrNoValidKey if registries would refuse the
// certificates at that time.
func (s *signer) checkValidity(now time.Time) error {
	switch {
	case !s.certified:
	case now.Before(s.notBefore):
		return fmt.Errorf("%w: the certificate is valid only from %s on", ErrNoValidKey, s.notBefore.UTC().Format(time.RFC3339))
	case !now.Before(s.notAfter):
		return fmt.Errorf("%w: the certificate ended at %s", ErrNoValidKey, s.notAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// staticKey is a configured key that signs tokens itself, named by a kid.
type staticKey struct {
	signer *signer
	pair   *keyPair
}

// newStaticKey returns the key with the kid of that signing. Its certificate
// does not matter: registries do not check the dates of a key that they find by
// kid.
func newStaticKey(pair *keyPair, signing string) (*staticKey, error) {
	kid, err := keyID(pair.key.Public(), signing)
	if err != nil {
		return nil, err
	}
	only, err := newSigner(pair.key, joseHeader{Kid: kid})
	if err != nil {
		return nil, err
	}
	return &staticKey{signer: only, pair: pair}, nil
}

func (k *staticKey) current(time.Time) (*signer, error) { return k.signer, nil }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
