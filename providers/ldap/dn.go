package ldap

import (
	"strings"

	ldap "github.com/go-ldap/ldap/v3"
)

// keyOf writes a DN so that two spellings of one are the same.
func keyOf(dn *ldap.DN) string { return strings.ToLower(dn.String()) }

// under reports whether dn stands below base: at any depth, or with scope
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
