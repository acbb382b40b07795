package providers

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"
)

// token is what an unverified JWT (RFC 7519) says of itself. It serves to
// choose the provider that will verify it, and for nothing else.
type unverifiedJWT struct {
	issuer    string
	typ       string // the claim, not the header's: Keycloak says "Refresh" or "Offline" there
	encrypted bool   // a JWE (RFC 7516), whose claims nobody but its issuer can read
}

var errMalformedToken = errors.New("not a well-formed token")

// peek reads a secret that has the shape of a JWT. isToken is false for what
// is not a JWT at all, such as a password with two dots in it; an error is for a
// JWT that nobody should be asked about. The caller bounds the length.
func readUnverified(secret string) (t unverifiedJWT, isToken bool, err error) {
	secret = bare(secret)
	dots := strings.Count(secret, ".")
	if dots != 2 && dots != 4 {
		return unverifiedJWT{}, false, nil
	}
	parts := strings.Split(secret, ".")
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	if err != nil || !json.Valid(header) || bytes.TrimSpace(header)[0] != '{' {
		return unverifiedJWT{}, false, nil
	}
	if _, err := claims(parts[0]); err != nil {
		return unverifiedJWT{}, true, err
	}
	if dots == 4 {
		return unverifiedJWT{encrypted: true}, true, nil
	}
	payload, err := claims(parts[1])
	if err != nil {
		return unverifiedJWT{}, true, err
	}
	if t.issuer, err = text(payload, "iss"); err != nil {
		return unverifiedJWT{}, true, err
	}
	if t.typ, err = text(payload, "typ"); err != nil {
		return unverifiedJWT{}, true, err
	}
	return t, true, nil
}

// bare takes off what comes with a token that was copied from a file or a header:
// with it the token is no good, and still nothing that a directory should see.
func bare(secret string) string {
	secret = strings.TrimSpace(secret)
	if scheme, rest, ok := strings.Cut(secret, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest)
	}
	return secret
}

// claims reads one base64url part that holds a JSON object. Names count to the
// letter, as encoding/json's matching against struct fields would not, and a
// name that occurs twice is refused: which of the two the verifier takes
// cannot be known here (RFC 8725, section 2.8, and RFC 7515, section 4).
func claims(part string) (map[string]json.RawMessage, error) {
	plain, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || !utf8.Valid(plain) {
		return nil, errMalformedToken
	}
	dec := json.NewDecoder(bytes.NewReader(plain))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, errMalformedToken
	}
	found := make(map[string]json.RawMessage)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, errMalformedToken
		}
		key, _ := name.(string) // of an object the decoder gives nothing else
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, errMalformedToken
		}
		if _, twice := found[key]; twice {
			return nil, errMalformedToken
		}
		found[key] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, errMalformedToken
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errMalformedToken
	}
	return found, nil
}

// text returns a claim that is text if it is there at all.
func text(claims map[string]json.RawMessage, name string) (string, error) {
	raw, ok := claims[name]
	if !ok {
		return "", nil
	}
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil || s == nil {
		return "", errMalformedToken
	}
	return *s, nil
}
