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
// that a registry would check has ended or not begun. The client gets 503.
var ErrNoValidKey = errors.New("no key can sign now")

// keySource has the key that signs now. Its methods are safe for concurrent use.
type keySource interface {
	// current returns the key to sign with at that time. It may be one whose
	// certificate is not valid then; [signer.checkValidity] says so.
	current(now time.Time) (*signer, error)

	// verificationKey returns the key that must have signed a token which came with
	// leaf as the first certificate in its x5c, nil for one without. No key
	// but those known here and the leaf's own, once it is certified by one of
	// them, is trusted or even tried.
	verificationKey(leaf *x509.Certificate, now time.Time) (crypto.PublicKey, error)

	// end returns when the first of the certificates ends that somebody has
	// to renew, or the zero Time where registries look at none.
	end() time.Time
}

// signer is a private key and the header that makes a registry find its public
// one. It never changes.
type signer struct {
	header string // of the token, encoded, with the dot after it
	method jwt.SigningMethod
	key    crypto.Signer

	// Between these times the certificates in the header are valid, where
	// there are some. Registries allow them no leeway.
	certified bool
	chain     []*x509.Certificate // as sent, leaf first
	notBefore time.Time
	notAfter  time.Time
}

// joseHeader is the header of a token (RFC 7515, section 4.1).
type joseHeader struct {
	Alg string   `json:"alg"`
	Typ string   `json:"typ"`
	Kid string   `json:"kid,omitempty"`
	X5C [][]byte `json:"x5c,omitempty"` // JSON writes bytes in standard base64, just as section 4.1.6 has it
}

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

// newCertifiedSigner returns a signer that sends chain as x5c, leaf first. It is
// valid while each of chain and of above, which is not sent, is.
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

// checkValidity returns ErrNoValidKey when registries would refuse the certificates.
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

// staticKey is a configured key that signs itself, named by a kid.
type staticKey struct {
	kid    string
	signer *signer
}

// newStaticKey names the key as signing says. Of its certificate only the key
// counts: no registry looks at the dates of one that it finds by kid.
func newStaticKey(key crypto.Signer, signing string) (*staticKey, error) {
	name := thumbprint
	if signing == SigningLibtrust {
		name = libtrustKeyID
	}
	kid, err := name(key.Public())
	if err != nil {
		return nil, err
	}
	only, err := newSigner(key, joseHeader{Kid: kid})
	if err != nil {
		return nil, err
	}
	return &staticKey{kid: kid, signer: only}, nil
}

func (o *staticKey) current(time.Time) (*signer, error) { return o.signer, nil }
func (o *staticKey) end() time.Time                     { return time.Time{} }

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
