package ldap

import (
	"slices"
	"strings"
	"sync"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/fold"
	"shorepass/internal/lru"
)

// dnKey returns a DN in a form that is equal for all spellings of it. It uses no full
// case folding and no compatibility forms: to take two entries for one would lose a
// group.
func dnKey(dn *ldap.DN) string { return joinRDNs(rdnKeys(dn)) }

// rdnKeys returns the key of each RDN.
func rdnKeys(dn *ldap.DN) []string {
	return normalizeRDNs(dn, fold.Name)
}

// normalizeDN returns a DN with short attribute names in lower case, and only those
// characters escaped that separate its parts. Unlike [ldap.DN.String] it keeps
// letters beyond ASCII, so that case can be ignored and globs match.
func normalizeDN(dn *ldap.DN) string {
	return joinRDNs(normalizeRDNs(dn, strings.Clone))
}

func joinRDNs(rdns []string) string { return strings.Join(rdns, ",") }

// normalizeRDNs returns each RDN with its values in the given form. Several blanks
// become one, as a directory compares values (RFC 4518, section 2.6.1).
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

// shortName returns an attribute's name as DNs have it (RFC 4514, section 3), in
// lower case.
func shortName(attribute string) string {
	name := strings.ToLower(attribute)
	if short, ok := shortNames[name]; ok {
		return short
	}
	return name
}

// shortNames are the short names of attributes that have several, by the other names
// and the object identifiers (RFC 4519, section 2; RFC 4524, section 2).
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
	"surname": "sn", "2.5.4.4": "sn",
	"gn": "givenname", "2.5.4.42": "givenname",
	"rfc822mailbox": "mail", "0.9.2342.19200300.100.1.3": "mail",
	"friendlycountryname": "co", "0.9.2342.19200300.100.1.43": "co",
}

var escapeValue = strings.NewReplacer(`\`, `\\`, `,`, `\,`, `+`, `\+`)

// normalizeGroupDN returns the normalized form of a text that is a group's DN. A
// single RDN is no DN but a name with a "=" in it.
func normalizeGroupDN(text string) (string, bool) {
	dn, err := ldap.ParseDN(text)
	if err != nil || len(dn.RDNs) < 2 {
		return "", false
	}
	return normalizeDN(dn), true
}

// isDescendantText is isDescendant for a DN as text; a text that is no DN is not below
// any base.
func isDescendantText(base *ldap.DN, dn string, scope string) bool {
	parsed, err := ldap.ParseDN(dn)
	return err == nil && isDescendant(base, parsed, scope)
}

// isDescendant reports whether dn is below base: at any depth, or with scope "one"
// directly below. It compares RDNs, not text: a text with the same end may be
// another DN.
func isDescendant(base, dn *ldap.DN, scope string) bool {
	deeper := len(dn.RDNs) - len(base.RDNs)
	return deeper > 0 && (scope != scopeOne || deeper == 1) && slices.Equal(rdnKeys(dn)[deeper:], rdnKeys(base))
}

// rdnValue returns the value of the attribute in the first RDN of a DN, or "" if
// there is none or more than one.
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

// maxDNs bounds a groupDNCache.
const maxDNs = 10_000

// groupDNCache is a cache (LRU) of parsed DNs of groups: the same DNs come with every
// login. It needs no TTL, since a DN always names the same group.
type groupDNCache struct {
	base      *ldap.DN
	scope     string
	attribute string // that holds the name
	aliases   bool   // searches follow aliases, which may lead out of the base

	mu    sync.Mutex
	cache *lru.Cache[string, groupOfDN]
}

// groupOfDN is the group of a DN.
type groupOfDN struct {
	group
	outside bool // not below the base
}

// group returns the group of a DN, with its name if the DN contains it, or the zero
// group if it is not below the base. A text that is no DN gives a group without id:
// it means some group, and nothing more is known.
func (c *groupDNCache) group(text string) group {
	one := c.parse(text)
	if one.outside {
		return group{}
	}
	return one.group
}

// found is group for the DN of an entry that a search of the base found.
func (c *groupDNCache) found(dn string) group {
	if c.aliases {
		return c.parse(dn).group
	}
	return c.group(dn)
}

func (c *groupDNCache) parse(text string) groupOfDN {
	c.mu.Lock()
	one, known := c.cache.Get(text)
	c.mu.Unlock()
	if known {
		return one
	}
	dn, err := ldap.ParseDN(text)
	if err != nil {
		one.group = group{key: text, dn: text}
	} else {
		one.group = group{key: dnKey(dn), dn: text, id: normalizeDN(dn), name: rdnValue(dn, c.attribute)}
		one.outside = !isDescendant(c.base, dn, c.scope)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache.Put(text, one)
	return one
}
