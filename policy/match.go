package policy

import (
	"fmt"
	"strings"
)

// key is one of the keys of a rule, in the order of their evaluation: cheap
// ones first, the condition last.
type key int

const (
	keyUsers key = iota
	keyGroups
	keyActions
	keyTypes
	keyProviders
	keyServices
	keyRepositories
	keyWhen
	noKey // no key mismatches
)

func (k key) String() string {
	return [...]string{"users", "groups", "actions", "types", "providers", "services", "repositories", "when", ""}[k]
}

// mismatch returns the first key by which a rule does not match the scope, or
// noKey if the rule matches or fails. It is the only code that evaluates a
// rule: Decide takes the rules without a mismatch, Explain also names those
// with exactly one.
//
// The key except is taken as matching, and the condition with it; noKey excepts
// none.
//
// If k is noKey, fault says why the rule failed, and is empty if it matches.
// [ruleMatch.applies] says what follows from a fault.
func (d *decider) mismatch(c *candidate, except key) (k key, fault string) {
	if k = d.cheapMismatch(c.rule, except); k != noKey {
		return k, ""
	}
	return d.costlyMismatch(c, except)
}

// cheapMismatch is [decider.mismatch] for the keys that need neither the
// requested name nor the condition.
func (d *decider) cheapMismatch(r *rule, except key) key {
	switch {
	case r.Users != nil && except != keyUsers && !d.identity.users.intersects(&r.users):
		return keyUsers
	case r.Groups != nil && except != keyGroups && !d.groupsFor(r).matches(r):
		return keyGroups
	case except != keyActions && !d.requested.matches(r):
		return keyActions
	case except != keyTypes && !matchAny(r.types, d.scope.Type):
		return keyTypes
	case r.providers != nil && except != keyProviders && (d.req.Anonymous || !matchAny(r.providers, d.req.Provider)):
		return keyProviders
	case r.services != nil && except != keyServices && !matchAny(r.services, d.req.Service):
		return keyServices
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

// costlyMismatch is [decider.mismatch] for the repositories and the condition.
func (d *decider) costlyMismatch(c *candidate, except key) (k key, fault string) {
	groups := d.groupsFor(c.rule)
	fault = d.placeholderFault(c.rule, groups)
	if except != keyRepositories && !d.coversAny(c, groups, fault) {
		return keyRepositories, fault
	}
	if c.rule.deny && d.identity.possible != d.identity.sure {
		fault = d.unsureFault(c.rule, fault)
	}
	when := c.rule.when
	if when == nil || except != noKey || fault != "" && !c.rule.deny {
		return noKey, fault
	}
	got := d.evalCondition(when)
	if got.fault != "" {
		return noKey, strings.TrimPrefix(fault+"; "+got.fault, "; ")
	}
	if !got.holds {
		return keyWhen, fault
	}
	return noKey, fault
}

// unsureFault returns the fault of a deny rule that matches a person with
// unsure groups. If the rule matches by the sure groups alone, that is the
// fault of that match, mostly none. Else it says that groups are not known,
// followed by the fault that the rule has besides.
func (d *decider) unsureFault(r *rule, fault string) string {
	sure := d.identity.sure
	known := d.placeholderFault(r, sure)
	if (r.Groups == nil || sure.matches(r)) && d.coversAny(&candidate{r, r.patterns}, sure, known) {
		return known
	}
	why := "groups: not all groups of the person are known"
	for i := range d.identity.unsure {
		entries := newIDs(d.policy.matchingEntries(d.identity, d.identity.unsure[i]))
		if entries.intersects(&r.groups) {
			why = fmt.Sprintf("groups: whether the person is in %q is not known", truncate(d.identity.unsure[i], 64))
			break
		}
	}
	return strings.TrimSuffix(why+"; "+fault, "; ")
}

// coversAny reports whether some pattern of the candidate covers the requested
// name. A placeholder that cannot be filled stands for any one component.
func (d *decider) coversAny(c *candidate, groups *membership, fault string) bool {
	loose := fault != "" || groups.all && c.rule.namesGroups && c.rule.needsGroup
	for i := range c.patterns {
		if p := &c.patterns[i]; loose && d.mightCover(c.rule, p, groups) || !loose && d.covers(c.rule, p, groups) {
			return true
		}
	}
	return false
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
