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
