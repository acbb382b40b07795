package dockerauth

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// aclEntry is an entry with its patterns parsed.
type aclEntry struct {
	entry
	number                       int // from 1
	account, kind, name, service *pattern
	labels                       []labelCondition // sorted by label
	captures                     map[string]variable
	network                      netip.Prefix // of ip; the zero Prefix if there is none
	failed                       bool         // it has no equal, so its rules deny
}

// fieldPattern is the pattern of a field of a request.
type fieldPattern struct {
	field string // "account", "type", "name" or "service"
	*pattern
}

// patterns returns the patterns of an entry that are there, but those of labels.
func (e *aclEntry) patterns() []fieldPattern {
	all := []fieldPattern{{"account", e.account}, {"type", e.kind}, {"name", e.name}, {"service", e.service}}
	return slices.DeleteFunc(all, func(f fieldPattern) bool { return f.pattern == nil })
}

// labelCondition is a condition on one label: some value of it matches.
type labelCondition struct {
	label   string
	pattern *pattern
}

// parseEntry parses the patterns of an entry.
func parseEntry(number int, e entry) aclEntry {
	out := aclEntry{entry: e, number: number, captures: parseCaptures(&e.Match)}
	for _, f := range []struct {
		text *string
		to   **pattern
	}{{e.Match.Account, &out.account}, {e.Match.Type, &out.kind}, {e.Match.Name, &out.name}, {e.Match.Service, &out.service}} {
		if f.text != nil {
			*f.to = parsePattern(*f.text, out.captures)
		}
	}
	for _, f := range []struct {
		p    **pattern
		self variableKind
	}{{&out.account, accountName}, {&out.kind, typeName}, {&out.name, repositoryName}, {&out.service, serviceName}} {
		if (*f.p).isOnly(f.self) {
			*f.p = nil // a field is always itself
		}
	}
	for _, label := range slices.Sorted(maps.Keys(e.Match.Labels)) {
		out.labels = append(out.labels, labelCondition{label, parsePattern(e.Match.Labels[label], out.captures).withoutLabels()})
	}
	return out
}

// remark returns the comment of an entry in parentheses, to tell it in a finding.
func (e *aclEntry) remark() string {
	if e.Comment == "" {
		return ""
	}
	return " (" + e.Comment + ")"
}

// comment returns what stands above the rules of an entry.
func (e *aclEntry) comment() string {
	var parts []string
	for _, f := range fields {
		if text := e.Match.field(f); text != nil {
			parts = append(parts, fmt.Sprintf("%s %q", f, *text))
		}
	}
	for _, c := range e.labels {
		parts = append(parts, fmt.Sprintf("label %s %q", c.label, c.pattern.text))
	}
	if e.Match.IP != nil {
		parts = append(parts, fmt.Sprintf("ip %q", *e.Match.IP))
	}
	if parts == nil {
		parts = []string{"every request"}
	}
	text := fmt.Sprintf("Line %d: %s", e.Line, strings.Join(parts, ", "))
	if e.Comment != "" {
		text += "\n" + e.Comment
	}
	return text
}

// mentionsType reports whether some pattern has the type, or a capture of it.
func (e *aclEntry) mentionsType() bool {
	patterns := []*pattern{e.account, e.name, e.service}
	for _, c := range e.labels {
		patterns = append(patterns, c.pattern)
	}
	return slices.ContainsFunc(patterns, func(p *pattern) bool {
		return p != nil && slices.ContainsFunc(p.pieces, func(one piece) bool {
			return one.variable.kind == typeName || one.variable.kind == capture && one.variable.field == "type"
		})
	})
}

// usesAccount reports whether some pattern but the account's own has the account.
func (e *aclEntry) usesAccount() bool {
	return e.name.usesAccount() || e.service.usesAccount() || e.kind.usesAccount() ||
		slices.ContainsFunc(e.labels, func(c labelCondition) bool { return c.pattern.usesAccount() })
}

// checkSyntax refuses an entry with which docker_auth does not start, and reports whether
// there is none.
func (t *aclTranslation) checkSyntax(e *aclEntry) bool {
	ok := true
	for _, f := range fields {
		if text := e.Match.field(f); text != nil && isRegexp(*text) {
			if _, err := regexp.Compile((*text)[1 : len(*text)-1]); err != nil {
				t.note(e.Line, Refused, "docker_auth does not start: the regular expression of %s: %v", f, err)
				ok = false
			}
		}
	}
	if e.Match.IP != nil {
		var valid bool
		if e.network, valid = parseNetwork(*e.Match.IP); !valid {
			t.note(e.Line, Refused, "docker_auth does not start: %q is no address and no network", *e.Match.IP)
			ok = false
		}
	}
	return ok
}

// parseNetwork parses an address or a network as docker_auth does: bits of the host are
// dropped, and a mapped address is the IPv4 one.
func parseNetwork(text string) (netip.Prefix, bool) {
	if !strings.Contains(text, "/") {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
