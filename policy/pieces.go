package policy

import (
	"slices"
	"strings"
)

// piece is a part of a [Right] with one glob of repositories.
type piece struct {
	rules               []string
	services, types     globList
	name                filledGlob
	actions             []string
	conditional, failed bool
}

// globList are the globs of a key whose names are no paths; nil for all names.
type globList []filledGlob

// filledGlob is a glob whose placeholders are filled, in each of its forms.
type filledGlob struct {
	text    string
	symbols []symbol
	exact   bool // no placeholder is left in it
}

func newGlobList(globs []glob) globList {
	var all globList
	for _, g := range globs {
		all = append(all, filledGlob{g.text(plainName), g.symbols(), true})
	}
	return all
}

// newFilledGlob returns a glob of repositories in each of its forms.
func newFilledGlob(g glob) filledGlob {
	exact := !slices.ContainsFunc(g, func(t token) bool { return t.placeholder() != "" })
	return filledGlob{g.text(pathName), g.symbols(), exact}
}

// placeholder returns the placeholder of a token as it is written, or "".
func (t *token) placeholder() string {
	switch t.kind {
	case userName:
		return "{user}"
	case groupName:
		return "{group}"
	case claimValue:
		return "{claims." + t.text + "}"
	}
	return ""
}

// replace returns the glob with a token in the place of each occurrence of a placeholder.
func (g glob) replace(placeholder string, by token) glob {
	replaced := slices.Clone(g)
	for i := range replaced {
		if replaced[i].placeholder() == placeholder {
			replaced[i] = by
		}
	}
	return replaced
}

// text returns the glob as it is written. Wildcards beside one another, as a placeholder
// that any component may fill leaves them, are one.
func (g glob) text(kind nameKind) string {
	var b strings.Builder
	for rest := g; len(rest) > 0; {
		wildcards := rest.leadingWildcards()
		switch {
		case kind == pathName && slices.ContainsFunc(wildcards, func(t token) bool { return t.kind == doubleStar }):
			b.WriteString("**")
		case len(wildcards) > 0:
			b.WriteString("*")
		case rest[0].kind == literal:
			b.WriteString(rest[0].text)
		default:
			b.WriteString(rest[0].placeholder())
		}
		rest = rest[max(1, len(wildcards)):]
	}
	return b.String()
}

// leadingWildcards returns the wildcards with which the glob begins.
func (g glob) leadingWildcards() glob {
	end := slices.IndexFunc(g, func(t token) bool { return t.kind != star && t.kind != doubleStar })
	if end < 0 {
		return g
	}
	return g[:end]
}

// includes reports whether each name that narrow matches matches wide too.
func (wide globList) includes(narrow globList) bool {
	if wide == nil {
		return true
	}
	if narrow == nil {
		return slices.ContainsFunc(wide, func(g filledGlob) bool { return includes(g.symbols, []symbol{anyText}) })
	}
	return !slices.ContainsFunc(narrow, func(n filledGlob) bool {
		return !slices.ContainsFunc(wide, func(w filledGlob) bool { return w.includes(&n) })
	})
}

func (wide *filledGlob) includes(narrow *filledGlob) bool {
	return wide.exact && includes(wide.symbols, narrow.symbols)
}

// overlaps reports whether some name matches both lists.
func (l globList) overlaps(other globList) bool {
	if l == nil || other == nil {
		return true
	}
	return slices.ContainsFunc(l, func(a filledGlob) bool {
		return slices.ContainsFunc(other, func(b filledGlob) bool { return overlap(a.symbols, b.symbols) })
	})
}

// includesResources reports whether each resource of other is one of p.
func (p *piece) includesResources(other *piece) bool {
	return p.name.includes(&other.name) && p.types.includes(other.types) && p.services.includes(other.services)
}

// overlapsResources reports whether some resource may be one of both.
func (p *piece) overlapsResources(other *piece) bool {
	return overlap(p.name.symbols, other.name.symbols) && p.types.overlaps(other.types) && p.services.overlaps(other.services)
}

// takesFromAny reports whether a denied piece takes something away from one of allowed.
func (p *piece) takesFromAny(allowed []piece) bool {
	return slices.ContainsFunc(allowed, func(a piece) bool { return p.sharesAction(&a) && p.overlapsResources(&a) })
}

// sharesAction reports whether some action is one of both.
func (p *piece) sharesAction(other *piece) bool {
	return slices.Contains(p.actions, "*") || slices.Contains(other.actions, "*") ||
		slices.ContainsFunc(p.actions, func(action string) bool { return slices.Contains(other.actions, action) })
}

// joinPieces returns rights made of pieces: without what one deny rule takes away whole,
// and without what says nothing beside the others.
func joinPieces(allowed, denied []piece, more bool) Rights {
	allowed = subtract(mergeActions(allowed), denied)
	allowed = dropIncluded(allowed)
	denied = slices.DeleteFunc(mergeActions(denied), func(d piece) bool { return !d.takesFromAny(allowed) })
	denied = dropIncluded(denied)
	r := Rights{Allow: mergeNames(allowed), Deny: mergeNames(denied), More: more}
	for _, list := range []*[]Right{&r.Allow, &r.Deny} {
		if len(*list) > maxRights {
			*list, r.More = (*list)[:maxRights], true
		}
	}
	return r
}

// subtract takes from the actions of each piece those that one denied piece takes away
// from all of its resources.
func subtract(allowed, denied []piece) []piece {
	var left []piece
	for _, a := range allowed {
		for i := range denied {
			d := &denied[i]
			if d.conditional || !d.sharesAction(&a) || !d.includesResources(&a) {
				continue
			}
			a.actions = slices.DeleteFunc(slices.Clone(a.actions), func(action string) bool {
				return slices.Contains(d.actions, "*") || action != "*" && slices.Contains(d.actions, action)
			})
		}
		if len(a.actions) > 0 {
			left = append(left, a)
		}
	}
	return left
}

// dropIncluded drops each piece whose every resource and action is one of another's.
func dropIncluded(pieces []piece) []piece {
	var left []piece
	for i := range pieces {
		p := &pieces[i]
		included := false
		for j := range pieces {
			wide := &pieces[j]
			included = included || i != j && !wide.conditional && (!wide.failed || p.failed) &&
				includesActions(wide.actions, p.actions) && wide.includesResources(p) &&
				(j < i || !p.includesAll(wide)) // of two alike the first stays
		}
		if !included {
			left = append(left, *p)
		}
	}
	return left
}

// includesAll reports whether p says all that other does.
func (p *piece) includesAll(other *piece) bool {
	return (!p.conditional || other.conditional) && (!p.failed || other.failed) && includesActions(p.actions, other.actions) && p.includesResources(other)
}

func includesActions(wide, narrow []string) bool {
	return slices.Contains(wide, "*") || !slices.ContainsFunc(narrow, func(action string) bool { return !slices.Contains(wide, action) })
}

// mergeActions merges the pieces that differ in their rules and actions only.
func mergeActions(pieces []piece) []piece {
	return mergeBy(pieces, func(p *piece) string { return p.key(p.name.text) }, func(into, p *piece) {
		into.actions = sortedActions(append(into.actions, p.actions...))
	})
}

// mergeNames merges the pieces that differ in their rules and repositories only, and
// returns them as rights.
func mergeNames(pieces []piece) []Right {
	names := make(map[string][]string)
	key := func(p *piece) string { return p.key(strings.Join(p.actions, ",")) }
	for i := range pieces {
		p := &pieces[i]
		if at := key(p); !slices.Contains(names[at], p.name.text) {
			names[at] = append(names[at], p.name.text)
		}
	}
	var all []Right
	for _, p := range mergeBy(pieces, key, func(_, _ *piece) {}) {
		all = append(all, Right{
			Rules: p.rules, Services: p.services.texts(), Types: p.types.texts(), Repositories: names[key(&p)],
			Actions: p.actions, Conditional: p.conditional, failed: p.failed,
		})
	}
	return all
}

// mergeBy merges pieces of the same key into the first of them.
func mergeBy(pieces []piece, key func(*piece) string, merge func(into, p *piece)) []piece {
	at := make(map[string]int)
	var all []piece
	for i := range pieces {
		p := pieces[i]
		n, seen := at[key(&p)]
		if !seen {
			at[key(&p)] = len(all)
			all = append(all, p)
			continue
		}
		into := &all[n]
		into.rules = slices.Clip(into.rules)
		for _, rule := range p.rules {
			if !slices.Contains(into.rules, rule) {
				into.rules = append(into.rules, rule)
			}
		}
		merge(into, &p)
	}
	return all
}

// key returns a text that is the same for pieces alike but for rules and one other part.
func (p *piece) key(rest string) string {
	flags := ""
	if p.conditional {
		flags += "c"
	}
	if p.failed {
		flags += "f"
	}
	return strings.Join([]string{flags, strings.Join(p.services.texts(), "\x01"), strings.Join(p.types.texts(), "\x01"), rest}, "\x00")
}

func (l globList) texts() []string {
	var all []string
	for _, g := range l {
		all = append(all, g.text)
	}
	return all
}

// sortedActions returns actions, each once, pull, push and delete first; "*" stands for all.
func sortedActions(actions []string) []string {
	if slices.Contains(actions, "*") {
		return []string{"*"}
	}
	var all []string
	for _, known := range []string{"pull", "push", "delete"} {
		if slices.Contains(actions, known) {
			all = append(all, known)
		}
	}
	for _, action := range slices.Sorted(slices.Values(actions)) {
		if !slices.Contains(all, action) {
			all = append(all, action)
		}
	}
	return all
}
