package dockerauth

import (
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

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

// whyNever says why an entry without rules never matches.
func (t *aclTranslation) whyNever(e *aclEntry) string {
	for _, f := range []struct {
		name string
		p    *pattern
	}{{"account", e.account}, {"type", e.kind}, {"name", e.name}, {"service", e.service}} {
		if f.p == nil {
			continue
		}
		if _, ok := f.p.fill(noValue); !ok {
			return f.name + " is a broken pattern"
		}
		if unfilled.MatchString(strings.Join(f.p.texts(), "\x00")) {
			return "docker_auth does not fill in a variable of " + f.name + ", which stays as it is written"
		}
	}
	for _, c := range e.labels {
		if unfilled.MatchString(strings.Join(c.pattern.texts(), "\x00")) {
			return "docker_auth fills in neither labels nor captures that occur in labels alone"
		}
	}
	if t.kinds(e) == nil {
		return "no type of resource matches"
	}
	if why := t.whyNoPerson(e); why != "" {
		return why
	}
	return "no registry has a repository of such a name"
}

// whyNoPerson says why the conditions on the person match no person, if that is so.
func (t *aclTranslation) whyNoPerson(e *aclEntry) string {
	for _, c := range e.labels {
		if !t.labels[c.label] {
			return "no person has the label " + c.label
		}
		var s subject
		if t.label(c, &s); s.never != "" {
			return s.never
		}
	}
	if len(t.coveredPeople(e, t.kinds(e)[0][0])) > 0 || t.who.Directory {
		return ""
	}
	if e.account != nil && len(e.labels) == 0 {
		return "no account matches that can log in"
	}
	return "no person with these labels can log in"
}

// unfilled finds what looks like a variable.
var unfilled = regexp.MustCompile(`\$\{[A-Za-z]+(:[^}]*)?\}`)

// texts returns the literal parts of a pattern.
func (p *pattern) texts() []string {
	var all []string
	for _, one := range p.pieces {
		if one.variable.kind == noVariable {
			all = append(all, one.text)
		}
	}
	return all
}

// opening says at which ends a regular expression is not anchored, or "".
func (p *pattern) opening() string {
	if p == nil || !p.regexp {
		return ""
	}
	source := p.text[1 : len(p.text)-1]
	parsed, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return ""
	}
	before, after := !edge(parsed, false), !edge(parsed, true)
	switch {
	case before && after && regexp.QuoteMeta(source) == source:
		return "is a regular expression and no folder: it matches wherever the text occurs"
	case before && after:
		return "is a regular expression that matches anywhere"
	case before:
		return "is a regular expression that is open at the beginning"
	case after:
		return "is a regular expression that is open at the end"
	}
	return ""
}

// edge reports whether each text that an expression matches is anchored at its
// beginning or its end, or is explicitly open there (".*").
func edge(re *syntax.Regexp, atEnd bool) bool {
	switch re.Op {
	case syntax.OpBeginText, syntax.OpBeginLine:
		return !atEnd
	case syntax.OpEndText, syntax.OpEndLine:
		return atEnd
	case syntax.OpStar, syntax.OpPlus:
		return re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL
	case syntax.OpCapture:
		return edge(re.Sub[0], atEnd)
	case syntax.OpConcat:
		if atEnd {
			return edge(re.Sub[len(re.Sub)-1], true)
		}
		return edge(re.Sub[0], false)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !edge(sub, atEnd) })
	}
	return false
}
