package ldap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	ldap "github.com/go-ldap/ldap/v3"
)

// template is a filter or DN with placeholders, such as "(uid={login})".
type template []segment

// segment is a literal text or a placeholder.
type segment struct {
	literal     string
	placeholder string // its name; "" for a literal
}

// parseTemplate parses a template. A brace that belongs to no placeholder is an error;
// a literal brace is written \7b or \7d.
func parseTemplate(text string) (template, error) {
	var t template
	for text != "" {
		open := strings.IndexAny(text, "{}")
		if open < 0 {
			return append(t, segment{literal: text}), nil
		}
		if open > 0 {
			t = append(t, segment{literal: text[:open]})
		}
		name, rest, closed := strings.Cut(text[open+1:], "}")
		switch {
		case text[open] == '}' || !closed:
			return nil, errors.New(`has a brace without its partner: write "{login}", or \7b and \7d for the characters`)
		case !isAttribute(name):
			return nil, fmt.Errorf("{%s} is not a placeholder", name)
		}
		t = append(t, segment{placeholder: name})
		text = rest
	}
	return t, nil
}

// isAttribute reports whether a text can be an attribute description (RFC 4512,
// section 2.5): a short name or a numeric OID, with options.
func isAttribute(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == ';' || r == '_')
	})
}

// placeholders returns the names of the placeholders, without repetition.
func (t template) placeholders() []string {
	var names []string
	for _, s := range t {
		if s.placeholder != "" && !slices.Contains(names, s.placeholder) {
			names = append(names, s.placeholder)
		}
	}
	return names
}

// hasOnly reports whether name is the one placeholder of the template.
func (t template) hasOnly(name string) bool { return slices.Equal(t.placeholders(), []string{name}) }

// expand replaces each placeholder by its value, escaped.
func (t template) expand(value func(name string) string, escape func(string) string) string {
	var b strings.Builder
	for _, s := range t {
		if s.placeholder == "" {
			b.WriteString(s.literal)
			continue
		}
		b.WriteString(escape(value(s.placeholder)))
	}
	return b.String()
}

// filter returns the template as a search filter (RFC 4515). Values are escaped, so
// that none changes the structure of the filter.
func (t template) filter(value func(name string) string) string {
	return t.expand(value, ldap.EscapeFilter)
}

// dn returns the template as a DN (RFC 4514).
func (t template) dn(value func(name string) string) string {
	return t.expand(value, ldap.EscapeDN)
}

// wildcardFilter returns a filter that matches every entry that the template could
// match: each placeholder is "*".
func (t template) wildcardFilter() string {
	return t.expand(func(string) string { return "*" }, func(s string) string { return s })
}

// parentOfTemplate returns the base of all DNs that a DN template makes: the RDNs after
// its last placeholder. It is "" if there are none, or if text is not a DN.
func parentOfTemplate(text string) string {
	dn, err := ldap.ParseDN(text)
	if err != nil {
		return ""
	}
	last := -1
	for i, rdn := range dn.RDNs {
		for _, a := range rdn.Attributes {
			if strings.Contains(a.Value, "{") {
				last = i
			}
		}
	}
	return (&ldap.DN{RDNs: dn.RDNs[last+1:]}).String()
}
