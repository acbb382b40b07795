package policy

import (
	"slices"

	"shorepass/registry"
)

// requested are the actions that a scope asks for. Actions that rules name are
// bits of a set; any other can be granted by "*" only.
type requested struct {
	policy  *Policy
	actions []string // of the scope, in its order
	bits    uint64
	other   bool // some action that no rule names
	star    bool // "*": every action that rules grant
	literal bool // the scope is of the type "registry" (the catalog), where "*" is an action of its own
}

// starActions are the actions that "*" is expanded to.
const starActions = 1<<0 | 1<<1 | 1<<2 // pull, push, delete: the first of Policy.actions

// newRequested returns the actions that a scope asks for.
func (p *Policy) newRequested(scope *registry.Scope) requested {
	a := requested{policy: p, actions: scope.Actions, literal: scope.Type == "registry"}
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

// actionBit returns the set of one action; it is empty for an action that no
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

// combined is the result of all rules that match one scope. Rules are combined
// by deny overrides: what a deny rule names is denied, whatever allow rule
// names it; what no rule names is denied by default.
type combined struct {
	allowed, denied actionSet
	anyDeny         bool
}

// add adds the actions of a rule that applies.
func (c *combined) add(m *ruleMatch) {
	switch r := m.rule; {
	case m.byAction != nil:
		c.addByAction(m)
	case r.deny:
		c.denied.bits, c.denied.every, c.anyDeny = c.denied.bits|r.bits, c.denied.every || r.star, true
	default:
		c.allowed.bits, c.allowed.every = c.allowed.bits|r.bits, c.allowed.every || r.star
	}
}

// permits reports whether an action, given as a set of one too, is granted.
func (c *combined) permits(bit uint64, action string) bool {
	return c.allowed.has(bit, action) && !c.denied.has(bit, action)
}

// granted returns the requested actions that the rules grant.
func (d *decider) granted() []string {
	var c combined
	for i := range d.matches {
		if m := &d.matches[i]; m.applies() {
			c.add(m)
		}
	}
	if c.allowed.isEmpty() || c.denied.every {
		return nil
	}
	return d.requested.grantedBy(&c)
}

// grantedBy returns the requested actions that c permits, in the order of the
// request. A requested "*" is expanded, because some registries take actions
// literally; "*" itself comes last, and only if no deny rule matched at all.
func (a *requested) grantedBy(c *combined) []string {
	p := a.policy
	if !a.star {
		all := true
		for _, action := range a.actions {
			all = all && action != "" && c.permits(p.actionBit(action), action)
		}
		if all {
			return slices.Clip(a.actions)
		}
	}
	var list []string
	for _, action := range a.actions {
		if action != "*" && action != "" && c.permits(p.actionBit(action), action) {
			list = append(list, action)
		}
	}
	if !a.star {
		return list
	}
	more := c.allowed.bits
	if c.allowed.every && !a.literal {
		more |= starActions
	}
	for i, action := range p.actions {
		if bit := uint64(1) << i; more&^a.bits&bit != 0 && c.permits(bit, action) {
			list = append(list, action)
		}
	}
	if (c.allowed.every || c.allowed.asterisk) && !c.anyDeny {
		list = append(list, "*")
	}
	return list
}

// affectedBy returns the requested actions that one rule adds or takes away.
func (a *requested) affectedBy(r *rule) []string {
	return a.grantedBy(&combined{allowed: actionSet{bits: r.bits, every: r.star}})
}
