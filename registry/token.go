package registry

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

const (
	// backdate is how far iat and nbf are in the past, for a registry whose
	// clock is behind ours and that, like zot, allows no leeway.
	backdate = 10 * time.Second

	// expiryMargin is how much later than announced a token expires. docker and
	// podman use a token to its last second and do not come back after a 401.
	expiryMargin = time.Minute
)

// Token is a signed access token. It is a secret during its lifetime, and no
// way of printing shows it.
type Token struct {
	raw       string
	ID        string        // the jti claim
	ExpiresIn time.Duration // announced to the client, in whole seconds; exp is a minute later
}

// Reveal returns the signed token in its compact form.
func (t Token) Reveal() string { return t.raw }

// Format prints the token's ID in place of the token.
func (t Token) Format(w fmt.State, _ rune) { io.WriteString(w, "[redacted token "+t.ID+"]") }

// Clock is the current time with its uncertainty. Where clocks differ, a
// registry may go by any of them, and a token should be valid by each: it
// begins by the earliest and expires by the latest.
type Clock struct{ Earliest, Latest time.Time }

// At returns a Clock without skew.
func At(now time.Time) Clock { return Clock{now, now} }

// Mint signs a token that grants access on service, from now on. subject is the
// sub claim: the user name, empty without credentials. The error is
// ErrUnknownService, ErrDisabled, ErrNoValidKey, or a fault of ours.
func (i *Issuer) Mint(service, subject string, access []Access, now Clock) (Token, error) {
	s, err := i.enabled(service)
	if err != nil {
		return Token{}, err
	}
	// Round drops the monotonic clock, which stops while a machine sleeps;
	// certificates go by the wall clock.
	now = Clock{now.Earliest.Round(0), now.Latest.Round(0)}
	signer, err := s.keys.current(now.Latest)
	if err != nil {
		return Token{}, fmt.Errorf("mint for %q: %w", service, err)
	}
	return s.mint(signer, subject, access, now)
}

// mint signs a token of the service with that key.
func (s *service) mint(signer *signer, subject string, access []Access, now Clock) (Token, error) {
	if err := signer.checkValidity(now.Latest); err != nil {
		return Token{}, fmt.Errorf("mint for %q: %w", s.name, err)
	}
	announced, expiry := s.validity(signer, now.Latest)
	id := rand.Text()
	var buf [1024]byte
	claims := s.appendClaims(buf[:0], tokenClaims{subject, now.Earliest.Add(-backdate), expiry, id, access})
	raw, err := signer.sign(claims)
	if err != nil {
		return Token{}, fmt.Errorf("mint for %q: %w", s.name, err)
	}
	return Token{raw: raw, ID: id, ExpiresIn: announced}, nil
}

// validity returns the announced lifetime and the expiry of a token. Near the
// end of the certificate both are shorter, because a registry refuses a token
// that outlives it without saying why. No less than a minute is announced,
// because clients treat less as a minute.
func (s *service) validity(signer *signer, now time.Time) (announced time.Duration, expiry time.Time) {
	announced, expiry = s.lifetime, now.Add(s.lifetime+expiryMargin)
	if !signer.certified || !expiry.After(signer.notAfter) {
		return announced, expiry
	}
	expiry = signer.notAfter
	announced = expiry.Sub(now).Truncate(time.Second) - expiryMargin
	return max(announced, minLifetime), expiry
}

// sign returns the token with those claims in its compact form (RFC 7515,
// section 3.1). The token is written into one buffer, whose beginning is the
// signing input.
func (s *signer) sign(claims []byte) (string, error) {
	var token strings.Builder
	var buf [1536]byte
	payload := base64.RawURLEncoding.AppendEncode(buf[:0], claims)
	token.Grow(len(s.header) + len(payload) + len(".") + base64.RawURLEncoding.EncodedLen(es256Signature))
	token.WriteString(s.header)
	token.Write(payload)
	signature, err := s.method.Sign(token.String(), s.key)
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	token.WriteByte('.')
	token.Write(base64.RawURLEncoding.AppendEncode(buf[:0], signature))
	return token.String(), nil
}

// es256Signature is the length of an ES256 signature in bytes (RFC 7518,
// section 3.4).
const es256Signature = 64

// tokenClaims are the claims that differ between tokens of one service.
type tokenClaims struct {
	subject   string    // sub
	notBefore time.Time // nbf and iat
	expiry    time.Time // exp
	id        string    // jti
	access    []Access
}

// appendClaims appends the claims as JSON. It is written by hand: with
// encoding/json for claims and header a token costs 13 µs besides its
// signature, in this way 5. The access claim is a list even if it is empty,
// never null.
func (s *service) appendClaims(b []byte, c tokenClaims) []byte {
	b = append(b, s.claims...)
	b = appendText(b, c.subject)
	notBefore := c.notBefore.Unix()
	b = append(b, `,"exp":`...)
	b = strconv.AppendInt(b, c.expiry.Unix(), 10)
	b = append(b, `,"nbf":`...)
	b = strconv.AppendInt(b, notBefore, 10)
	b = append(b, `,"iat":`...)
	b = strconv.AppendInt(b, notBefore, 10)
	b = append(b, `,"jti":`...)
	b = appendText(b, c.id)
	b = append(b, `,"access":[`...)
	for i, a := range c.access {
		if i > 0 {
			b = append(b, ',')
		}
		b = a.appendJSON(b)
	}
	return append(b, `]}`...)
}

func (a Access) appendJSON(b []byte) []byte {
	b = append(b, `{"type":`...)
	b = appendText(b, a.Type)
	if a.Class != "" {
		b = append(b, `,"class":`...)
		b = appendText(b, a.Class)
	}
	b = append(b, `,"name":`...)
	b = appendText(b, a.Name)
	b = append(b, `,"actions":[`...)
	for i, action := range a.Actions {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, action)
	}
	return append(b, `]}`...)
}

// appendText appends s as a JSON string. encoding/json writes what is not plain
// ASCII.
func appendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			text, err := json.Marshal(s)
			if err != nil {
				panic("registry: encoding/json cannot write a string: " + err.Error())
			}
			return append(b, text...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
