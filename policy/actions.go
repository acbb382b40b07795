package policy

import (
	"slices"

	"shorepass/registry"
)

// asked is what a scope asks for. Actions that the policy knows are bits; any
// other can be granted by "*" only.
type asked struct {
	policy  *Policy
	actions []string // as the scope has them
	bits    uint64
	other   bool // an action that no rule names
	star    bool // "*", every action that rules grant
	catalog bool // registry:catalog, where "*" is an action of its own
}

// written are the actions that "*" is written out as.
const written = 1<<0 | 1<<1 | 1<<2 // pull, push, delete: the first of Policy.actions

func (p *Policy) ask(scope *registry.Scope) asked {
	a := asked{policy: p, actions: scope.Actions, catalog: scope.Type == "registry" && scope.Name == "catalog"}
	for _, action := range scope.Actions {
		switch bit := p.bit(action); {
		case action == "*":
			a.star = true
		case action == "":
		case bit != 0:
			a.bits |= bit
		default:
			a.other = true
		}
	}
	return a
}

// bit returns an action as a set of one, which is empty for an action that no
// rule names.
func (p *Policy) bit(action string) uint64 {
	if i := slices.Index(p.actions, action); i >= 0 {
		return 1 << i
	}
	return 0
}

// touches reports whether the rule's actions key matches.
func (a *asked) touches(r *rule) bool {
	return a.star || r.bits&a.bits != 0 || r.star && (a.other || a.bits != 0)
}

// grant is what the rules of one scope come to.
type grant struct {
	allowed, denied  uint64
	allStar, denStar bool // an allow, a deny rule with "*"
	anyDeny          bool
}

func (g *grant) add(r *rule) {
	if r.deny {
		g.denied, g.denStar, g.anyDeny = g.denied|r.bits, g.denStar || r.star, true
	} else {
		g.allowed, g.allStar = g.allowed|r.bits, g.allStar || r.star
	}
}

// gives reports whether an action, given by its bit, is granted.
func (g *grant) gives(bit uint64) bool {
	return (g.allStar || g.allowed&bit != 0) && !g.denStar && g.denied&bit == 0
}

// granted returns what the matched rules grant of what is asked.
func (d *decider) granted() []string {
	var g grant
	for i := range d.hits {
		if h := &d.hits[i]; h.matched() {
			g.add(h.rule)
		}
	}
	if g.allowed == 0 && !g.allStar || g.denStar {
		return nil
	}
	return d.asked.pick(&g)
}

// pick returns the asked actions that g gives, in the order asked. Where "*" is
// asked they are written out, since some registries take actions literally;
// "*" itself comes last, and only where nothing at all was denied.
func (a *asked) pick(g *grant) []string {
	p := a.policy
	if !a.star {
		all := true
		for _, action := range a.actions {
			all = all && action != "" && g.gives(p.bit(action))
		}
		if all {
			return slices.Clip(a.actions)
		}
	}
	var list []string
	for _, action := range a.actions {
		if action != "*" && action != "" && g.gives(p.bit(action)) {
			list = append(list, action)
		}
	}
	if !a.star {
		return list
	}
	more := g.allowed
	if g.allStar && !a.catalog {
		more |= written
	}
	for i, action := range p.actions {
		if bit := uint64(1) << i; more&^a.bits&bit != 0 && g.gives(bit) {
			list = append(list, action)
		}
	}
	if g.allStar && !g.anyDeny {
		list = append(list, "*")
	}
	return list
}

// named returns the actions that one rule adds or takes.
func (a *asked) named(r *rule) []string {
	var g grant
	g.allowed, g.allStar = r.bits, r.star
	return a.pick(&g)
}
