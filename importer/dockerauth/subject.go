package dockerauth

import (
	"regexp"
	"slices"
	"strings"
	"unicode"

	"shorepass/internal/fold"
)

// subject is what an entry says of the person: keys of a rule and conditions.
type subject struct {
	users, groups []string
	when          []string
	never         string                 // why no person can match
	matches       []func(principal) bool // by the keys and conditions, as our policy evaluates them
}

// apply adds the keys of a subject to a draft.
func (s *subject) apply(d *draft) {
	d.users, d.groups = s.users, s.groups
	if d.users == nil && d.groups == nil {
		d.groups = []string{authenticated}
	}
	d.when = append(d.when, s.when...)
}

// subject returns what an entry says of people in general. ok is false if our keys
// cannot say it.
func (t *aclTranslation) subject(e *aclEntry) (s subject, ok bool) {
	if !t.account(e, &s) {
		return s, false
	}
	for _, c := range e.labels {
		if !t.label(c, &s) {
			return s, false
		}
	}
	return s, true
}

// saysTheSame reports whether a subject covers just the static users of covered. They
// differ where case matters to docker_auth.
func (t *aclTranslation) saysTheSame(s subject, covered []principal) bool {
	if len(s.matches) == 0 {
		return len(covered) == len(t.people)
	}
	people := t.people
	if s.users != nil && !slices.ContainsFunc(s.users, isGlob) {
		people = nil // those of these names in any case
		for _, name := range s.users {
			people = append(people, t.byFoldedName[fold.Name(name)]...)
		}
	}
	n := 0
	for _, who := range people {
		all := !slices.ContainsFunc(s.matches, func(match func(principal) bool) bool { return !match(who) })
		if all && (n >= len(covered) || covered[n].name != who.name) {
			return false
		}
		if all {
			n++
		}
	}
	return n == len(covered)
}

// dynamic returns the conditions of an entry on the person that need the request. ok is
// false if they cannot be said.
//
// Requests without credentials have no claims here: who are those whose labels are
// written into the conditions, nil for people.
func (t *aclTranslation) dynamic(e *aclEntry, who *principal) (s subject, ok bool) {
	if e.account.fromRequest() && !t.account(e, &s) {
		return s, false
	}
	for _, c := range e.labels {
		if !c.pattern.fromRequest() {
			continue
		}
		if who == nil || !who.anonymous {
			ok = t.label(c, &s)
		} else if made, valid := c.pattern.fill(noValue); valid {
			var text string
			text, ok = made.celText()
			s.when = append(s.when, text+" in "+celList(who.labels[c.label]))
		}
		if !ok {
			return s, false
		}
	}
	return s, true
}

// writtenOut returns the subject that names the users whom an entry covers.
func (t *aclTranslation) writtenOut(e *aclEntry, covered []principal) (subject, bool) {
	s, ok := t.dynamic(e, nil)
	if ok && len(covered) > 0 {
		s.people(covered...)
	}
	return s, ok
}

// people makes a subject that of some people.
func (s *subject) people(all ...principal) {
	s.users, s.groups = nil, nil
	if all[0].anonymous {
		s.groups = []string{anonymous}
		return
	}
	for _, who := range all {
		if name := fold.Name(who.name); !slices.Contains(s.users, name) {
			s.users = append(s.users, name)
		}
	}
	if slices.ContainsFunc(s.users, isGlob) {
		s.when = append(s.when, "user in "+celList(s.users)) // a name with an asterisk is a glob in users
		s.users = nil
	}
}

// exclude takes those people out whose name is a path component in lower case only, and
// in docker_auth none.
func (s *subject) exclude(covered []principal) {
	var names []string
	exact := map[string]bool{}
	for _, who := range covered {
		exact[who.name] = true
	}
	for _, who := range covered {
		if name := fold.Name(who.name); !isComponent(who.name) && isComponent(name) && !exact[name] {
			names = append(names, name)
		}
	}
	if names != nil {
		s.when = append(s.when, "!(user in "+celList(names)+")")
	}
}

// excludeOthers takes those static users out whom a subject covers beside covered, since
// case matters to docker_auth: with a directory it is written for the directory's people.
func (t *aclTranslation) excludeOthers(s *subject, covered []principal) {
	if !t.who.Directory || t.saysTheSame(*s, covered) {
		return
	}
	var names []string
	for _, who := range t.people {
		is := func(other principal) bool { return other.name == who.name }
		if !slices.ContainsFunc(covered, is) && !slices.ContainsFunc(s.matches, func(match func(principal) bool) bool { return !match(who) }) {
			names = append(names, fold.Name(who.name))
		}
	}
	if names != nil {
		s.when = append(s.when, "!(user in "+celList(names)+")")
	}
}

// isGlob reports whether users and groups take a name for more than a name.
func isGlob(name string) bool { return name == "" || strings.ContainsAny(name, "*{}") }

// account adds the condition on the account to a subject.
func (t *aclTranslation) account(e *aclEntry, s *subject) bool {
	if e.account == nil {
		return true
	}
	made, ok := e.account.fill(noValue)
	if !ok {
		return false
	}
	if len(made.holes) > 0 {
		condition, ok := made.celCondition("user")
		s.when = append(s.when, condition)
		return ok
	}
	ignoringCase := expression{source: "(?i)" + made.source}
	globs, exact := ignoringCase.globs(plainName)
	if len(globs) == 0 {
		s.never = "the account is empty, which is no person's"
	}
	if !slices.Equal(globs, []string{"**"}) {
		s.users = simpleGlobs(globs)
	}
	switch {
	case exact:
	case e.account.noSlash():
		s.when = append(s.when, `!user.contains("/")`)
		s.matches = append(s.matches, func(who principal) bool { return !strings.Contains(who.name, "/") })
	case anyName.MatchString(made.source):
	default:
		s.when = append(s.when, "user.matches("+celRegexp(ignoringCase.source)+")")
		s.matches = append(s.matches, func(who principal) bool { return t.matches(ignoringCase, who.name) })
	}
	if s.users != nil {
		var users [][]symbol
		for _, g := range s.users {
			users = append(users, symbols(g, plainName))
		}
		s.matches = append(s.matches, func(who principal) bool {
			return slices.ContainsFunc(users, func(g []symbol) bool { return plainGlobMatches(g, who.name) })
		})
	}
	return true
}

// anyName matches the expressions that every name matches, as ".+" and "^.+$".
var anyName = regexp.MustCompile(`^(\^?\.[+*]\$?|\.)$`)

// noSlash reports whether a pattern is a glob of literal text without "/" and of
// asterisks: but for names with "/" it matches what the same glob of ours does.
func (p *pattern) noSlash() bool {
	return !p.regexp && !strings.ContainsAny(p.text, `/?[\{}`)
}

// simpleGlobs returns globs of plain names with single asterisks.
func simpleGlobs(globs []string) []string {
	all := make([]string, len(globs))
	for i, g := range globs {
		for strings.Contains(g, "**") {
			g = strings.ReplaceAll(g, "**", "*")
		}
		all[i] = g
	}
	return all
}

// label adds a condition on a label to a subject.
func (t *aclTranslation) label(c labelCondition, s *subject) bool {
	made, ok := c.pattern.fill(noValue)
	if !ok {
		return false
	}
	if len(made.holes) > 0 {
		if c.label != t.who.GroupLabel && slices.Contains(t.who.LowerCaseLabels, c.label) {
			return false // claims are as the directory has them
		}
		text, ok := made.celText()
		if ok {
			s.when = append(s.when, t.labelHas(c.label, text))
		}
		// A static user whose name has capitals is not the label's value in lower case.
		s.matches = append(s.matches, func(who principal) bool {
			if c.pattern.fromRequest() {
				return len(who.labels[c.label]) > 0
			}
			text, ok := made.withAccount(fold.Name(who.name))
			return ok && slices.Contains(who.labels[c.label], text)
		})
		return ok
	}
	if c.label == t.who.GroupLabel {
		return t.group(c.label, made, s)
	}
	if slices.Contains(t.who.LowerCaseLabels, c.label) {
		// Claims are as the directory has them, and docker_auth's values in lower case.
		if strings.ContainsFunc(c.pattern.text, unicode.IsUpper) {
			s.never = "docker_auth turns the values of the label into lower case"
			return !c.pattern.regexp
		}
		made.source = "(?i)" + made.source
	}
	s.matches = append(s.matches, func(who principal) bool {
		return slices.ContainsFunc(who.labels[c.label], func(v string) bool { return t.matches(made, v) })
	})
	s.when = append(s.when, t.labelMatches(c.label, made))
	return true
}

// group adds a condition on the label that is our groups to a subject.
func (t *aclTranslation) group(label string, x expression, s *subject) bool {
	lowered := slices.Contains(t.who.LowerCaseLabels, label)
	if !lowered {
		x = expression{source: "(?i)" + x.source}
	}
	s.matches = append(s.matches, func(who principal) bool {
		return slices.ContainsFunc(who.labels[label], func(v string) bool { return t.matches(x, fold.Name(v)) })
	})
	globs, exact := x.globs(plainName)
	if lowered {
		globs = slices.DeleteFunc(globs, func(g string) bool { return fold.Name(g) != g })
		if len(globs) == 0 {
			s.never = "docker_auth turns the values of the label into lower case"
		}
	}
	if exact && !slices.ContainsFunc(globs, func(g string) bool { return strings.Trim(g, "*") != g && strings.Trim(g, "*") == "" || g == "" }) && len(globs) > 0 {
		s.groups = simpleGlobs(globs)
		return true
	}
	s.when = append(s.when, `groups.exists(g, g != "authenticated" && g.matches(`+celRegexp(x.source)+"))")
	return true
}
