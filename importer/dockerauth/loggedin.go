package dockerauth

import (
	"fmt"
	"slices"
	"strings"
)

// maxWrittenOut bounds the users for whom entries are written out, where the general rule
// would be right but for a value that fills no placeholder.
const maxWrittenOut = 20_000

// loggedIn returns the drafts of an entry for people who logged in: one for all, if our
// keys can say it, and one for each static user of whom that says too little.
func (t *aclTranslation) loggedIn(e *aclEntry, kinds []string) []draft {
	covered := t.coveredPeople(e, kinds[0])
	if len(covered) == 0 && !t.who.Directory {
		return nil
	}
	general, ok := t.general(e, kinds, covered)
	if ok && e.name.has(labelValue) && t.narrows(e) {
		// A value that fills no placeholder is any one component to a deny rule, and to a
		// rule whose unless names this one.
		_, effect := t.grants(e)
		odd := !t.who.Directory && slices.ContainsFunc(covered, func(who principal) bool { return t.needsOwn(e, who) })
		switch {
		case odd && t.writtenOutFor+len(covered) <= maxWrittenOut:
			t.writtenOutFor += len(covered)
			ok = false
		case odd || t.who.Directory && effect == "deny" && slices.ContainsFunc(general, func(d draft) bool { return d.compared == "" }):
			t.note(e.Line, Changed, "a person with a value that fills no placeholder is denied every name of the form %q", e.name.text)
		}
	}
	var all []draft
	if ok {
		all = append(all, general...)
	} else if t.who.Directory {
		return t.denied(e, kinds)
	}
	if _, whole := e.service.wholeLabel(); ok && !whole && !e.name.has(accountName, labelValue) {
		return all
	}
	for _, who := range covered {
		if ok && !t.needsOwn(e, who) {
			continue
		}
		own, complete := t.own(e, kinds, who, ok)
		if all = append(all, own...); !complete {
			return t.denied(e, kinds)
		}
	}
	return all
}

// coveredPeople returns the static users whom the conditions on the person cover.
func (t *aclTranslation) coveredPeople(e *aclEntry, kind string) []principal {
	people := t.people
	if e.account != nil {
		if c := e.account.fixed(); c != nil && c.literals != nil {
			people = nil
			for _, name := range c.literals {
				people = append(people, t.byName[name]...)
			}
		}
	}
	// Many entries say the same of the person.
	key := e.personKey(kind)
	if all, done := t.covered[key]; done {
		return all
	}
	var all []principal
	for _, who := range people {
		if t.covers(e, who, kind) {
			all = append(all, who)
		}
	}
	t.covered[key] = all
	return all
}

// personKey is the same for entries of one type that say the same of the person.
func (e *aclEntry) personKey(kind string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", kind)
	if e.account != nil {
		fmt.Fprintf(&b, " account %q", e.account.text)
	}
	for _, c := range e.labels {
		fmt.Fprintf(&b, " %q: %q", c.label, c.pattern.text)
	}
	if len(e.captures) > 0 {
		fmt.Fprintf(&b, " entry %d", e.number)
	}
	return b.String()
}

// general returns the drafts of an entry for all people, with placeholders for what
// differs between them.
func (t *aclTranslation) general(e *aclEntry, kinds []string, covered []principal) ([]draft, bool) {
	d := draft{types: kinds}
	if e.kind.usesAccount() || e.kind.has(labelValue) || e.kind.fromRequest() {
		return nil, false
	}
	subject, ok := t.subject(e)
	if (!ok || !t.saysTheSame(subject, covered)) && !t.who.Directory {
		subject, ok = t.writtenOut(e, covered)
	}
	if !ok || subject.never != "" {
		return nil, ok
	}
	if e.name.has(accountName) {
		subject.exclude(covered)
	}
	t.excludeOthers(&subject, covered)
	subject.apply(&d)
	d.address(e)
	if !t.service(e, &d) {
		return nil, false
	}
	return t.names(e, d, kinds[0])
}

// needsOwn reports whether a general draft says too little of a static user: a value
// of a placeholder is no path component.
func (t *aclTranslation) needsOwn(e *aclEntry, who principal) bool {
	if label, whole := e.service.wholeLabel(); whole {
		if slices.ContainsFunc(who.labels[label], func(v string) bool { return isRegexp(v) || quoteGlob(v) != v }) {
			return true
		}
	}
	if e.name == nil {
		return false
	}
	return slices.ContainsFunc(e.name.pieces, func(one piece) bool {
		switch one.variable.kind {
		case accountName:
			return !isComponent(who.name)
		case labelValue:
			return slices.ContainsFunc(who.labels[one.variable.name], func(v string) bool { return !isComponent(v) })
		}
		return false
	})
}

// own returns the drafts of an entry for one static user. With rest they leave out what
// the general draft covers: the combinations of values that are all path components.
// complete is false if something cannot be said.
func (t *aclTranslation) own(e *aclEntry, kinds []string, who principal, rest bool) (all []draft, complete bool) {
	d := draft{types: kinds}
	subject, ok := t.dynamic(e, &who)
	if !ok {
		return t.ownByNameCapture(e, kinds, who)
	}
	subject.people(who)
	subject.apply(&d)
	if e.kind != nil && !t.anyMatches(e, e.kind, who, kinds[0], kinds) {
		return nil, true
	}
	d.address(e)
	drafts, ok := t.ownServices(e, d, who, kinds[0])
	if !ok {
		return nil, false
	}
	var names []expression
	if e.name != nil {
		if names, ok = t.expressions(e, e.name, t.rest(e, who, rest), kinds[0]); !ok {
			return nil, false
		}
	}
	for _, d := range drafts {
		if e.name == nil {
			d.repositories, d.shape = []string{"**"}, []string{"**"}
			all = append(all, d)
			continue
		}
		made, ok := t.namesOf(names, d, nil)
		if !ok {
			return nil, false
		}
		all = append(all, made...)
	}
	return all, true
}

// rest returns the person with only those labels that a general draft leaves out, where
// the name has a single label and the account can fill a placeholder.
func (t *aclTranslation) rest(e *aclEntry, who principal, rest bool) principal {
	label := ""
	for _, one := range e.name.pieces {
		if one.variable.kind == labelValue && label != "" && one.variable.name != label ||
			one.variable.kind == accountName && !isComponent(who.name) {
			return who
		}
		if one.variable.kind == labelValue {
			label = one.variable.name
		}
	}
	if !rest || label == "" {
		return who
	}
	only := principal{name: who.name, labels: map[string][]string{}}
	for _, value := range who.labels[label] {
		if !isComponent(value) {
			only.labels[label] = append(only.labels[label], value)
		}
	}
	return only
}
