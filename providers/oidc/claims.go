package oidc

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	strictjson "github.com/go-jose/go-jose/v4/json" // refuses repeated names, and tells names apart by case
)

// document is a set of claims as one answer of the provider had them: an ID
// token's or userinfo's. Texts, bools, int64 and float64 numbers, lists and
// objects are what it holds.
type claimSet map[string]any

// decodeClaims reads a JSON object strictly: each name once at every depth, and
// no name that only looks like one of watched. "SUB", and "ſub" with U+017F,
// are what a decoder that folds case would take for "sub".
func decodeClaims(payload []byte, protectedNames []string) (claimSet, error) {
	// Valid, unlike the decoder below, bounds the depth. Bytes that are not
	// UTF-8 would all be decoded to one and the same character.
	if !utf8.Valid(payload) || !json.Valid(payload) {
		return nil, errors.New("its claims are not JSON")
	}
	var claims claimSet
	decoder := strictjson.NewDecoder(strings.NewReader(string(payload)))
	decoder.SetNumberType(strictjson.UnmarshalIntOrFloat)
	if err := decoder.Decode(&claims); err != nil {
		return nil, errors.New("its claims are not a JSON object with each name once")
	}
	if claims == nil {
		return nil, errors.New("its claims are not a JSON object")
	}
	for name := range claims {
		for _, meant := range protectedNames {
			if name != meant && strings.EqualFold(name, meant) {
				return nil, fmt.Errorf("one of its claims only looks like %q", meant)
			}
		}
	}
	return claims, nil
}

// registered are the claims that are looked at whatever the config says.
var builtinClaims = []string{
	"iss", "sub", "aud", "azp", "exp", "nbf", "iat", "auth_time",
	"email", "email_verified", "typ", "scope", "scp", "token_use", "events", "_claim_names", "hasgroups",
}

// time returns a NumericDate (RFC 7519, section 2).
func (d claimSet) numericDate(name string) (time.Time, bool, error) {
	value, ok := d[name]
	if !ok {
		return time.Time{}, false, nil
	}
	var seconds int64
	switch n := value.(type) {
	case int64:
		seconds = n
	case float64:
		seconds = int64(min(max(n, -1), 1<<40))
	default:
		return time.Time{}, false, fmt.Errorf("its %s is not a number", name)
	}
	if seconds < 0 || seconds >= 1<<40 {
		return time.Time{}, false, fmt.Errorf("its %s is not a time", name)
	}
	return time.Unix(seconds, 0), true, nil
}

// checkEmail says whether the email claim counts: it is one address, and this
// very document calls it verified. An account can write any other address into its profile.
func (d claimSet) checkEmail() error {
	email, _ := d["email"].(string)
	local, domain, _ := strings.Cut(email, "@")
	if local == "" || domain == "" || strings.Contains(domain, "@") || strings.ContainsFunc(email, unicode.IsSpace) {
		return reject("the claim \"email\" is not one address")
	}
	if verified := d["email_verified"]; verified != true && verified != "true" { // some write it as text
		return reject("the claim \"email\" is not verified")
	}
	return nil
}

// documents are what the provider said of one person, the best first: the ID
// token's claims, userinfo's.
type claimSets []claimSet

// find returns the first document that has path, and what is there.
func (d claimSets) find(path claimPath) (claimSet, any, bool) {
	for _, set := range d {
		if value, ok := path.resolve(set); ok && value != nil {
			return set, value, true
		}
	}
	return nil, nil, false
}

// missing rejects a person who lacks a configured claim.
func (d claimSets) missing(path claimPath) error {
	return reject("the claim %q is missing", path)
}

// overage reports whether the provider says that groups are to be had elsewhere
// (OpenID Connect Core 1.0, section 5.6.2), or, as Entra ID does, that there are
// more than a token holds: "hasgroups", and "groups:src1" beside "groups". The
// groups elsewhere are not fetched.
func (d claimSets) overage(path claimPath) bool {
	return slices.ContainsFunc(d, func(set claimSet) bool {
		elsewhere, isObject := set["_claim_names"].(map[string]any)
		_, named := elsewhere[path[0]]
		return named || !isObject && set["_claim_names"] != nil ||
			path[0] == "groups" && !slices.Contains([]any{nil, false, "false"}, set["hasgroups"]) ||
			slices.ContainsFunc(slices.Collect(maps.Keys(set)), func(name string) bool { return strings.HasPrefix(name, path[0]+":src") })
	})
}

// obstructed reports whether a value that is no object stands where a path leads
// on, so that the claim is not missing but unknown.
func (d claimSets) obstructed(path claimPath) bool {
	return slices.ContainsFunc(d, func(set claimSet) bool { return path.obstructed(set) })
}
