package oidc

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	jose "github.com/go-jose/go-jose/v4"
)

const (
	maxKeys    = 64   // in one set; the largest known has about ten
	minRSABits = 2048 // RFC 7518, section 3.3
)

// publicKey is a published key that can verify ID tokens.
type publicKey struct {
	key any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	kid string // "" if it has none
	alg string // the only algorithm that it is for; "" for any that fits its type
}

// unusableKey is a published key that cannot verify ID tokens.
type unusableKey struct {
	name    string // its kid, or its place in the set
	reason  string
	foreign bool // it is meant for something else, such as encryption
}

func (k unusableKey) String() string { return k.name + " " + k.reason }

// otherPurpose is the reason of an unusableKey that is meant for something else.
type otherPurpose string

func (p otherPurpose) Error() string { return string(p) }

// parseKeys returns the keys of a JWK set (RFC 7517, section 5) that can verify
// an ID token, and those that cannot: a provider may publish keys for encryption,
// or of future types.
func parseKeys(body []byte) ([]publicKey, []unusableKey, error) {
	set, err := decodeMembers(body)
	var list []json.RawMessage
	if err != nil || json.Unmarshal(set["keys"], &list) != nil {
		return nil, nil, errors.New("the answer is not a key set")
	}
	if len(list) > maxKeys {
		return nil, nil, fmt.Errorf("the set has %d keys, more than %d", len(list), maxKeys)
	}
	var usable []publicKey
	var unusable []unusableKey
	for i, raw := range list {
		jwk, err := decodeMembers(raw)
		if err != nil {
			unusable = append(unusable, unusableKey{name: keyName("", i), reason: "is not a JSON object"})
			continue
		}
		key, err := parseKey(jwk)
		if err != nil {
			_, foreign := errors.AsType[otherPurpose](err)
			unusable = append(unusable, unusableKey{keyName(jwk.text("kid"), i), err.Error(), foreign})
			continue
		}
		usable = append(usable, key)
	}
	return usable, unusable, nil
}

// keyName names the key at index i of a set for people.
func keyName(kid string, i int) string {
	if kid == "" {
		return fmt.Sprintf("the key at index %d, without a kid,", i)
	}
	return "the key " + printable(kid)
}

// parseKey returns the key in a JWK (RFC 7517, section 4; RFC 7518, section 6;
// RFC 8037). It reads only the members that it needs, so that a defect of another
// one (x5c, x5t, x5u) does not matter. The error says what the key is, as a
// predicate.
func parseKey(jwk members) (publicKey, error) {
	if err := checkPurpose(jwk); err != nil {
		return publicKey{}, err
	}
	needed, err := json.Marshal(map[string]string{
		"kty": jwk.text("kty"), "crv": jwk.text("crv"),
		"n": jwk.text("n"), "e": jwk.text("e"), "x": jwk.text("x"), "y": jwk.text("y"),
	})
	if err != nil {
		return publicKey{}, err
	}
	var parsed jose.JSONWebKey
	switch err := parsed.UnmarshalJSON(needed); {
	case errors.Is(err, jose.ErrUnsupportedKeyType):
		return publicKey{}, otherPurpose(fmt.Sprintf("is of the unknown type %s", printable(strings.TrimSpace(jwk.text("kty")+" "+jwk.text("crv")))))
	case err != nil || !parsed.Valid():
		return publicKey{}, fmt.Errorf("is malformed: its %s do not make a key", keyMembers(jwk.text("kty")))
	}
	if public, ok := parsed.Key.(*rsa.PublicKey); ok && public.N.BitLen() < minRSABits {
		return publicKey{}, fmt.Errorf("is too short: RSA of %d bits, less than %d", public.N.BitLen(), minRSABits)
	}
	return publicKey{parsed.Key, jwk.text("kid"), jwk.text("alg")}, nil
}

// keyMembers returns the members that make a key of a type.
func keyMembers(kty string) string {
	switch kty {
	case "RSA":
		return "n and e"
	case "EC":
		return "crv, x and y"
	case "OKP":
		return "crv and x"
	}
	return "members"
}

// checkPurpose refuses a key that is not for signatures, and one that is secret:
// published, a private or symmetric key no longer is.
func checkPurpose(jwk members) error {
	kty, use, alg := jwk.text("kty"), jwk.text("use"), jwk.text("alg")
	_, private := jwk["d"]
	operations := jwk.texts("key_ops")
	switch {
	case kty == "":
		return errors.New("has no kty")
	case kty == "oct":
		return errors.New("is symmetric, so it should not be published")
	case private:
		return errors.New("is private, so it should not be published")
	case use != "" && use != "sig":
		return otherPurpose(fmt.Sprintf("is not for signatures: its use is %s", printable(use)))
	case len(operations) > 0 && !slices.Contains(operations, "verify") && !slices.Contains(operations, "sign"):
		return otherPurpose(fmt.Sprintf("is not for signatures: its key_ops are %s", printableList(operations)))
	case alg != "" && !slices.Contains(asymmetricAlgorithms, alg) && alg != ed25519Algorithm:
		return otherPurpose(fmt.Sprintf("is for another algorithm: its alg is %s", printable(alg)))
	}
	return nil
}

// ed25519Algorithm is the name that RFC 9864 gives to EdDSA with Ed25519.
const ed25519Algorithm = "Ed25519"

// fits reports whether the key can verify signatures of an algorithm.
func (k publicKey) fits(alg string) bool {
	if k.alg != "" && k.alg != alg && (k.alg != ed25519Algorithm || alg != "EdDSA") {
		return false
	}
	switch k.key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return strings.HasPrefix(alg, "ES")
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}

// noUsableKey returns the error for a set in which no key can verify an ID token.
func noUsableKey(unusable []unusableKey) error {
	if len(unusable) == 0 {
		return errors.New("the set is empty, so no ID token can be verified")
	}
	var reasons []string
	for _, key := range unusable[:min(len(unusable), maxNamedKeys)] {
		reasons = append(reasons, key.String())
	}
	if len(unusable) > maxNamedKeys {
		reasons = append(reasons, fmt.Sprintf("and %d more", len(unusable)-maxNamedKeys))
	}
	return fmt.Errorf("none of its %d keys can verify an ID token: %s", len(unusable), strings.Join(reasons, "; "))
}

// maxNamedKeys is how many unusable keys an error or the log names.
const maxNamedKeys = 8
