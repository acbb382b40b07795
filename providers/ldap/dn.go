package ldap

import (
	"slices"
	"strings"
	"sync"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/fold"
	"shorepass/internal/lru"
)

// dnKey writes a DN so that two spellings of one are the same. Full folding and the
// compatibility forms are left out: to take two entries for one would lose a group.
func dnKey(dn *ldap.DN) string { return joinRDNs(rdnKeys(dn)) }

// rdnKeys returns the key of each RDN.
func rdnKeys(dn *ldap.DN) []string {
	return normalizeRDNs(dn, fold.Name)
}

// normalizeDN writes a DN with its attributes by their short names in lower case and
// nothing escaped but what would else be part of the DN. Unlike [ldap.DN.String] it
// leaves letters beyond ASCII as they are, so that case can be ignored and globs
// matched.
func normalizeDN(dn *ldap.DN) string {
	return joinRDNs(normalizeRDNs(dn, strings.Clone))
}

func joinRDNs(rdns []string) string { return strings.Join(rdns, ",") }

// normalizeRDNs writes each RDN with its values as form has them. Several blanks are
// one, as a directory compares values (RFC 4518, section 2.6.1).
func normalizeRDNs(dn *ldap.DN, form func(value string) string) []string {
	rdns := make([]string, len(dn.RDNs))
	for i, rdn := range dn.RDNs {
		var parts []string
		for _, a := range rdn.Attributes {
			parts = append(parts, shortName(a.Type)+"="+escapeValue.Replace(form(strings.Join(strings.Fields(a.Value), " "))))
		}
		slices.Sort(parts)
		rdns[i] = strings.Join(parts, "+")
	}
	return rdns
}

// shortName returns the name that DNs have for an attribute (RFC 4514, section 3),
// in lower case.
func shortName(attribute string) string {
	name := strings.ToLower(attribute)
	if short, ok := shortNames[name]; ok {
		return short
	}
	return name
}

// shortNames are the attributes that DNs are usually made of, by their other names
// and their object identifiers (RFC 4519, section 2).
var shortNames = map[string]string{
	"commonname": "cn", "2.5.4.3": "cn",
	"localityname": "l", "2.5.4.7": "l",
	"stateorprovincename": "st", "2.5.4.8": "st",
	"streetaddress": "street", "2.5.4.9": "street",
	"organizationname": "o", "2.5.4.10": "o",
	"organizationalunitname": "ou", "2.5.4.11": "ou",
	"countryname": "c", "2.5.4.6": "c",
	"domaincomponent": "dc", "0.9.2342.19200300.100.1.25": "dc",
	"userid": "uid", "0.9.2342.19200300.100.1.1": "uid",
}

var escapeValue = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`)

// normalizeGroupDN spells a text that is a DN of a group: one RDN alone is taken for a
// name with a "=" in it.
func normalizeGroupDN(text string) (string, bool) {
	dn, err := ldap.ParseDN(text)
	if err != nil || len(dn.RDNs) < 2 {
		return "", false
	}
	return normalizeDN(dn), true
}

// isDescendantText reports whether dn is below base: at any depth, or with scope
// "one" right below. They are compared as DNs: text that ends alike is not
// below.
func isDescendantText(base *ldap.DN, dn string, scope string) bool {
	parsed, err := ldap.ParseDN(dn)
	return err == nil && isDescendant(base, parsed, scope)
}

func isDescendant(base, dn *ldap.DN, scope string) bool {
	deeper := len(dn.RDNs) - len(base.RDNs)
	return deeper > 0 && (scope != scopeOne || deeper == 1) && slices.Equal(rdnKeys(dn)[deeper:], rdnKeys(base))
}

// rdnValue returns the one value of the attribute in the first component of a
// DN, or "".
func rdnValue(dn *ldap.DN, attribute string) string {
	if len(dn.RDNs) == 0 {
		return ""
	}
	value := ""
	for _, a := range dn.RDNs[0].Attributes {
		if shortName(a.Type) == shortName(attribute) {
			if value != "" {
				return ""
			}
			value = a.Value
		}
	}
	return value
}

// maxDNs bounds the cache of a dnReader.
const maxDNs = 10_000

// groupDNCache parses the DNs of groups, with an LRU cache: the same DNs come with
// every login. The cache has no TTL, since a DN always names the same group.
type groupDNCache struct {
	base      *ldap.DN
	scope     string
	attribute string // that holds the name

	mu    sync.Mutex
	cache *lru.Cache[string, group]
}

// group returns the group of a DN, its name too where the DN holds it, or the
// zero group where it is not below the base. Of a text that is no DN nothing is
// known but that it stands for a group: the group has no id.
func (r *groupDNCache) group(text string) group {
	r.mu.Lock()
	one, known := r.cache.Get(text)
	r.mu.Unlock()
	if known {
		return one
	}
	dn, err := ldap.ParseDN(text)
	switch {
	case err != nil:
		one = group{key: text, dn: text}
	case isDescendant(r.base, dn, r.scope):
		one = group{key: dnKey(dn), dn: text, id: normalizeDN(dn), name: rdnValue(dn, r.attribute)}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache.Put(text, one)
	return one
}
