package policy

import "fmt"

// key is one of the keys of a rule, in the order of their evaluation: cheap
// ones first, the condition and unless last.
type key int

const (
	keyUsers key = iota
	keyGroups
	keyProviders
	keyActions
	keyTypes
	keyServices
	keyRepositories
	keyWhen
	keyUnless
	noKey // no key mismatches
)

func (k key) String() string {
	return [...]string{"users", "groups", "providers", "actions", "types", "services", "repositories", "when", "unless", ""}[k]
}

// mismatch returns the first key by which a rule does not match the scope, or
// noKey if the rule matches or fails. Decide takes the rules without a mismatch, by
// the same steps; Explain also names those with exactly one.
//
// The key except is taken as matching, and the condition with it; noKey excepts
// none.
//
// If k is noKey, fault says why the rule failed, and is empty if it matches.
// [ruleMatch.applies] says what follows from a fault.
func (d *decider) mismatch(c *candidate, except key) (k key, fault string) {
	if k = d.cheapMismatch(c.rule, d.groupsFor(c.rule), except); k != noKey {
		return k, ""
	}
	covers, fault := d.coversName(c)
	if !covers && except != keyRepositories {
		return keyRepositories, fault
	}
	m := ruleMatch{rule: c.rule, fault: fault}
	k = d.finish(&m, except)
	return k, m.fault
}

// cheapMismatch is [decider.mismatch] for the keys that need neither the
// requested name nor the condition. groups are those that count.
func (d *decider) cheapMismatch(r *rule, groups *membership, except key) key {
	if k := d.personMismatch(r, groups, except); k != noKey {
		return k
	}
	switch {
	case except != keyActions && !d.requested.matches(r):
		return keyActions
	case except != keyTypes && !matchAny(r.types, d.scope.Type):
		return keyTypes
	case r.services != nil && except != keyServices && !matchAny(r.services, d.req.Service):
		return keyServices
	}
	return noKey
}

// personMismatch is [decider.mismatch] for the keys that need the person alone.
func (d *decider) personMismatch(r *rule, groups *membership, except key) key {
	switch {
	case r.Users != nil && except != keyUsers && !d.identity.users.intersects(&r.users):
		return keyUsers
	case r.Groups != nil && except != keyGroups && !groups.matches(r):
		return keyGroups
	case r.providers != nil && except != keyProviders && (d.req.Anonymous || !matchAny(r.providers, d.req.Provider)):
		return keyProviders
	}
	return noKey
}

// groupsFor returns the groups that count for a rule: for a deny rule the
// unsure ones too.
func (d *decider) groupsFor(r *rule) *membership {
	if r.deny {
		return d.identity.possible
	}
	return d.identity.sure
}

// coversName reports whether the repositories key matches, and why the rule fails
// there.
func (d *decider) coversName(c *candidate) (covers bool, fault string) {
	covers, fault = d.coversAny(c, d.groupsFor(c.rule), c.rule.deny)
	if covers && c.rule.deny && d.identity.possible != d.identity.sure {
		fault = d.unsureFault(c.rule, fault)
	}
	return covers, fault
}

// finish evaluates the condition and unless of a rule whose other keys match, and
// returns the one of them that does not, or noKey. The rule's fault gets theirs
// added. An allow rule that failed already is not evaluated further.
func (d *decider) finish(m *ruleMatch, except key) key {
	switch r := m.rule; {
	case r.when == nil && len(r.unless.all) == 0, !m.applies():
		return noKey
	case r.byAction:
		return d.finishByAction(m, except)
	}
	k, fault := d.lastKeys(m.rule, m.fault, "", except)
	m.fault = fault
	return k
}

// lastKeys evaluates the condition and unless of a rule for an action. It returns the
// one that does not match, or noKey, and the fault of the rule with theirs added.
func (d *decider) lastKeys(r *rule, fault, action string, except key) (key, string) {
	if r.when != nil && except == noKey {
		got := d.evalCondition(r.when, action)
		if got.isFalse() {
			return keyWhen, fault
		}
		fault = joinFaults(fault, got.fault)
	}
	if len(r.unless.all) > 0 && except != keyUnless && (r.deny || fault == "") {
		got := d.covered(r, action)
		if got.holds {
			return keyUnless, fault
		}
		fault = joinFaults(fault, got.fault)
	}
	return noKey, fault
}

// joinFaults joins two faults, of which either may be empty.
func joinFaults(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

// unsureFault returns the fault of a deny rule that matches a person with
// unsure groups. If the rule matches by the sure groups alone, that is the
// fault of that match, mostly none. Else it says that groups are not known,
// followed by the fault that the rule has besides.
func (d *decider) unsureFault(r *rule, fault string) string {
	sure := d.identity.sure
	if r.Groups == nil || sure.matches(r) {
		if covers, known := d.coversAny(&candidate{r, r.patterns}, sure, true); covers {
			return known
		}
	}
	return joinFaults(d.whyUnsure(r), fault)
}

// whyUnsure says which unsure group a rule's groups key matches.
func (d *decider) whyUnsure(r *rule) string {
	for _, name := range d.identity.unsure {
		entries := newIDs(d.policy.matchingEntries(d.identity, name))
		if entries.intersects(&r.groups) {
			return fmt.Sprintf("groups: whether the person is in %q is not known", truncate(name, 64))
		}
	}
	return "groups: not all groups of the person are known"
}

// coversAny reports whether some pattern of the candidate covers the requested name,
// and why the rule fails there. A placeholder that cannot be filled stands for any one
// component. strict is as for placeholderFault.
func (d *decider) coversAny(c *candidate, groups *membership, strict bool) (covers bool, fault string) {
	fault = d.placeholderFault(c.rule, groups, strict)
	loose := fault != "" || groups.all && c.rule.namesGroups && c.rule.needsGroup
	d.exhausted = false
	for i := range c.patterns {
		if p := &c.patterns[i]; loose && d.mightCover(c.rule, p, groups, strict) || !loose && d.covers(c.rule, p, groups) {
			return true, fault
		}
	}
	if d.exhausted {
		return true, joinFaults(fault, tooManySteps)
	}
	return false, fault
}

// matchAny reports whether one of the globs matches a name.
func matchAny(globs []glob, name string) bool {
	for _, g := range globs {
		if text, ok := g.literal(); ok && text == name || !ok && g.match(name, nil) {
			return true
		}
	}
	return false
}
