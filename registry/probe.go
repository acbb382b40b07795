package registry

import (
	"errors"
	"fmt"
	"time"
)

// Probe is a probe token: it differs from an access token in one thing, so that
// a registry's answer shows which setting it has. Only the operator's check
// presents it, never a client.
type Probe struct {
	KeyOf   string // the service whose key signs
	Issuer  string // iss
	Service string // aud, which need not be configured
	Signing string // how the registry finds the key; "" as configured for KeyOf
	Forged  bool   // the signature is wrong, the key that the header names is right
}

// probeSubject is the sub of a probe, which the registry's log shows.
const probeSubject = "shorepass check"

// ErrNoProbe says that a probe cannot be made: there is no root key, or the root
// is no CA and signing is "x5c".
var ErrNoProbe = errors.New("the keys cannot sign such a probe")

// Probe returns the probe that equals the access tokens of a service, disabled
// or not. The error is ErrUnknownService.
func (i *Issuer) Probe(service string) (Probe, error) {
	s, ok := i.services[service]
	if !ok {
		return Probe{}, fmt.Errorf("%q: %w", service, ErrUnknownService)
	}
	return Probe{KeyOf: s.name, Issuer: s.issuer, Service: s.name}, nil
}

// MintProbe signs a probe that is valid a minute beyond now. It grants access, which
// should name nothing that exists. The error is ErrUnknownService, ErrNoProbe,
// ErrNoValidKey, or a fault of ours.
func (i *Issuer) MintProbe(p Probe, access []Access, now Clock) (Token, error) {
	s, ok := i.services[p.KeyOf]
	if !ok {
		return Token{}, fmt.Errorf("%q: %w", p.KeyOf, ErrUnknownService)
	}
	signer, err := s.probeSigner(p.Signing, now.Latest.Round(0))
	if err != nil {
		return Token{}, err
	}
	probe := &service{name: p.Service, lifetime: minLifetime, claims: beginClaims(p.Issuer, p.Service)}
	token, err := probe.mint(signer, probeSubject, access, Clock{now.Earliest.Round(0), now.Latest.Round(0)})
	if err == nil && p.Forged {
		token.raw = forge(token.raw)
	}
	return token, err
}

// probeSigner returns the key of the service as it signs by that way of signing.
func (s *service) probeSigner(signing string, now time.Time) (*signer, error) {
	var pair *keyPair
	switch keys := s.keys.(type) {
	case *staticKey:
		if signing == "" || signing == s.keyFiles.signing {
			return keys.signer, nil
		}
		pair = keys.pair
	case *rotatingLeaf:
		if signing == "" || signing == SigningX5C {
			return keys.current(now)
		}
		pair = keys.root
	default:
		if signing == "" || signing == SigningX5C {
			return keys.current(now)
		}
		return nil, ErrNoProbe
	}
	if signing == SigningX5C {
		leaf, err := newRotatingLeaf(pair, now)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNoProbe, err)
		}
		return leaf.current(now)
	}
	static, err := newStaticKey(pair, signing)
	if err != nil {
		return nil, err
	}
	return static.signer, nil
}

// forge changes one character of a token's signature.
func forge(raw string) string {
	b := []byte(raw)
	at := len(b) - 20
	if b[at] == 'A' {
		b[at] = 'B'
	} else {
		b[at] = 'A'
	}
	return string(b)
}
