package ldap

import (
	"strings"
	"unicode/utf8"

	ldap "github.com/go-ldap/ldap/v3"
)

// entry is an entry that a search found.
type entry struct {
	dn         string
	names      *attributeNames
	attributes map[string][][]byte // by attributeNames.key
}

func newEntry(found *ldap.Entry, names *attributeNames) entry {
	e := entry{dn: found.DN, names: names, attributes: make(map[string][][]byte, len(found.Attributes))}
	for _, a := range found.Attributes {
		if key := names.key(a.Name); len(a.ByteValues) > 0 {
			e.attributes[key] = mergeValues(e.attributes[key], a.ByteValues)
		}
	}
	return e
}

// mergeValues returns the values of an attribute that a server sends in parts, or once
// under each of its names that were asked for. Values are a set (RFC 4512, section 2.2).
func mergeValues(all, more [][]byte) [][]byte {
	if len(all) == 0 {
		return more
	}
	seen := make(map[string]bool, len(all))
	for _, v := range all {
		seen[string(v)] = true
	}
	for _, v := range more {
		if !seen[string(v)] {
			all = append(all, v)
		}
	}
	return all
}

// values returns all values of an attribute, by any of its names, unchanged.
func (e entry) values(name string) [][]byte { return e.attributes[e.names.key(name)] }

// only returns the entry with some of its attributes.
func (e entry) only(names []string) entry {
	some := entry{dn: e.dn, names: e.names, attributes: make(map[string][][]byte, len(names))}
	for _, name := range names {
		if values := e.values(name); len(values) > 0 {
			some.attributes[e.names.key(name)] = values
		}
	}
	return some
}

// nameValue returns the value of an attribute that names the entry: the only value, or
// of several the one in the entry's RDN (RFC 4512, section 2.3.1). ok is false if there
// is none. Other values, which people may be able to add themselves, do not count.
func (e entry) nameValue(name string) (value string, ok bool) {
	values := e.values(name)
	if len(values) == 1 {
		return string(values[0]), true
	}
	var inRDN []string
	if dn, err := ldap.ParseDN(e.dn); err == nil && len(dn.RDNs) > 0 {
		for _, part := range dn.RDNs[0].Attributes {
			for _, v := range values {
				if e.names.key(part.Type) == e.names.key(name) && nameKey(string(v)) == nameKey(part.Value) {
					inRDN = append(inRDN, string(v))
				}
			}
		}
	}
	if len(inRDN) != 1 {
		return "", false
	}
	return inRDN[0], true
}

// texts returns the values of an attribute that are UTF-8.
func (e entry) texts(name string) []string {
	var texts []string
	for _, v := range e.values(name) {
		if utf8.Valid(v) {
			texts = append(texts, string(v))
		}
	}
	return texts
}

// text returns the first value of an attribute, or "".
func (e entry) text(name string) string {
	if v := e.values(name); len(v) > 0 {
		return string(v[0])
	}
	return ""
}

// has reports whether the attribute has a value in the entry.
func (e entry) has(name string) bool { return len(e.values(name)) > 0 }

// isTrue reports whether a boolean attribute is true (RFC 4517, section 3.3.3; 389
// Directory Server writes it in lower case).
func (e entry) isTrue(name string) bool { return strings.EqualFold(e.text(name), "TRUE") }
