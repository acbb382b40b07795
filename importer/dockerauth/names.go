package dockerauth

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"shorepass/policy"
)

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
	if condition, ok := t.labelCondition(made); ok {
		d.guards, d.compared = []string{condition}, placeholders[0]
	}
	return t.namesOf([]expression{made}, d, placeholders)
}

// labelCondition returns the condition that the name has a value of the label that is the
// only hole of an expression. ok is false unless the hole is a whole component of the path
// behind literal text.
func (t *aclTranslation) labelCondition(x expression) (condition string, ok bool) {
	s, ok := x.sequence()
	if !ok || len(x.holes) != 1 || x.holes[0].kind != labelValue {
		return "", false
	}
	i := slices.IndexFunc(s, func(e element) bool { return e.kind == character && e.r == firstHole })
	if i < 0 || !wholeComponent(s, i) || slices.ContainsFunc(s[:i], func(e element) bool { return e.kind != character || e.fold }) {
		return "", false
	}
	value := "v"
	if i > 0 {
		before, _ := x.celConcatenation(s[:i])
		value = before + " + v"
	}
	condition = "request.repository == " + value
	if i+1 < len(s) {
		condition = "request.repository.startsWith(" + value + ` + "/")`
	}
	if x.holes[0].name == t.who.GroupLabel {
		return `groups.exists(v, v != "authenticated" && ` + condition + ")", true
	}
	return t.claimExists(x.holes[0].name, "v", condition), true
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
// filled with its placeholder, or compared in a condition if it is the service. The names
// that need no condition are in one draft.
func (t *aclTranslation) namesOf(all []expression, d draft, placeholders []string) ([]draft, bool) {
	var drafts []draft
	plain := -1 // the draft without a condition on the name
	for _, x := range all {
		next := d.clone()
		globs, exact := x.globs(pathName)
		conditions := len(next.when)
		if !next.nameCondition(x, exact, placeholders) {
			return nil, false
		}
		conditional := len(next.when) > conditions
		next.repositories = t.fillGlobs(globs, x.holes, placeholders, d.types)
		next.shape = next.repositories
		switch {
		case len(next.repositories) == 0:
		case conditional:
			drafts = append(drafts, next)
		case plain < 0:
			plain = len(drafts)
			drafts = append(drafts, next)
		default:
			m := &drafts[plain]
			m.repositories = unique(append(m.repositories, next.repositories...))
			m.shape = m.repositories
		}
	}
	return drafts, true
}

// nameCondition adds the condition on the name to a draft, if the globs of the expression
// are not exact or it has the service. It reports whether our keys can say it.
func (d *draft) nameCondition(x expression, exact bool, placeholders []string) bool {
	isService := func(v variable) bool { return v.kind == serviceName }
	service := slices.ContainsFunc(x.holes, isService)
	switch {
	case len(placeholders) == 0 && slices.ContainsFunc(x.holes, func(v variable) bool { return !isService(v) }):
		return false
	case service:
		condition, ok := x.serviceCondition()
		d.when = append(d.when, condition)
		return ok
	case exact:
		return true
	case len(x.holes) > 0:
		return false
	}
	d.when = append(d.when, "request.repository.matches("+celRegexp(x.source)+")")
	return true
}

// fillGlobs returns the globs with the placeholders in the place of the holes, without
// those that match no name of these types. The service is any one component.
func (t *aclTranslation) fillGlobs(globs []string, holes []variable, placeholders, types []string) []string {
	var all []string
	for _, g := range globs {
		for i, hole := range holes {
			value := "*"
			if hole.kind != serviceName && i < len(placeholders) {
				value = placeholders[i]
			}
			g = strings.ReplaceAll(g, string(firstHole+rune(i)), value)
		}
		if g = joinAsterisks(g); t.possible(g, types) {
			all = append(all, g)
		}
	}
	return all
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
