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

// claimSet is the claims of an ID token or of a userinfo response. Its values are
// texts, bools, int64 and float64 numbers, lists and objects.
type claimSet map[string]any

// decodeClaims decodes a JSON object strictly: each name once at every depth. A
// name counts as it is spelled: "SUB", and "ſub" with U+017F, are other claims
// than "sub".
func decodeClaims(payload []byte) (claimSet, error) {
	// json.Valid, unlike the decoder below, bounds the depth. The decoder would
	// replace all bytes that are not UTF-8 by one character.
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
	for _, name := range booleanClaims {
		switch claims[name] {
		case "true":
			claims[name] = true
		case "false":
			claims[name] = false
		}
	}
	return claims, nil
}

// booleanClaims are claims that are booleans (OpenID Connect Core 1.0, section
// 5.1; Entra ID), and that some providers send as the texts "true" and "false".
var booleanClaims = []string{"email_verified", "phone_number_verified", "hasgroups"}

// numericDate returns a claim that is a NumericDate (RFC 7519, section 2), and
// whether it is there.
func (c claimSet) numericDate(name string) (time.Time, bool, error) {
	value, ok := c[name]
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

// checkEmail returns an error unless the email claim is one address that the same
// claim set calls verified. A person can write any other address into a profile.
func (c claimSet) checkEmail() error {
	email, _ := c["email"].(string)
	local, domain, _ := strings.Cut(email, "@")
	if local == "" || domain == "" || strings.Contains(domain, "@") || strings.ContainsFunc(email, unicode.IsSpace) {
		return reject("the claim \"email\" is not one address")
	}
	if c["email_verified"] != true {
		return reject("the claim \"email\" is not verified")
	}
	return nil
}

// claimSets are the claim sets of one person, in order of preference: the ID
// token's, then userinfo's.
type claimSets []claimSet

// find returns the first claim set that has path, and the value there.
func (c claimSets) find(path claimPath) (claimSet, any, bool) {
	for _, set := range c {
		if value, ok := path.resolve(set); ok && value != nil {
			return set, value, true
		}
	}
	return nil, nil, false
}

// overage reports whether the claim at path is incomplete: a distributed claim
// (OpenID Connect Core 1.0, section 5.6.2), or a group overage of Entra ID, which
// sends "hasgroups", or "groups:src1" with or without "groups". The address in the
// claims is never read.
func (c claimSets) overage(path claimPath) bool {
	return slices.ContainsFunc(c, func(set claimSet) bool {
		elsewhere, isObject := set["_claim_names"].(map[string]any)
		_, named := elsewhere[path[0]]
		return named || !isObject && set["_claim_names"] != nil ||
			path[0] == "groups" && !slices.Contains([]any{nil, false}, set["hasgroups"]) ||
			slices.ContainsFunc(slices.Collect(maps.Keys(set)), func(name string) bool { return strings.HasPrefix(name, path[0]+":src") })
	})
}

// obstructed reports whether path leads through a value that is not an object, so
// that the claim is not missing but unknown.
func (c claimSets) obstructed(path claimPath) bool {
	return slices.ContainsFunc(c, func(set claimSet) bool { return path.obstructed(set) })
}
