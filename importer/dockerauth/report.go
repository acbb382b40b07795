package dockerauth

import (
	"net/netip"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
)

// report says what is easily misread in an entry, and what our rules do in another way.
func (t *aclTranslation) report(e *aclEntry) {
	t.reportPerson(e)
	t.reportName(e)
	t.reportVariables(e)
	t.reportTypes(e)
	t.reportActions(e)
	if e.network.IsValid() {
		t.reportAddress(e)
	}
	for _, f := range e.patterns() {
		if open := f.openEnds(); open != "" {
			t.note(e.Line, Noted, "%s %q %s", f.field, f.text, open)
		}
	}
}

// reportPerson reports conditions on the account and the labels.
func (t *aclTranslation) reportPerson(e *aclEntry) {
	m := &e.Match
	if m.Account == nil && m.Type == nil && m.Name == nil && m.Service == nil && m.IP == nil && len(m.Labels) == 0 {
		t.note(e.Line, Noted, "the entry matches every request, also those without credentials, and of every type")
	}
	if m.Labels != nil && len(m.Labels) == 0 {
		t.note(e.Line, Noted, "labels is empty, which is no condition at all")
	}
	if e.account != nil && e.account.text != "" && !e.account.fromRequest() && t.anyMatches(e, e.account, principal{anonymous: true}, "repository", []string{""}) {
		slash := ""
		if e.account.noSlash() {
			slash = ", and no account with a slash"
		}
		t.note(e.Line, Noted, "account %q also matches requests without credentials%s", e.account.text, slash)
	}
	if e.account != nil && t.who.Directory && len(e.Actions) == 0 {
		t.note(e.Line, Changed, "account %q also covers the name in other case, which docker_auth lets pass: accounts are the directory's here", e.account.text)
	}
	for _, c := range e.labels {
		if open := c.pattern.openEnds(); open != "" {
			t.note(e.Line, Noted, "label %s: %q %s", c.label, c.pattern.text, open)
		}
		if c.pattern.text == "" {
			t.note(e.Line, Noted, "label %s: \"\" matches an empty value, and not a label that is missing", c.label)
		}
	}
}

// reportName reports a name that reads as something else.
func (t *aclTranslation) reportName(e *aclEntry) {
	if e.name == nil {
		return
	}
	text := e.name.text
	if !e.name.regexp && strings.Contains(text, "**") {
		t.note(e.Line, Noted, "name %q: ** is no more than * in docker_auth, one component of the path", text)
	}
	if !e.name.regexp && strings.Contains(text, "[!") {
		t.note(e.Line, Noted, "name %q: ! in a class is the character, and no negation", text)
	}
	if !e.name.regexp && strings.Contains(text, "[") {
		if made, ok := e.name.fill(noValue); ok && t.classHasSlash(made) {
			t.note(e.Line, Noted, "name %q: the class also matches a slash", text)
		}
	}
	if strings.Contains(strings.Join(e.name.texts(), "\x00"), "{labels:") {
		t.note(e.Line, Noted, "name %q: without $ the braces are text, so that the pattern matches no repository", text)
	}
}

// classHasSlash reports whether a class of a glob matches a slash.
func (t *aclTranslation) classHasSlash(x expression) bool {
	s, ok := x.sequence()
	return ok && slices.ContainsFunc(s, func(e element) bool { return e.kind == unknown }) ||
		ok && strings.Contains(x.source, "/") && strings.Contains(x.source, "[/]")
}

// reportVariables reports variables that ours fills in another way.
func (t *aclTranslation) reportVariables(e *aclEntry) {
	people := e.account == nil || t.anyMatches(e, e.account, principal{anonymous: true}, "repository", []string{""})
	if e.usesAccount() && people && t.anonymous != nil {
		t.note(e.Line, Changed, "requests without credentials fill ${account} with nothing in docker_auth, and match; here the rule is for people who logged in")
	}
	for _, f := range []*pattern{e.account, e.name, e.service} {
		if f == nil {
			continue
		}
		if f.has(capture) {
			t.note(e.Line, Changed, "%q: docker_auth takes captured text for a pattern; here it is text", f.text)
		}
		if _, whole := f.wholeLabel(); whole {
			severity, directory := Noted, ""
			if t.who.Directory {
				severity, directory = Changed, ", and those of the directory are names here"
			}
			t.note(e.Line, severity, "%q: the values of the label are patterns; those of static users are written out for each user%s", f.text, directory)
		} else if f.has(labelValue) && f.regexp {
			t.note(e.Line, Changed, "%q: docker_auth takes the label's values for parts of the expression; here they are text", f.text)
		}
	}
	if t.who.Directory && e.name.has(accountName, labelValue) {
		t.note(e.Line, Changed, "name %q: a value that is no path component in lower case, such as one with a blank or an @, fills no placeholder here", e.name.text)
	}
}

// reportTypes reports an entry whose type says more or less than it seems.
func (t *aclTranslation) reportTypes(e *aclEntry) {
	catalog := false
	if e.name == nil {
		catalog = true
	} else if made, ok := e.name.fill(noValue); ok && len(made.holes) == 0 {
		catalog = t.matches(made, "catalog") || t.matches(made, "")
	}
	switch {
	case e.kind == nil && catalog && len(e.Actions) > 0:
		t.note(e.Line, Changed, "without a type the entry is for every type; here it is for repositories and for the catalog (types)")
	case e.kind != nil && e.kind.text == "registry" && len(e.Actions) > 0 && !slices.Contains(e.Actions, "*"):
		t.note(e.Line, Noted, "registries ask for the catalog with the action *, so that this entry gives nothing")
	}
}

// reportActions reports actions that are not what they seem.
func (t *aclTranslation) reportActions(e *aclEntry) {
	if len(e.Actions) > 1 && slices.Contains(e.Actions, "*") {
		t.note(e.Line, Noted, "* beside other actions is no wildcard in docker_auth, but the action * itself, which is asked for the catalog")
	}
	for _, action := range e.Actions {
		if action != "*" && !t.isAction(action) {
			t.note(e.Line, Lost, "%q is no action that a registry asks for, and is left out", action)
		}
	}
}

// reportAddress reports networks that are not what they seem.
func (t *aclTranslation) reportAddress(e *aclEntry) {
	text := *e.Match.IP
	if p, err := netip.ParsePrefix(text); err == nil && p.Masked() != p {
		t.note(e.Line, Noted, "%s has bits of the host: it is the network %s", text, e.network)
	}
	if e.network.Bits() == 0 {
		t.note(e.Line, Noted, "%s is every address of one family: none of the other", text)
	}
	if len(e.Actions) > 0 && e.network.Addr().IsLoopback() {
		t.note(e.Line, Noted, "behind a proxy on the same machine every client has the address %s; set trusted_proxies", text)
	}
}

// reportUsers reports label values of static users that docker_auth takes for patterns.
func (t *aclTranslation) reportUsers() {
	inserted := t.insertedLabels()
	for _, u := range t.who.Users {
		for label, values := range u.Labels {
			for _, v := range values {
				if inserted[label] && !isComponent(v) && strings.ContainsAny(v, `*?[\(|)+^$`) {
					t.note(u.Line, Changed, "the value %q of the label %s is a pattern in docker_auth where an entry inserts it; here it is text", v, label)
				}
			}
		}
	}
}

// insertedLabels returns the labels whose values are parts of some pattern.
func (t *aclTranslation) insertedLabels() map[string]bool {
	inserted := map[string]bool{}
	for i := range t.entries {
		for _, f := range t.entries[i].patterns() {
			if _, whole := f.wholeLabel(); whole {
				continue
			}
			for _, one := range f.pieces {
				if one.variable.kind == labelValue {
					inserted[one.variable.name] = true
				}
			}
		}
	}
	return inserted
}

// openEnds says at which ends a regular expression is not anchored, or "".
func (p *pattern) openEnds() string {
	if !p.regexp {
		return ""
	}
	source := p.text[1 : len(p.text)-1]
	parsed, err := syntax.Parse(source, syntax.Perl)
	if err != nil {
		return ""
	}
	before, after := !isAnchored(parsed, false), !isAnchored(parsed, true)
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

// isAnchored reports whether each text that an expression matches is anchored at its
// beginning or its end, or is explicitly open there (".*").
func isAnchored(re *syntax.Regexp, atEnd bool) bool {
	switch re.Op {
	case syntax.OpBeginText, syntax.OpBeginLine:
		return !atEnd
	case syntax.OpEndText, syntax.OpEndLine:
		return atEnd
	case syntax.OpStar, syntax.OpPlus:
		return re.Sub[0].Op == syntax.OpAnyChar || re.Sub[0].Op == syntax.OpAnyCharNotNL
	case syntax.OpCapture:
		return isAnchored(re.Sub[0], atEnd)
	case syntax.OpConcat:
		if atEnd {
			return isAnchored(re.Sub[len(re.Sub)-1], true)
		}
		return isAnchored(re.Sub[0], false)
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !isAnchored(sub, atEnd) })
	}
	return false
}
