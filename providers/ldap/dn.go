package ldap

import (
	"strings"
	"sync"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/lru"
)

// keyOf writes a DN so that two spellings of one are the same.
func keyOf(dn *ldap.DN) string { return strings.ToLower(dn.String()) }

// under reports whether dn is below base: at any depth, or with scope
// "one" right below. They are compared as DNs: text that ends alike is not
// below.
func under(base *ldap.DN, dn string, scope string) bool {
	parsed, err := ldap.ParseDN(dn)
	return err == nil && below(base, parsed, scope)
}

func below(base, dn *ldap.DN, scope string) bool {
	return base.AncestorOfFold(dn) && (scope != scopeOne || len(dn.RDNs) == len(base.RDNs)+1)
}

// valueInRDN returns the value of the attribute in the first component of a
// DN, or "".
func valueInRDN(dn *ldap.DN, attribute string) string {
	if len(dn.RDNs) == 0 {
		return ""
	}
	for _, a := range dn.RDNs[0].Attributes {
		if strings.EqualFold(a.Type, attribute) {
			return a.Value
		}
	}
	return ""
}

// maxDNs bounds the cache of a dnReader.
const maxDNs = 10_000

// dnReader parses the DNs of groups, with an LRU cache: the same DNs come with
// every login. The cache has no TTL, since a DN always names the same group.
type dnReader struct {
	base      *ldap.DN
	scope     string
	attribute string // that holds the name

	mu    sync.Mutex
	known *lru.Cache[string, group]
}

// group returns the group of a DN, its name too where the DN holds it, or the
// zero group where the text is not a DN or not below the base.
func (r *dnReader) group(text string) group {
	r.mu.Lock()
	one, known := r.known.Get(text)
	r.mu.Unlock()
	if known {
		return one
	}
	if dn, err := ldap.ParseDN(text); err == nil && below(r.base, dn, r.scope) {
		one = group{key: keyOf(dn), dn: text, name: valueInRDN(dn, r.attribute)}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known.Put(text, one)
	return one
}
