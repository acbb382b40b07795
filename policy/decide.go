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
	d := decider{policy: p, req: &req, who: p.person(&req), hits: make([]hit, 0, 4)}
	var out Decision
	for i := range req.Scopes {
		scope := &req.Scopes[i]
		if len(scope.Actions) == 0 || len(scope.Name) == 0 || len(scope.Name) > registry.MaxName {
			continue
		}
		d.decide(scope)
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
	policy *Policy
	req    *Request
	who    *person

	facts   *facts
	results map[*condition]result
	values  values
	claims  []claim // by slot

	scope *registry.Scope
	asked asked
	hits  []hit          // the rules that matched the scope, or failed
	known map[*rule]bool // the same, when there are many
}

// hit is a rule that matched, or an allow rule that would have matched but for
// its fault.
type hit struct {
	rule  *rule
	fault string
}

func (h *hit) matched() bool { return h.rule.deny || h.fault == "" }

type result struct {
	holds bool
	fault string
}

// claim is whether a claim was looked up for its placeholder, and why it cannot
// fill it, if it cannot.
type claim struct {
	looked bool
	fault  string
}

// begin turns to the next scope.
func (d *decider) begin(scope *registry.Scope) {
	d.scope, d.asked = scope, d.policy.ask(scope)
	d.hits, d.known = d.hits[:0], nil
}

// decide finds the rules that match a scope.
func (d *decider) decide(scope *registry.Scope) {
	d.begin(scope)
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
	d.try(&ix.wide)
	d.tryUnfilled(ix)
	slices.SortFunc(d.hits, func(a, b hit) int { return a.rule.index - b.rule.index })
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
	d.try(ix.component[part])
	for _, n := range ix.beginning.lengths {
		if n <= len(part) {
			d.try(ix.beginning.buckets[part[:n]])
		}
	}
	for _, n := range ix.ending.lengths {
		if n <= len(part) {
			d.try(ix.ending.buckets[part[len(part)-n:]])
		}
	}
	if part == d.who.userFill {
		d.try(&ix.user)
	}
	if len(ix.group) > 0 {
		for _, g := range d.who.possible.find(part) {
			for _, id := range g.entries.all {
				d.try(ix.group[id])
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
		if d.claim(slot) != "" || hasComponent(d.scope.Name, d.values.claims[slot]) {
			d.try(b)
		}
	}
	if !d.who.userFills {
		d.try(&ix.user)
	}
	if d.who.possible.all {
		d.try(&ix.denyGroup)
	}
	for i := range d.who.possible.misfit {
		for _, id := range d.who.possible.misfit[i].entries.all {
			d.try(ix.group[id])
		}
	}
}

// try tries the rules of a bucket: all of them, or those filed under the
// entries that match the person, whichever are fewer.
func (d *decider) try(b *bucket) {
	if b == nil {
		return
	}
	groups := &d.who.possible.entries
	if b.byPerson == nil || len(d.who.users.all)+len(groups.all) > len(b.all)/4 {
		for i := range b.all {
			d.consider(&b.all[i])
		}
		return
	}
	for i := range b.everyone {
		d.consider(&b.everyone[i])
	}
	if d.who.possible.all {
		for i := range b.denyGroups {
			d.consider(&b.denyGroups[i])
		}
	}
	for _, set := range [...]*ids{groups, &d.who.users} {
		for _, id := range set.all {
			for i := range b.byPerson[id] {
				d.consider(&b.byPerson[id][i])
			}
		}
	}
}

// consider records a rule that matches, or whose fault belongs in the verdict.
// It evaluates [decider.mismatch] in its two halves, and skips the second for a
// rule that is recorded already.
func (d *decider) consider(c *candidate) {
	if d.cheapMismatch(c.rule, noKey) != noKey || d.noted(c.rule) {
		return
	}
	if k, fault := d.costlyMismatch(c, noKey); k == noKey {
		d.note(hit{c.rule, fault})
	}
}

// noted reports whether a rule was found already, by another of its patterns
// or of the person's names.
func (d *decider) noted(r *rule) bool {
	if d.known != nil {
		return d.known[r]
	}
	return slices.ContainsFunc(d.hits, func(h hit) bool { return h.rule == r })
}

func (d *decider) note(h hit) {
	d.hits = append(d.hits, h)
	if d.known == nil && len(d.hits) > manyHits {
		d.known = make(map[*rule]bool, 2*manyHits)
		for _, h := range d.hits {
			d.known[h.rule] = true
		}
	}
	if d.known != nil {
		d.known[h.rule] = true
	}
}

// manyHits is where a map finds a rule sooner than looking through the list.
const manyHits = 32

// condition evaluates a condition once for all scopes and all rules that have
// it.
func (d *decider) condition(c *condition) result {
	if got, ok := d.results[c]; ok {
		return got
	}
	if d.facts == nil {
		d.facts, d.results = newFacts(d.req), map[*condition]result{}
	}
	var got result
	var err error
	if got.holds, err = c.holds(d.facts); err != nil {
		got = result{fault: "when: " + shorten(err.Error(), 200)}
	}
	d.results[c] = got
	return got
}

// verdicts appends the part of each rule in the scope's decision.
func (d *decider) verdicts(all []Verdict) []Verdict {
	if len(d.hits) == 0 {
		return all
	}
	name := scopeName(d.scope)
	all = slices.Grow(all, len(d.hits))
	for i := range d.hits {
		h := &d.hits[i]
		v := Verdict{Rule: h.rule.Name, Effect: h.rule.Effect, Scope: name, Fault: h.fault}
		if h.matched() {
			v.Actions = d.asked.named(h.rule)
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
