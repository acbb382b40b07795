package ldap

import (
	"strings"
	"sync"

	ldap "github.com/go-ldap/ldap/v3"
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

// maxDNs is how many DNs a dnReader remembers.
const maxDNs = 10_000

// dnReader makes groups of their DNs. It remembers them, since the same come
// with every login and reading one costs more than all else about it.
type dnReader struct {
	base      *ldap.DN
	scope     string
	attribute string // that holds the name

	mu    sync.RWMutex
	known map[string]group
}

// group returns the group of a DN, its name too where the DN holds it, or the
// zero group where the text is not a DN or not below the base.
func (r *dnReader) group(text string) group {
	r.mu.RLock()
	one, known := r.known[text]
	r.mu.RUnlock()
	if known {
		return one
	}
	if dn, err := ldap.ParseDN(text); err == nil && below(r.base, dn, r.scope) {
		one = group{key: keyOf(dn), dn: text, name: valueInRDN(dn, r.attribute)}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= maxDNs {
		clear(r.known)
	}
	r.known[text] = one
	return one
}
