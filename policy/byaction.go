package policy

import "slices"

// actionSet is a set of actions.
type actionSet struct {
	bits     uint64   // those that rules name: bit n is Policy.actions[n]
	others   []string // those that no rule names
	every    bool     // all there are
	asterisk bool     // "*" itself
}

func (s *actionSet) isEmpty() bool {
	return s.bits == 0 && !s.every && !s.asterisk && len(s.others) == 0
}

// has reports whether an action other than "*", given as a set of one too, is in the
// set.
func (s *actionSet) has(bit uint64, action string) bool {
	return s.every || s.bits&bit != 0 || bit == 0 && slices.Contains(s.others, action)
}

// add adds one action, given as a set of one too.
func (s *actionSet) add(bit uint64, action string) {
	switch {
	case action == "*":
		s.asterisk = true
	case bit != 0:
		s.bits |= bit
	default:
		s.others = append(s.others, action)
	}
}

// union adds the actions of another set.
func (s *actionSet) union(other *actionSet) {
	s.bits, s.every, s.asterisk = s.bits|other.bits, s.every || other.every, s.asterisk || other.asterisk
	s.others = append(s.others, other.others...)
}

// actionMatch says for which actions a rule matched, and for which it failed.
type actionMatch struct {
	matched, failed actionSet
}

// finishByAction is [decider.finish] for a rule that is evaluated for each action by
// itself.
func (d *decider) finishByAction(m *ruleMatch, except key) key {
	var (
		match         actionMatch
		mismatched    key    // of some action
		fault, failed string // why the rule fails, and the first action for which it does
	)
	for _, action := range d.requested.evaluated() {
		bit := d.policy.actionBit(action)
		if except != keyActions && !m.rule.hasAction(bit, action) {
			continue
		}
		k, why := d.lastKeys(m.rule, m.fault, action, except)
		switch {
		case k != noKey:
			mismatched = max(mismatched, k)
		case why != "":
			match.failed.add(bit, action)
			if fault == "" {
				fault, failed = why, action
			}
		case d.requested.expandedFor(m.rule, bit, action) || except == keyActions:
			match.matched.add(bit, action)
		}
	}
	// "*" stands for every action, so an allow rule gives it only where it matches for
	// all. For the catalog it is an action of its own.
	match.matched.every = m.rule.star && mismatched == 0 && match.failed.isEmpty()
	match.matched.asterisk = match.matched.asterisk && (match.matched.every || d.requested.literal || m.rule.deny)
	if match.matched.isEmpty() && match.failed.isEmpty() {
		return mismatched
	}
	if fault != "" && !match.matched.isEmpty() {
		fault = "for " + failed + ": " + fault
	}
	m.fault, m.byAction = fault, &match
	return noKey
}

// evaluated returns the actions for which a rule is evaluated that is evaluated for
// each action: those requested, and for "*" those that some rule names, "*" last.
func (a *requested) evaluated() []string {
	var all []string
	add := func(actions []string) {
		for _, action := range actions {
			if action != "" && action != "*" && !slices.Contains(all, action) {
				all = append(all, action)
			}
		}
	}
	add(a.actions)
	if a.star {
		add(a.policy.actions)
		all = append(all, "*")
	}
	return all
}

// hasAction reports whether the rule's actions key has an action, given as a set of one
// too. A deny rule has "*", since it takes it away with any other.
func (r *rule) hasAction(bit uint64, action string) bool {
	return r.star || r.bits&bit != 0 || action == "*" && r.deny
}

// expandedFor reports whether a rule gives or takes an action that is evaluated. A deny
// rule takes each. An allow rule with "*" gives those requested, and for a requested "*"
// also pull, push and delete, but for the catalog.
func (a *requested) expandedFor(r *rule, bit uint64, action string) bool {
	return r.deny || r.bits&bit != 0 || slices.Contains(a.actions, action) || !a.literal && bit&starActions != 0
}

// addByAction is [combined.add] for a rule that was evaluated for each action.
func (c *combined) addByAction(m *ruleMatch) {
	if !m.rule.deny {
		c.allowed.union(&m.byAction.matched)
		return
	}
	c.denied.union(&m.byAction.matched)
	c.denied.union(&m.byAction.failed)
	c.anyDeny = true
}

// verdictsByAction appends the verdicts of a rule that was evaluated for each action:
// one on those for which it matched, one on those for which it failed.
func (d *decider) verdictsByAction(all []Verdict, m *ruleMatch, scope string) []Verdict {
	v := Verdict{Rule: m.rule.Name, Effect: m.rule.Effect, Scope: scope}
	if set := &m.byAction.matched; !set.isEmpty() {
		v.Actions = d.requested.affectedBySet(m.rule, set)
		all = append(all, v)
	}
	if set := &m.byAction.failed; !set.isEmpty() {
		v.Actions, v.Fault = nil, m.fault
		if m.rule.deny {
			v.Actions = d.requested.affectedBySet(m.rule, set)
		}
		all = append(all, v)
	}
	return all
}

// affectedBySet returns the requested actions in a set that a rule adds or takes away.
func (a *requested) affectedBySet(r *rule, set *actionSet) []string {
	return a.grantedBy(&combined{allowed: *set})
}
