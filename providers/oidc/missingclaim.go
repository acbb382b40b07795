package oidc

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"shorepass/providers"
)

// missingClaim returns the rejection of a person who lacks a configured claim: it
// names the keys to change, which end with keys, and the claims that came. Names
// of claims are those of the provider's schema; the values are never printed.
func (m *claimMapper) missingClaim(path claimPath, sets claimSets, keys string) error {
	if m.cfg.usesClient() { // else no scopes are requested
		keys = fmt.Sprintf("scopes (now %s), %s", strings.Join(m.cfg.Scopes, " "), keys)
	}
	return reject("the claim %q is missing: check %s; these came: %s", path, keys, sets.names())
}

// protocolClaims are in every token, so that names leaves them out.
var protocolClaims = []string{"iss", "aud", "azp", "exp", "nbf", "iat", "jti", "nonce", "at_hash", "c_hash", "s_hash", "auth_time", "acr", "amr", "sid"}

// claimName is what the name of a claim looks like. Another text may be anything.
var claimName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.:/-]{0,63}$`)

// maxClaimNames is how many claims an error names.
const maxClaimNames = 24

// names returns the names of the claims in all sets, without those of every token,
// for messages.
func (c claimSets) names() string {
	all := map[string]bool{}
	for _, set := range c {
		for name := range set {
			if !slices.Contains(protocolClaims, name) {
				all[name] = true
			}
		}
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if claimName.MatchString(name) && len(names) < maxClaimNames {
			names = append(names, name)
		}
	}
	if others := len(all) - len(names); others > 0 {
		names = append(names, fmt.Sprintf("and %d others", others))
	}
	return strings.Join(names, ", ")
}

// reject returns a rejection by the configuration of a person that the provider
// accepted.
func reject(format string, args ...any) error {
	return providers.Reject(providers.RefusedByConfig, fmt.Errorf(format, args...))
}
