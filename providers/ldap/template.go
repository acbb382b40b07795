package ldap

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	ldap "github.com/go-ldap/ldap/v3"
)

// template is a filter or DN with placeholders, "(uid={login})".
type template []segment

// segment is a text that stands for itself, or the name of what takes its place.
type segment struct {
	literal     string
	placeholder string // of the placeholder; "" where text stands for itself
}

// parseTemplate reads a text. A brace that is not one of a placeholder is an
// error: whoever means the character writes \7b or \7d.
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

// isAttribute reports whether name can name an attribute (RFC 4512, section
// 2.5): a short name or a numeric OID, with options.
func isAttribute(name string) bool {
	return name != "" && len(name) <= 128 && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '.' || r == ';' || r == '_')
	})
}

// placeholders returns the placeholders, each once.
func (t template) placeholders() []string {
	var names []string
	for _, p := range t {
		if p.placeholder != "" && !slices.Contains(names, p.placeholder) {
			names = append(names, p.placeholder)
		}
	}
	return names
}

// hasOnly reports whether name is a placeholder here, and there is no other.
func (t template) hasOnly(name string) bool { return slices.Equal(t.placeholders(), []string{name}) }

// expand puts what value says, escaped, in the place of each placeholder.
func (t template) expand(value func(name string) string, escape func(string) string) string {
	var b strings.Builder
	for _, p := range t {
		if p.placeholder == "" {
			b.WriteString(p.literal)
			continue
		}
		b.WriteString(escape(value(p.placeholder)))
	}
	return b.String()
}

// filter makes a filter (RFC 4515). A value never becomes more than a value.
func (t template) filter(value func(name string) string) string {
	return t.expand(value, ldap.EscapeFilter)
}

// dn makes a DN (RFC 4514).
func (t template) dn(value func(name string) string) string {
	return t.expand(value, ldap.EscapeDN)
}

// presenceFilter makes the filter that whoever the template could find matches: each
// placeholder is any value.
func (t template) presenceFilter() string {
	return t.expand(func(string) string { return "*" }, func(s string) string { return s })
}

// parentOfTemplate returns what is below all placeholders of a DN
// template: the base under which all its DNs are. It is "" where there is
// none, or the template is none.
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
