package registry

import (
	"errors"
	"time"
)

// ErrUnknownService says that a request names a service that is not served,
// or none where several are. The client gets 400.
var ErrUnknownService = errors.New("unknown service")

// Token is a signed access token. It is a secret while it lives.
type Token struct {
	raw       string
	ID        string        // the jti claim
	ExpiresIn time.Duration // what the client is told; exp is a minute later
}

// Reveal returns the signed token in its compact form.
func (t Token) Reveal() string { return t.raw }

// Issuer mints the tokens of every service. It is safe for concurrent use.
type Issuer struct{}

// NewIssuer reads the key files that cfg and services name. It makes no file:
// Config.RootCertificate and RootKey must exist (see [CreateRoot]).
func NewIssuer(cfg Config, services []Service) (*Issuer, error) {
	return nil, nil
}

// Service returns the name of the service that a request means: asked itself,
// or the only one configured where asked is empty. Otherwise the error is
// ErrUnknownService.
func (i *Issuer) Service(asked string) (string, error) { return "", nil }

// Mint signs a token that grants access on service to subject, which is empty
// for somebody without credentials.
func (i *Issuer) Mint(service, subject string, access []Access) (Token, error) {
	return Token{}, nil
}

// Expiry returns the time until the soonest end of a root or signing
// certificate, for metrics and alarms.
func (i *Issuer) Expiry(now time.Time) time.Duration { return 0 }
