package dockerauth

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"shorepass/policy"
)

// loggedIn returns the drafts of an entry for people who logged in: one for all, if our
// keys can say it, and one for each static user of whom that says too little.
func (t *aclTranslation) loggedIn(e *aclEntry, kinds []string) []draft {
	covered := t.coveredPeople(e, kinds[0])
	if len(covered) == 0 && !t.who.Directory {
		return nil
	}
	general, ok := t.general(e, kinds, covered)
	if _, effect := t.grants(e); effect == "deny" && e.name.has(labelValue) {
		// A value that fills no placeholder is any one component to a deny rule.
		switch {
		case !t.who.Directory:
			ok = ok && !slices.ContainsFunc(covered, func(who principal) bool { return t.needsOwn(e, who) })
		case ok:
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
	subject.apply(&d)
	if !t.address(e, &d) || !t.service(e, &d) {
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
	if !t.address(e, &d) {
		return nil, true
	}
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

// ownServices returns a draft for each way in which a person's services can be said.
func (t *aclTranslation) ownServices(e *aclEntry, d draft, who principal, kind string) ([]draft, bool) {
	if e.service == nil {
		return []draft{d}, true
	}
	all, ok := t.expressions(e, e.service, who, kind)
	var drafts []draft
	for _, x := range all {
		next := d.clone()
		if !t.serviceOf(x, &next) {
			return nil, false
		}
		drafts = append(drafts, next)
	}
	return drafts, ok
}

// withoutCredentials returns the drafts of an entry for requests without credentials.
// An account that is empty fills no placeholder: such an entry grants them nothing.
func (t *aclTranslation) withoutCredentials(e *aclEntry, kinds []string) []draft {
	who := *t.anonymous
	if !t.covers(e, who, kinds[0]) || e.usesAccount() {
		return nil
	}
	all, complete := t.own(e, kinds, who, false)
	if !complete {
		return t.denied(e, kinds)
	}
	return all
}

// usesAccount reports whether some pattern but the account's own has the account.
func (e *aclEntry) usesAccount() bool {
	return e.name.usesAccount() || e.service.usesAccount() || e.kind.usesAccount() ||
		slices.ContainsFunc(e.labels, func(c labelCondition) bool { return c.pattern.usesAccount() })
}

func (d *draft) clone() draft {
	next := *d
	next.when, next.guards = slices.Clone(d.when), slices.Clone(d.guards)
	return next
}

// address adds the condition on the address to a draft.
func (t *aclTranslation) address(e *aclEntry, d *draft) bool {
	if e.network.IsValid() {
		d.when = append(d.when, fmt.Sprintf("cidr(%q).containsIP(request.address)", e.network))
	}
	return true
}

// service adds the condition on the service to a draft.
func (t *aclTranslation) service(e *aclEntry, d *draft) bool {
	if e.service == nil {
		return true
	}
	made, ok := e.service.fill(noValue)
	return ok && t.serviceOf(made, d)
}

// serviceOf adds the condition that the service matches an expression to a draft. A
// service that is written out is a key; check knows whether there is such a service.
func (t *aclTranslation) serviceOf(x expression, d *draft) bool {
	if text, ok := x.celText(); ok && text == "request.service" {
		return true // ${service} itself
	} else if ok && len(x.holes) > 0 {
		d.when = append(d.when, "request.service == "+text)
		return true
	}
	if len(x.holes) == 1 && x.holes[0].kind == labelValue {
		text, ok := x.withoutHole()
		if ok {
			d.when = append(d.when, t.labelHas(x.holes[0].name, text("request.service")))
		}
		return ok
	}
	if len(x.holes) > 0 {
		return false
	}
	if globs, exact := x.globs(plainName); exact && len(globs) == 1 && !strings.ContainsAny(globs[0], "*") {
		d.services = globs
		return true
	}
	d.when = append(d.when, "request.service.matches("+celRegexp(x.source)+")")
	return true
}

// names returns a draft for each way in which the names of an entry can be said for all
// people.
func (t *aclTranslation) names(e *aclEntry, d draft, kind string) ([]draft, bool) {
	if e.name == nil {
		d.repositories, d.shape = []string{"**"}, []string{"**"}
		return []draft{d}, true
	}
	made, ok := e.name.fill(func(v variable) (string, bool) { return kind, v.kind == typeName })
	if !ok {
		return nil, true
	}
	placeholders := make([]string, len(made.holes))
	for i, hole := range made.holes {
		switch {
		case hole.kind == accountName:
			placeholders[i] = "{user}"
			d.guards = append(d.guards, "user.matches("+celRegexp(componentSyntax)+")")
		case hole.kind == labelValue && hole.name == t.who.GroupLabel:
			placeholders[i] = "{group}"
			if d.groups != nil && !d.reserved() {
				return nil, false // the groups key says which groups there are already
			}
			d.groups = []string{"*"}
			d.guards = append(d.guards, `groups.exists(g, g != "authenticated" && g.matches(`+celRegexp(componentSyntax)+"))")
		case hole.kind == labelValue && t.labels[hole.name] && claimSyntax.MatchString(hole.name):
			placeholders[i] = "{claims." + hole.name + "}"
			d.guards = append(d.guards, t.claimExists(hole.name, "v", "v.matches("+celRegexp(componentSyntax)+")"))
		case hole.kind == labelValue && !t.labels[hole.name]:
			return nil, true // no person has the label
		case hole.kind != serviceName:
			return nil, false
		}
	}
	slices.Sort(d.guards)
	d.guards = slices.Compact(d.guards)
	return t.namesOf([]expression{made}, d, placeholders)
}

// componentSyntax matches what fills a placeholder, and little else. It is short, since
// conditions have a budget.
const componentSyntax = `^[a-z0-9._-]+$`

// isComponent reports whether a value fills a placeholder: it is one component of a
// repository's path.
func isComponent(text string) bool { return pathComponent.MatchString(text) }

var pathComponent = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*$`)

// claimSyntax is that of a label that a placeholder can name.
var claimSyntax = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// namesOf returns drafts that cover the names that some expressions match. A hole is
// filled with its placeholder, or compared in a condition if it is the service.
func (t *aclTranslation) namesOf(all []expression, d draft, placeholders []string) ([]draft, bool) {
	var drafts []draft
	plain := -1 // the draft of the names that need no condition
	for _, x := range all {
		if len(placeholders) == 0 && slices.ContainsFunc(x.holes, func(v variable) bool { return v.kind != serviceName }) {
			return nil, false
		}
		next := d.clone()
		globs, exact := x.globs(pathName)
		service := slices.ContainsFunc(x.holes, func(v variable) bool { return v.kind == serviceName })
		switch {
		case service:
			condition, ok := x.serviceCondition()
			if !ok {
				return nil, false
			}
			next.when = append(next.when, condition)
		case !exact && len(x.holes) > 0:
			return nil, false
		case !exact:
			next.when = append(next.when, "request.repository.matches("+celRegexp(x.source)+")")
		}
		for _, g := range globs {
			filled := g
			for i, hole := range x.holes {
				value := "*"
				if hole.kind != serviceName && i < len(placeholders) {
					value = placeholders[i]
				}
				filled = strings.ReplaceAll(filled, string(firstHole+rune(i)), value)
			}
			filled = joinAsterisks(filled)
			if t.possible(filled, d.types) {
				next.repositories = append(next.repositories, filled)
			}
		}
		if len(next.repositories) == 0 {
			continue
		}
		next.shape = next.repositories
		if exact && !service && plain >= 0 {
			for _, g := range next.repositories {
				if !slices.Contains(drafts[plain].repositories, g) {
					drafts[plain].repositories = append(drafts[plain].repositories, g)
				}
			}
			drafts[plain].shape = drafts[plain].repositories
			continue
		}
		if exact && !service {
			plain = len(drafts)
		}
		drafts = append(drafts, next)
	}
	return drafts, true
}

// joinAsterisks returns a glob with wildcards side by side made one.
func joinAsterisks(glob string) string {
	for strings.Contains(glob, "***") {
		glob = strings.ReplaceAll(glob, "***", "**")
	}
	return glob
}

// possible reports whether a glob can match the name of a resource, so that check takes
// it.
func (t *aclTranslation) possible(glob string, types []string) bool {
	repository := slices.Contains(types, "repository")
	key := fmt.Sprintf("%v %s", repository, glob)
	known, done := t.possibleNames[key]
	if !done {
		known = true
		rule := policy.Rule{Groups: []string{"*"}, Types: types, Repositories: []string{glob}, Actions: []string{"pull"}}
		policy.Compile([]policy.Rule{rule}, func(string, string) { known = false })
		t.possibleNames[key] = known
	}
	return known
}

// denied returns drafts that cover whatever an entry may cover, for an entry that cannot
// be translated. Its rules deny.
func (t *aclTranslation) denied(e *aclEntry, kinds []string) []draft {
	if !e.failed {
		e.failed = true
		t.note(e.Line, Lost, "the entry%s has no equal: what it may cover is denied; write a rule for it by hand in the place of the one that denies", e.remark())
	}
	d := draft{types: kinds, groups: []string{authenticated}}
	if t.anonymous != nil && t.covers(e, *t.anonymous, kinds[0]) {
		d.groups = append(d.groups, anonymous)
	}
	if d.repositories = t.widest(e, kinds); d.repositories == nil {
		return nil
	}
	d.shape = d.repositories
	return []draft{d}
}

// widest returns globs that match each name that an entry may cover.
func (t *aclTranslation) widest(e *aclEntry, kinds []string) []string {
	if e.name == nil {
		return []string{"**"}
	}
	made, ok := e.name.fill(noValue)
	if !ok {
		return nil
	}
	globs, _ := made.globs(pathName)
	var all []string
	for _, g := range globs {
		for n := range made.holes {
			g = strings.ReplaceAll(g, string(firstHole+rune(n)), "**")
		}
		if g = joinAsterisks(g); t.possible(g, kinds) {
			all = append(all, g)
		}
	}
	return all
}
