package policy

import (
	"slices"
	"strings"

	"shorepass/registry"
)

// Rights are what the rules can grant a person today, for a page that people read. They
// are an upper bound: what [Policy.Decide] grants is within one of Allow. Deny says what
// is taken away from these.
type Rights struct {
	Allow []Right // in the order of the file
	Deny  []Right // the same; without those that take nothing from Allow
	More  bool    // there are more, which are left out
}

// Right is what one rule, or several alike, give or take away.
type Right struct {
	Rules        []string // their names
	Services     []string // globs of services; nil for all
	Types        []string // globs of types
	Repositories []string // globs, with the placeholders filled; one of many values stands as it is written
	Actions      []string // ["*"] for every action

	// Conditional says that it holds for some requests or resources only: a condition
	// on the request or the unless of the rule decides.
	Conditional bool

	// failed says of what is taken away that the rule failed, because something about
	// the person is not known.
	failed bool
}

// Bounds of rights.
const (
	maxRights = 100 // of each of Allow and Deny
	maxPieces = 300 // pieces of each that are compared with one another
	maxFilled = 50  // globs that the values of placeholders make of one glob
)

// IsEmpty reports whether the rules grant the person nothing at all.
func (r Rights) IsEmpty() bool { return len(r.Allow) == 0 && !r.More }

// Rights returns what the rules can grant the person of req. Of the request, its service,
// address, time and scopes are not looked at. Unlike Decide it evaluates every rule.
//
// An action that one deny rule takes away from all that a glob covers is left out.
func (p *Policy) Rights(req Request) Rights {
	d := p.newDecider(&req)
	d.scope = &registry.Scope{}
	allowed, more := d.pieces(false, func(piece) bool { return true })
	denied, moreDenied := d.pieces(true, func(taken piece) bool { return taken.takesFromAny(allowed) })
	return joinPieces(allowed, denied, more || moreDenied)
}

// HasRights reports whether some rule can grant the person of req anything. It stops at
// the first that does, and of the deny rules looks at those of every repository alone, so
// that it costs much less than [Policy.Rights]. Without HasRights the Rights are empty; with
// it they are too where other deny rules take everything away.
func (p *Policy) HasRights(req Request) bool {
	d := p.newDecider(&req)
	d.scope = &registry.Scope{}
	var denied []piece
	for _, r := range p.rules {
		if r.deny && slices.ContainsFunc(r.patterns, func(one pattern) bool { return one.text == "**" }) {
			denied = append(denied, d.piecesOf(r)...)
		}
	}
	return slices.ContainsFunc(p.rules, func(r *rule) bool {
		return !r.deny && len(subtract(d.piecesOf(r), denied)) > 0
	})
}

// pieces returns the pieces of all allow rules, or of all deny rules, that keep returns
// true for, maxPieces at most, and whether there are more.
func (d *decider) pieces(deny bool, keep func(piece) bool) (all []piece, more bool) {
	for _, r := range d.policy.rules {
		if r.deny != deny {
			continue
		}
		for _, one := range d.piecesOf(r) {
			switch {
			case !keep(one):
			case len(all) == maxPieces:
				return all, true
			default:
				all = append(all, one)
			}
		}
	}
	return all, false
}

// piecesOf returns what a rule gives or takes away.
func (d *decider) piecesOf(r *rule) []piece {
	groups := d.groupsFor(r)
	if d.personMismatch(r, groups, noKey) != noKey {
		return nil
	}
	failed := d.placeholderFault(r, groups, r.deny) != "" ||
		r.deny && d.identity.possible != d.identity.sure && d.personMismatch(r, d.identity.sure, noKey) != noKey
	if failed && !r.deny {
		return nil
	}
	actions := d.actionsByValue(r)
	if actions == nil {
		return nil
	}
	var all []piece
	for _, filled := range d.fillAll(r, groups, r.deny) {
		for _, value := range []partialValue{always, depends, fails} {
			if len(actions[value]) == 0 || value == fails && !r.deny {
				continue
			}
			one := piece{
				rules: []string{r.Name}, services: newGlobList(r.services), types: newGlobList(r.types), name: filled,
				actions: actions[value], conditional: value == depends, failed: failed || value == fails,
			}
			if d.applyUnless(r, &one) {
				all = append(all, one)
			}
		}
	}
	return all
}

// applyUnless reports whether anything of a piece is left beside the rules that its unless
// names, and marks one that they may narrow as conditional.
func (d *decider) applyUnless(r *rule, one *piece) bool {
	for _, rank := range r.unless.all {
		named := d.policy.ranked[rank]
		covers := d.coversPerson(named)
		if covers == never {
			continue
		}
		for _, filled := range d.fillAll(named, d.identity.possible, true) {
			except := piece{services: newGlobList(named.services), types: newGlobList(named.types), name: filled}
			if covers == always && except.includesResources(one) {
				return false
			}
			one.conditional = one.conditional || except.overlapsResources(one)
		}
	}
	return true
}

// fillAll returns the globs of a rule with their placeholders filled. One that cannot be
// filled stands for any one component. strict is as for placeholderFault.
func (d *decider) fillAll(r *rule, groups *membership, strict bool) []filledGlob {
	var all []filledGlob
	for i := range r.patterns {
		all = append(all, d.fill(r, r.patterns[i].glob, groups, strict)...)
	}
	return all
}

// fill returns a glob with each value of each placeholder, up to maxFilled globs; beyond,
// placeholders of several values stay.
func (d *decider) fill(r *rule, g glob, groups *membership, strict bool) []filledGlob {
	fills, count := make(map[string][]token), 1
	for i := range g {
		if key := g[i].placeholder(); key != "" && fills[key] == nil {
			fills[key] = d.tokensOf(r, &g[i], groups, strict)
			count *= min(max(1, len(fills[key])), maxFilled+1)
		}
	}
	all := []glob{g}
	for key, tokens := range fills {
		if count > maxFilled && len(tokens) > 1 {
			continue
		}
		var next []glob
		for _, one := range all {
			for _, t := range tokens {
				next = append(next, one.replace(key, t))
			}
		}
		all = next
	}
	made := make([]filledGlob, len(all))
	for i := range all {
		made[i] = newFilledGlob(all[i])
	}
	slices.SortFunc(made, func(a, b filledGlob) int { return strings.Compare(a.text, b.text) })
	return made
}

// tokensOf returns what fills a placeholder: literals, or "*" where any one component may.
func (d *decider) tokensOf(r *rule, t *token, groups *membership, strict bool) []token {
	var texts []string
	switch any := []token{{kind: star}}; t.kind {
	case userName:
		if !d.identity.userCanFill {
			return any
		}
		texts = []string{d.identity.userText}
	case groupName:
		if !groups.canFill(r) || groups.all && r.namesGroups || strict && groups.unfillableFor(r) != nil {
			return any
		}
		for i := range groups.fillable {
			if g := &groups.fillable[i]; g.entries.intersects(&r.groups) && !slices.Contains(texts, g.text) {
				texts = append(texts, g.text)
			}
		}
	default:
		c := d.fillClaim(t.slot)
		if c.whyNot(strict) != "" {
			return any
		}
		texts = c.values
	}
	tokens := make([]token, len(texts))
	for i, text := range texts {
		tokens[i] = token{kind: literal, text: text}
	}
	return tokens
}
