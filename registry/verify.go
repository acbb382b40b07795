package registry

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// ErrNotOurToken says that this issuer did not make a token, or that the token
// is not valid now.
var ErrNotOurToken = errors.New("not a valid token of ours")

const (
	// maxToken bounds a token to verify, in bytes: no client reads a longer
	// answer.
	maxToken = 64 << 10

	// leeway is what distribution allows the times of a token, though not those
	// of a certificate.
	leeway = time.Minute
)

// Claims are the registered claims of a verified access token (RFC 7519,
// section 4.1). Its access entries are not among them.
type Claims struct {
	Service  string    // aud
	Issuer   string    // iss
	Subject  string    // sub; empty for an anonymous request
	ID       string    // jti
	IssuedAt time.Time // iat; the zero Time if the token has none
	Expires  time.Time // exp
}

// Verify verifies a token as its registry does, and returns its claims. The
// error is ErrNotOurToken, with empty claims, unless this issuer, or a replica
// of the same configuration, made the token for a service that is configured
// and not disabled, and it is valid at now.
//
// The token's aud alone selects the service, and so the key and the algorithm.
// Of the header only x5c is used, as described at [keySource].
func (i *Issuer) Verify(token string, now time.Time) (Claims, error) {
	if len(token) > maxToken {
		return Claims{}, fmt.Errorf("%w: longer than %d bytes", ErrNotOurToken, maxToken)
	}
	now = now.Round(0)
	parser := jwt.NewParser(jwt.WithStrictDecoding(), jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(),
		jwt.WithLeeway(leeway), jwt.WithTimeFunc(func() time.Time { return now }))
	var claims jwt.RegisteredClaims
	_, err := parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		s, err := i.serviceOf(&claims)
		if err != nil {
			return nil, err
		}
		return s.selectKey(t, now)
	})
	if err != nil {
		return Claims{}, fmt.Errorf("%w: %v", ErrNotOurToken, err)
	}
	verified := Claims{
		Service: claims.Audience[0], Issuer: claims.Issuer, Subject: claims.Subject, ID: claims.ID,
		Expires: claims.ExpiresAt.Time,
	}
	if claims.IssuedAt != nil {
		verified.IssuedAt = claims.IssuedAt.Time
	}
	return verified, nil
}

// serviceOf returns the service that a token's claims, not verified yet, name.
func (i *Issuer) serviceOf(claims *jwt.RegisteredClaims) (*service, error) {
	if len(claims.Audience) != 1 {
		return nil, fmt.Errorf("aud has %d entries", len(claims.Audience))
	}
	s, err := i.enabled(claims.Audience[0])
	if err != nil {
		return nil, err
	}
	if claims.Issuer != s.issuer {
		return nil, errors.New("iss is another issuer")
	}
	return s, nil
}

// selectKey returns the key to verify t with. The type of the key determines
// the algorithm; the header must agree and selects nothing.
func (s *service) selectKey(t *jwt.Token, now time.Time) (crypto.PublicKey, error) {
	leaf, err := x5cLeaf(t.Header)
	if err != nil {
		return nil, err
	}
	key, err := s.keys.verificationKey(leaf, now)
	if err != nil {
		return nil, err
	}
	method, err := signingMethod(key)
	if err != nil {
		return nil, err
	}
	if t.Method.Alg() != method.Alg() {
		return nil, fmt.Errorf("alg is not %s", method.Alg())
	}
	return key, nil
}

// x5cLeaf returns the first certificate of x5c (RFC 7515, section 4.1.6), or
// nil without x5c. It does not parse the others: signatures are verified only
// with keys that are known already, since a stranger's key could be so long
// that one verification takes seconds.
func x5cLeaf(header map[string]any) (*x509.Certificate, error) {
	sent, ok := header["x5c"]
	if !ok {
		return nil, nil
	}
	chain, _ := sent.([]any)
	if len(chain) == 0 {
		return nil, errors.New("x5c is not a list of certificates")
	}
	text, _ := chain[0].(string)
	der, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("decode x5c: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("parse x5c: %w", err)
	}
	return leaf, nil
}

var errNoX5C = errors.New("there is no x5c")

// verificationKey accepts any leaf that the root has certified: each replica
// has its own, and this process had others before.
func (l *rotatingLeaf) verificationKey(leaf *x509.Certificate, now time.Time) (crypto.PublicKey, error) {
	if leaf == nil {
		return nil, errNoX5C
	}
	if _, err := verifyChain([]*x509.Certificate{leaf}, []*x509.Certificate{l.root.certificate}, now); err != nil {
		return nil, err
	}
	return leaf.PublicKey, nil
}

// verificationKey accepts any leaf under the roots, through the intermediates
// of the current one. Without a configured root it accepts only the current
// leaf.
func (l *reloadingLeaf) verificationKey(leaf *x509.Certificate, now time.Time) (crypto.PublicKey, error) {
	if leaf == nil {
		return nil, errNoX5C
	}
	current, err := l.current(now)
	if err != nil {
		return nil, err
	}
	if len(l.roots) == 0 {
		if !leaf.Equal(current.chain[0]) {
			return nil, errors.New("x5c is not the certificate in use")
		}
		return leaf.PublicKey, current.checkValidity(now)
	}
	chain := append([]*x509.Certificate{leaf}, current.chain[1:]...)
	if _, err := verifyChain(chain, l.roots, now); err != nil {
		return nil, err
	}
	return leaf.PublicKey, nil
}

// verificationKey returns the key itself, whatever x5c has.
func (k *staticKey) verificationKey(*x509.Certificate, time.Time) (crypto.PublicKey, error) {
	return k.signer.key.Public(), nil
}
