package policy

import (
	"slices"
	"strings"

	"shorepass/registry"
)

// Decide returns what req is granted. It cannot fail: a rule that fails takes
// rights away, and its Verdict says why. A name longer than [registry.MaxName],
// which no registry accepts, is granted to no one.
//
// The decision may share slices with req; neither may be changed.
func (p *Policy) Decide(req Request) Decision {
	d := p.newDecider(&req)
	var out Decision
	for i := range req.Scopes {
		scope := &req.Scopes[i]
		if granted := d.decide(scope); len(granted) > 0 {
			if out.Access == nil {
				out.Access = make([]registry.Access, 0, len(req.Scopes)-i)
			}
			out.Access = append(out.Access, registry.Access{Type: scope.Type, Class: scope.Class, Name: scope.Name, Actions: granted})
		}
		out.Rules = d.verdicts(out.Rules)
	}
	return out
}

func (p *Policy) newDecider(req *Request) decider {
	return decider{policy: p, req: req, identity: p.identity(req), matches: make([]ruleMatch, 0, 4)}
}

// decide returns the actions that are granted on a scope, and leaves the rules that
// matched it in d.matches.
func (d *decider) decide(scope *registry.Scope) []string {
	ruled := asRuled(scope)
	if len(ruled.Actions) == 0 || len(ruled.Name) == 0 || len(ruled.Name) > registry.MaxName {
		d.matches = d.matches[:0]
		return nil
	}
	d.matchRules(ruled)
	return d.granted()
}

// decider holds the state of one decision. It computes costly values (the
// activation, the results of conditions, the values of claims) when a rule
// first needs them, and then reuses them.
type decider struct {
	policy   *Policy
	req      *Request
	identity *identity

	activation      *activation
	results         map[evaluation]ternary // of conditions on the request and the action
	resourceResults map[evaluation]ternary // of conditions on the resource of the scope
	spent           uint64                 // the cost of all evaluations of conditions
	values          values
	claims          []claimFill // by slot, as in Policy.claims
	hasLists        bool        // some claim in claims has several values
	steps           int         // of setMatcher, for all scopes
	exhausted       bool        // a match was given up, since there were too many steps

	scope           *registry.Scope
	requested       requested
	occurringGroups [2]occurringGroups // of those known, and of those possible
	matches         []ruleMatch        // the rules that matched the scope or failed on it
	recordedRules   map[*rule]bool     // the same as a set, once there are many
	named           []namedRule        // the rules that some unless names and that may cover the scope
}

// occurringGroups are the groups that occur in the name of the scope, once they are
// looked up.
type occurringGroups struct {
	done   bool
	groups []group
}

// ruleMatch is a rule that matched or failed, with the fault if it failed. Before
// [decider.finish] only the keys but when and unless are evaluated.
type ruleMatch struct {
	rule     *rule
	fault    string
	byAction *actionMatch // for which actions it did, if that differs; else nil
}

// applies reports whether the rule has its effect, for some action at least: a rule
// that failed does if it is a deny rule.
func (m *ruleMatch) applies() bool { return m.rule.deny || m.fault == "" || m.byAction != nil }

// ternary is a truth value of three-valued logic: true, false, or unknown for the
// reason in fault.
type ternary struct {
	holds bool
	fault string
}

func (t ternary) isFalse() bool { return !t.holds && t.fault == "" }

// evaluation is an evaluation of a condition: for one action if the condition names
// the action.
type evaluation struct {
	condition *condition
	action    string
}

// claimFill is the cached look-up of a claim for its placeholder.
type claimFill struct {
	done        bool     // the claim was looked up
	values      []string // those that can fill the placeholder, sorted
	fault       string   // why there is none; empty if there is
	strictFault string   // why some value cannot fill the placeholder; empty if all can
}

// setScope begins the evaluation of the next scope.
func (d *decider) setScope(scope *registry.Scope) {
	d.scope, d.requested = scope, d.policy.newRequested(scope)
	d.matches, d.recordedRules, d.named = d.matches[:0], nil, d.named[:0]
	d.occurringGroups[0].done, d.occurringGroups[1].done = false, false
	clear(d.resourceResults)
}

// matchRules finds the rules that match a scope or fail on it, in the order of
// the file. It tries only those that the index has for the requested name and
// the person.
func (d *decider) matchRules(scope *registry.Scope) {
	d.setScope(scope)
	ix := &d.policy.index
	name := scope.Name
	for begin := 0; begin <= len(name); {
		end := begin + strings.IndexByte(name[begin:], '/')
		if end < begin {
			end = len(name)
		}
		// The rules of a repeated component were tried at its first place.
		if part := name[begin:end]; !hasComponent(name[:begin], part) {
			d.tryComponent(ix, part)
		}
		begin = end + 1
	}
	d.tryBucket(&ix.unkeyed)
	d.tryUnfilled(ix)
	d.finishMatches()
}

// finishMatches evaluates when and unless of the rules recorded, by rank, and drops
// those that do not match. It leaves the others in the order of the file.
func (d *decider) finishMatches() {
	slices.SortFunc(d.matches, func(a, b ruleMatch) int { return a.rule.rank - b.rule.rank })
	d.sortNamed()
	kept := d.matches[:0]
	for _, m := range d.matches {
		if d.finish(&m, noKey) == noKey {
			kept = append(kept, m)
		}
	}
	d.matches = kept
	slices.SortFunc(d.matches, func(a, b ruleMatch) int { return a.rule.index - b.rule.index })
}

// hasComponent reports whether one of the components of path is component.
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

// tryComponent tries the rules under a component of the requested name: those
// in the index by its text, by its prefixes and suffixes, and by the person's
// user name or group that it equals.
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
// cannot be filled. An unfilled placeholder stands for any one component: so deny
// rules match, and the audit line says of allow rules why they do not.
func (d *decider) tryUnfilled(ix *index) {
	for slot := range ix.claim {
		b := &ix.claim[slot]
		if len(b.all) == 0 {
			continue
		}
		if d.fillClaim(slot).mayFill(d.scope.Name) {
			d.tryBucket(b)
		}
	}
	if !d.identity.userCanFill {
		d.tryBucket(&ix.user)
	}
	if d.identity.possible.all {
		d.tryBucket(&ix.anyGroup)
	}
	for i := range d.identity.possible.unfillable {
		for _, id := range d.identity.possible.unfillable[i].entries.all {
			d.tryBucket(ix.group[id])
		}
	}
}

// tryBucket tries the rules of a bucket: all of them, or only those under
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
		for i := range b.anyGroup {
			d.evaluate(&b.anyGroup[i])
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

// evaluate records a rule if its keys but when and unless match or fail.
func (d *decider) evaluate(c *candidate) {
	if c.rule.named {
		d.noteNamed(c.rule)
	}
	if d.cheapMismatch(c.rule, d.groupsFor(c.rule), noKey) != noKey || d.recorded(c.rule) {
		return
	}
	if covers, fault := d.coversName(c); covers {
		d.record(ruleMatch{rule: c.rule, fault: fault})
	}
}

// recorded reports whether a rule is recorded already, by another of its
// patterns or of the person's names.
func (d *decider) recorded(r *rule) bool {
	if d.recordedRules != nil {
		return d.recordedRules[r]
	}
	return slices.ContainsFunc(d.matches, func(m ruleMatch) bool { return m.rule == r })
}

// record adds a rule to the matches of the scope.
func (d *decider) record(m ruleMatch) {
	d.matches = append(d.matches, m)
	if d.recordedRules == nil && len(d.matches) > manyMatches {
		d.recordedRules = make(map[*rule]bool, 2*manyMatches)
		for _, m := range d.matches {
			d.recordedRules[m.rule] = true
		}
	}
	if d.recordedRules != nil {
		d.recordedRules[m.rule] = true
	}
}

// manyMatches is the number of matches above which a map is faster than a
// search of the list.
const manyMatches = 32

// evalCondition evaluates a condition for an action, once for all rules that share it:
// for all scopes unless it names the resource, and for all actions unless it names the
// action.
func (d *decider) evalCondition(c *condition, action string) ternary {
	at := evaluation{condition: c}
	if c.byAction {
		at.action = action
	}
	if d.results == nil {
		d.results = map[evaluation]ternary{}
	}
	results := d.results
	if c.byResource {
		if d.resourceResults == nil {
			d.resourceResults = map[evaluation]ternary{}
		}
		results = d.resourceResults
	}
	got, ok := results[at]
	if ok {
		return got
	}
	if d.spent > maxRequestCost {
		return ternary{fault: overBudget}
	}
	d.prepareActivation(action)
	holds, spent, err := c.holds(d.activation)
	d.spent += spent + evaluationCost
	switch {
	case d.spent > maxRequestCost:
		got.fault = overBudget
	case err != nil:
		got.fault = "when: " + truncate(err.Error(), 200)
	default:
		got.holds = holds
	}
	results[at] = got
	return got
}

// prepareActivation sets the variables of an evaluation of a condition.
func (d *decider) prepareActivation(action string) {
	if d.activation == nil {
		d.activation = newActivation(d.req)
	}
	d.activation.scope, d.activation.action = d.scope, action
}

const overBudget = "when: the conditions of the request exceed their common cost limit"

// verdicts appends the verdict of each rule that matched the scope or failed on
// it.
func (d *decider) verdicts(all []Verdict) []Verdict {
	if len(d.matches) == 0 {
		return all
	}
	name := scopeName(d.scope)
	all = slices.Grow(all, len(d.matches))
	for i := range d.matches {
		m := &d.matches[i]
		if m.byAction != nil {
			all = d.verdictsByAction(all, m, name)
			continue
		}
		v := Verdict{Rule: m.rule.Name, Effect: m.rule.Effect, Scope: name, Fault: m.fault}
		if m.applies() {
			v.Actions = d.requested.affectedBy(m.rule)
		}
		all = append(all, v)
	}
	return all
}

// scopeName returns a scope without its actions: "repository:team-a/app".
func scopeName(s *registry.Scope) string {
	if s.Class != "" {
		return s.Type + "(" + s.Class + "):" + s.Name
	}
	return s.Type + ":" + s.Name
}
