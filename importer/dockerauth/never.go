package dockerauth

import (
	"regexp"
	"strings"
)

// whyNever says why an entry without rules never matches.
func (t *aclTranslation) whyNever(e *aclEntry) string {
	for _, f := range e.patterns() {
		if _, ok := f.fill(noValue); !ok {
			return f.field + " is a broken pattern"
		}
		if unfilled.MatchString(strings.Join(f.texts(), "\x00")) {
			return "docker_auth does not fill in a variable of " + f.field + ", which stays as it is written"
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
