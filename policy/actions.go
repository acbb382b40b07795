package policy

import (
	"slices"

	"shorepass/registry"
)

// requested is what a scope asks for. Actions that the policy knows are bits; any
// other can be granted by "*" only.
type requested struct {
	policy  *Policy
	actions []string // as the scope has them
	bits    uint64
	other   bool // an action that no rule names
	star    bool // "*", every action that rules grant
	catalog bool // registry:catalog, where "*" is an action of its own
}

// starActions are the actions that "*" is written out as.
const starActions = 1<<0 | 1<<1 | 1<<2 // pull, push, delete: the first of Policy.actions

func (p *Policy) newRequested(scope *registry.Scope) requested {
	a := requested{policy: p, actions: scope.Actions, catalog: scope.Type == "registry" && scope.Name == "catalog"}
	for _, action := range scope.Actions {
		switch bit := p.actionBit(action); {
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

// actionBit returns an action as a set of one, which is empty for an action that no
// rule names.
func (p *Policy) actionBit(action string) uint64 {
	if i := slices.Index(p.actions, action); i >= 0 {
		return 1 << i
	}
	return 0
}

// matches reports whether the rule's actions key matches.
func (a *requested) matches(r *rule) bool {
	return a.star || r.bits&a.bits != 0 || r.star && (a.other || a.bits != 0)
}

// combined is what the rules of one scope come to.
type combined struct {
	allowed, denied  uint64
	allStar, denStar bool // an allow, a deny rule with "*"
	anyDeny          bool
}

func (g *combined) add(r *rule) {
	if r.deny {
		g.denied, g.denStar, g.anyDeny = g.denied|r.bits, g.denStar || r.star, true
	} else {
		g.allowed, g.allStar = g.allowed|r.bits, g.allStar || r.star
	}
}

// permits reports whether an action, given by its bit, is granted.
func (g *combined) permits(bit uint64) bool {
	return (g.allStar || g.allowed&bit != 0) && !g.denStar && g.denied&bit == 0
}

// granted returns what the matched rules grant of what is asked.
func (d *decider) granted() []string {
	var g combined
	for i := range d.matches {
		if h := &d.matches[i]; h.applies() {
			g.add(h.rule)
		}
	}
	if g.allowed == 0 && !g.allStar || g.denStar {
		return nil
	}
	return d.requested.grantedBy(&g)
}

// grantedBy returns the asked actions that g gives, in the order asked. Where "*" is
// asked they are written out, since some registries take actions literally;
// "*" itself comes last, and only where nothing at all was denied.
func (a *requested) grantedBy(g *combined) []string {
	p := a.policy
	if !a.star {
		all := true
		for _, action := range a.actions {
			all = all && action != "" && g.permits(p.actionBit(action))
		}
		if all {
			return slices.Clip(a.actions)
		}
	}
	var list []string
	for _, action := range a.actions {
		if action != "*" && action != "" && g.permits(p.actionBit(action)) {
			list = append(list, action)
		}
	}
	if !a.star {
		return list
	}
	more := g.allowed
	if g.allStar && !a.catalog {
		more |= starActions
	}
	for i, action := range p.actions {
		if bit := uint64(1) << i; more&^a.bits&bit != 0 && g.permits(bit) {
			list = append(list, action)
		}
	}
	if g.allStar && !g.anyDeny {
		list = append(list, "*")
	}
	return list
}

// affectedBy returns the actions that one rule adds or takes.
func (a *requested) affectedBy(r *rule) []string {
	var g combined
	g.allowed, g.allStar = r.bits, r.star
	return a.grantedBy(&g)
}
