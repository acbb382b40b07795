package policy

import (
	"slices"
	"strings"

	"shorepass/registry"
)

// Decide returns what req is granted. It cannot fail: whatever goes wrong in a
// rule takes rights away and is said in the Verdict. A name that no registry
// takes for one, being longer than [registry.MaxName], is granted to nobody.
//
// The slices of the decision may be those of req, and are not to be changed.
func (p *Policy) Decide(req Request) Decision {
	d := decider{policy: p, req: &req, identity: p.identity(&req), matches: make([]ruleMatch, 0, 4)}
	var out Decision
	for i := range req.Scopes {
		scope := &req.Scopes[i]
		if len(scope.Actions) == 0 || len(scope.Name) == 0 || len(scope.Name) > registry.MaxName {
			continue
		}
		d.matchRules(scope)
		if granted := d.granted(); len(granted) > 0 {
			if out.Access == nil {
				out.Access = make([]registry.Access, 0, len(req.Scopes)-i)
			}
			out.Access = append(out.Access, registry.Access{Type: scope.Type, Class: scope.Class, Name: scope.Name, Actions: granted})
		}
		out.Rules = d.verdicts(out.Rules)
	}
	return out
}

// decider holds what one decision needs. Of these, what is costly is made when
// a rule first asks for it.
type decider struct {
	policy   *Policy
	req      *Request
	identity *identity

	activation *activation
	results    map[*condition]conditionResult
	values     values
	claims     []claimFill // by slot

	scope         *registry.Scope
	requested     requested
	matches       []ruleMatch    // the rules that matched the scope, or failed
	recordedRules map[*rule]bool // the same, when there are many
}

// ruleMatch is a rule that matched, or an allow rule that would have matched but for
// its fault.
type ruleMatch struct {
	rule  *rule
	fault string
}

func (h *ruleMatch) applies() bool { return h.rule.deny || h.fault == "" }

type conditionResult struct {
	holds bool
	fault string
}

// claimFill is whether a claim was looked up for its placeholder, and why it cannot
// fill it, if it cannot.
type claimFill struct {
	done  bool
	fault string
}

// setScope turns to the next scope.
func (d *decider) setScope(scope *registry.Scope) {
	d.scope, d.requested = scope, d.policy.newRequested(scope)
	d.matches, d.recordedRules = d.matches[:0], nil
}

// matchRules finds the rules that match a scope.
func (d *decider) matchRules(scope *registry.Scope) {
	d.setScope(scope)
	ix := &d.policy.index
	name := scope.Name
	for begin := 0; begin <= len(name); {
		end := begin + strings.IndexByte(name[begin:], '/')
		if end < begin {
			end = len(name)
		}
		// The rules of a component that stood before were tried there.
		if part := name[begin:end]; !hasComponent(name[:begin], part) {
			d.tryComponent(ix, part)
		}
		begin = end + 1
	}
	d.tryBucket(&ix.unkeyed)
	d.tryUnfilled(ix)
	slices.SortFunc(d.matches, func(a, b ruleMatch) int { return a.rule.index - b.rule.index })
}

// hasComponent reports whether path has component as one of its components.
func hasComponent(path, component string) bool {
	for path != "" {
		head, tail, _ := strings.Cut(path, "/")
		if head == component {
			return true
		}
		path = tail
	}
	return false
}

// tryComponent tries the rules that are filed under a component of the asked name,
// by its text, its ends, or what it is to the person.
func (d *decider) tryComponent(ix *index, part string) {
	d.tryBucket(ix.component[part])
	for _, n := range ix.prefix.lengths {
		if n <= len(part) {
			d.tryBucket(ix.prefix.buckets[part[:n]])
		}
	}
	for _, n := range ix.suffix.lengths {
		if n <= len(part) {
			d.tryBucket(ix.suffix.buckets[part[len(part)-n:]])
		}
	}
	if part == d.identity.userText {
		d.tryBucket(&ix.user)
	}
	if len(ix.group) > 0 {
		for _, g := range d.identity.possible.withText(part) {
			for _, id := range g.entries.all {
				d.tryBucket(ix.group[id])
			}
		}
	}
}

// tryUnfilled tries the rules under claims, and those under placeholders that
// cannot be filled, which stand for any component: deny rules match by that, and
// of allow rules the audit line says why they do not.
func (d *decider) tryUnfilled(ix *index) {
	for slot := range ix.claim {
		b := &ix.claim[slot]
		if len(b.all) == 0 {
			continue
		}
		if d.fillClaim(slot) != "" || hasComponent(d.scope.Name, d.values.claims[slot]) {
			d.tryBucket(b)
		}
	}
	if !d.identity.userCanFill {
		d.tryBucket(&ix.user)
	}
	if d.identity.possible.all {
		d.tryBucket(&ix.denyGroup)
	}
	for i := range d.identity.possible.unfillable {
		for _, id := range d.identity.possible.unfillable[i].entries.all {
			d.tryBucket(ix.group[id])
		}
	}
}

// tryBucket tries the rules of a bucket: all of them, or those filed under the
// entries that match the person, whichever are fewer.
func (d *decider) tryBucket(b *bucket) {
	if b == nil {
		return
	}
	groups := &d.identity.possible.entries
	if b.byEntry == nil || len(d.identity.users.all)+len(groups.all) > len(b.all)/4 {
		for i := range b.all {
			d.evaluate(&b.all[i])
		}
		return
	}
	for i := range b.everyone {
		d.evaluate(&b.everyone[i])
	}
	if d.identity.possible.all {
		for i := range b.denyGroups {
			d.evaluate(&b.denyGroups[i])
		}
	}
	for _, set := range [...]*ids{groups, &d.identity.users} {
		for _, id := range set.all {
			for i := range b.byEntry[id] {
				d.evaluate(&b.byEntry[id][i])
			}
		}
	}
}

// evaluate records a rule that matches, or whose fault belongs in the verdict.
// It evaluates [decider.mismatch] in its two halves, and skips the second for a
// rule that is recorded already.
func (d *decider) evaluate(c *candidate) {
	if d.cheapMismatch(c.rule, noKey) != noKey || d.recorded(c.rule) {
		return
	}
	if k, fault := d.costlyMismatch(c, noKey); k == noKey {
		d.record(ruleMatch{c.rule, fault})
	}
}

// recorded reports whether a rule was found already, by another of its patterns
// or of the person's names.
func (d *decider) recorded(r *rule) bool {
	if d.recordedRules != nil {
		return d.recordedRules[r]
	}
	return slices.ContainsFunc(d.matches, func(h ruleMatch) bool { return h.rule == r })
}

func (d *decider) record(h ruleMatch) {
	d.matches = append(d.matches, h)
	if d.recordedRules == nil && len(d.matches) > manyMatches {
		d.recordedRules = make(map[*rule]bool, 2*manyMatches)
		for _, h := range d.matches {
			d.recordedRules[h.rule] = true
		}
	}
	if d.recordedRules != nil {
		d.recordedRules[h.rule] = true
	}
}

// manyMatches is where a map finds a rule sooner than looking through the list.
const manyMatches = 32

// evalCondition evaluates a condition once for all scopes and all rules that have
// it.
func (d *decider) evalCondition(c *condition) conditionResult {
	if got, ok := d.results[c]; ok {
		return got
	}
	if d.activation == nil {
		d.activation, d.results = newActivation(d.req), map[*condition]conditionResult{}
	}
	var got conditionResult
	var err error
	if got.holds, err = c.holds(d.activation); err != nil {
		got = conditionResult{fault: "when: " + truncate(err.Error(), 200)}
	}
	d.results[c] = got
	return got
}

// verdicts appends the part of each rule in the scope's decision.
func (d *decider) verdicts(all []Verdict) []Verdict {
	if len(d.matches) == 0 {
		return all
	}
	name := scopeName(d.scope)
	all = slices.Grow(all, len(d.matches))
	for i := range d.matches {
		h := &d.matches[i]
		v := Verdict{Rule: h.rule.Name, Effect: h.rule.Effect, Scope: name, Fault: h.fault}
		if h.applies() {
			v.Actions = d.requested.affectedBy(h.rule)
		}
		all = append(all, v)
	}
	return all
}

// scopeName returns a resource as a scope names it, without the actions.
func scopeName(s *registry.Scope) string {
	if s.Class != "" {
		return s.Type + "(" + s.Class + "):" + s.Name
	}
	return s.Type + ":" + s.Name
}
