package policy

import "strings"

// key is one of the keys by which a rule matches a scope of a request, in the
// order in which they are evaluated: cheap ones first, the condition last.
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
	noKey // the rule matches
)

func (k key) String() string {
	return [...]string{"users", "groups", "actions", "types", "providers", "services", "repositories", "when", ""}[k]
}

// mismatch returns the first key by which a rule does not match the scope, or
// noKey. The key except is taken as matching, and the condition with it; noKey
// excepts none. No other code evaluates a rule: Decide takes the rules without
// a mismatch, Explain also names those with a single one.
//
// fault says why a placeholder could not be filled, or why the condition failed.
// A rule with a fault has no mismatch; [hit.matched] tells whether it applies.
func (d *decider) mismatch(c *candidate, except key) (k key, fault string) {
	if k = d.cheapMismatch(c.rule, except); k != noKey {
		return k, ""
	}
	return d.costlyMismatch(c, except)
}

// cheapMismatch is [decider.mismatch] for what needs neither the asked name nor
// the condition.
func (d *decider) cheapMismatch(r *rule, except key) key {
	switch {
	case r.Users != nil && except != keyUsers && !d.who.users.meets(&r.users):
		return keyUsers
	case r.Groups != nil && except != keyGroups && !d.who.groups.meets(&r.groups):
		return keyGroups
	case except != keyActions && !d.asked.touches(r):
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

// costlyMismatch is [decider.mismatch] for the repositories and the condition.
func (d *decider) costlyMismatch(c *candidate, except key) (k key, fault string) {
	fault = d.unfilled(c.rule)
	if except != keyRepositories && !d.coversAny(c, fault) {
		return keyRepositories, fault
	}
	when := c.rule.when
	if when == nil || except != noKey || fault != "" && !c.rule.deny {
		return noKey, fault
	}
	got := d.condition(when)
	if got.fault != "" {
		return noKey, strings.TrimPrefix(fault+"; "+got.fault, "; ")
	}
	if !got.holds {
		return keyWhen, fault
	}
	return noKey, fault
}

// coversAny reports whether some pattern of the candidate covers the asked
// name. Where a placeholder cannot be filled, a deny rule covers every name and
// an allow rule those that it might cover.
func (d *decider) coversAny(c *candidate, fault string) bool {
	if fault != "" && c.rule.deny {
		return true
	}
	for i := range c.patterns {
		if p := &c.patterns[i]; fault == "" && d.covers(c.rule, p) || fault != "" && d.mightCover(c.rule, p) {
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
