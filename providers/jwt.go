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

// unverifiedJWT has claims of a JWT (RFC 7519) whose signature was not verified. They
// serve to choose the provider that will verify the token, and for nothing else.
type unverifiedJWT struct {
	issuer    string
	typ       string // the claim, not the header's: Keycloak says "Refresh" or "Offline" there
	encrypted bool   // a JWE (RFC 7516), whose claims only the issuer can read
}

var errMalformedToken = errors.New("not a well-formed token")

// readUnverified decodes a secret that has the form of a JWT. isToken is false for a secret
// that is no JWT, such as a password with two dots. The error is of a malformed JWT, which
// no provider should see. The caller bounds the length.
func readUnverified(secret string) (t unverifiedJWT, isToken bool, err error) {
	secret = trimToken(secret)
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

// trimToken removes the blanks and the scheme that come with a token that was copied from
// a file or a header. The token is invalid with them, and still no directory should see it.
func trimToken(secret string) string {
	secret = strings.TrimSpace(secret)
	if scheme, rest, ok := strings.Cut(secret, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest)
	}
	return secret
}

// claims decodes a base64url part that holds a JSON object. Names are compared exactly,
// unlike encoding/json does with struct fields. A name that occurs twice is refused, since
// the verifier may take either value (RFC 8725, section 2.8, and RFC 7515, section 4).
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
		key, _ := name.(string) // the names of an object are strings
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

// text returns the claim name, "" where it is absent. A claim that is not a text is an
// error.
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
