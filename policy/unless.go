package policy

import (
	"fmt"
	"iter"
	"slices"
	"strings"
)

// namedRule is a rule that some unless names and that may cover the scope, with the
// cached answer whether it does. A condition on the action is not in the answer.
type namedRule struct {
	rule      *rule
	evaluated bool
	covers    ternary
}

// cannotCover reports whether the cached answer is that the rule does not cover the
// scope for certain, and so for every action.
func (n *namedRule) cannotCover() bool { return n.evaluated && n.covers.isFalse() }

// isSettled reports whether the cached answer is whole.
func (n *namedRule) isSettled() bool { return n.evaluated && !n.rule.when.namesAction() }

// noteNamed notes a rule that some unless names, if it may cover the scope. The rest
// of its keys is evaluated when a rule that names it matches.
func (d *decider) noteNamed(r *rule) {
	if d.cheapMismatch(r, d.identity.possible, keyActions) == noKey {
		d.named = append(d.named, namedRule{rule: r})
	}
}

// noteAllNamed is noteNamed for all rules, where the index is not asked.
func (d *decider) noteAllNamed() {
	for _, r := range d.policy.rules {
		if r.named {
			d.noteNamed(r)
		}
	}
	d.sortNamed()
}

// sortNamed brings the named rules into the order of their ranks, each once, however
// many buckets of the index have it.
func (d *decider) sortNamed() {
	if len(d.named) < 2 {
		return
	}
	slices.SortFunc(d.named, func(a, b namedRule) int { return a.rule.rank - b.rule.rank })
	d.named = slices.CompactFunc(d.named, func(a, b namedRule) bool { return a.rule == b.rule })
}

// covered returns whether a rule that the unless of r names covers an action on the
// scope.
func (d *decider) covered(r *rule, action string) ternary {
	by, got := d.coveredBy(r, action)
	if got.fault != "" {
		got.fault = fmt.Sprintf("unless: whether %q covers it is not known: %s", by.Name, got.fault)
	}
	return got
}

// coveredBy is [decider.covered] with the rule that covers the scope, or else the
// first of those that may.
func (d *decider) coveredBy(r *rule, action string) (by *rule, covered ternary) {
	for n := range d.namedBy(r) {
		if n.cannotCover() || by != nil && n.isSettled() && !n.covers.holds {
			continue // it cannot change the answer
		}
		got := d.coverage(n, action)
		if got.holds {
			return n.rule, got
		}
		if by == nil && got.fault != "" {
			by, covered = n.rule, got
		}
	}
	return by, covered
}

// namedBy yields those of the named rules that the unless of r names. It goes through
// the shorter of the two lists.
func (d *decider) namedBy(r *rule) iter.Seq[*namedRule] {
	return func(yield func(*namedRule) bool) {
		if len(d.named) <= len(r.unless.all) {
			for i := range d.named {
				n := &d.named[i]
				if !n.cannotCover() && r.unless.has(int32(n.rule.rank)) && !yield(n) {
					return
				}
			}
			return
		}
		rest := d.named
		for _, rank := range r.unless.all {
			i, found := slices.BinarySearchFunc(rest, rank, func(n namedRule, rank int32) int { return n.rule.rank - int(rank) })
			if rest = rest[i:]; found && !yield(&rest[0]) {
				return
			}
		}
	}
}

// coveredForSome returns a rule that covers some action on the scope and that the
// unless of r names.
func (d *decider) coveredForSome(r *rule) *rule {
	for _, action := range d.requested.evaluated() {
		if by, got := d.coveredBy(r, action); got.holds {
			return by
		}
	}
	return nil
}

// coverage returns whether a rule covers an action on the scope by all its keys but
// effect, actions and unless. It is unknown where a deny rule with these keys would
// match and an allow rule would not.
func (d *decider) coverage(n *namedRule, action string) ternary {
	if !n.evaluated {
		n.covers, n.evaluated = d.coversResource(n.rule), true
		if n.isSettled() {
			n.covers = d.withCondition(n, action)
		}
	}
	if n.isSettled() {
		return n.covers
	}
	return d.withCondition(n, action)
}

// withCondition returns the answer with the condition of the rule, if it has one.
func (d *decider) withCondition(n *namedRule, action string) ternary {
	if n.rule.when == nil || n.covers.isFalse() {
		return n.covers
	}
	got := d.evalCondition(n.rule.when, action)
	if got.isFalse() {
		return ternary{}
	}
	fault := joinFaults(n.covers.fault, got.fault)
	return ternary{fault == "", fault}
}

// coversResource is [decider.coverage] without the condition. The keys of
// cheapMismatch match already, if unsure groups count.
func (d *decider) coversResource(r *rule) ternary {
	covers, fault := d.coversAs(r, d.identity.sure, false)
	if covers {
		return ternary{fault == "", fault}
	}
	if covers, fault = d.coversAs(r, d.identity.possible, true); !covers {
		return ternary{}
	}
	if d.identity.possible != d.identity.sure {
		fault = d.unsureFault(r, fault)
	}
	return ternary{fault: fault}
}

// coversAs reports whether the groups and repositories keys match for a person in these
// groups, and why that cannot be told. strict is as for placeholderFault.
func (d *decider) coversAs(r *rule, groups *membership, strict bool) (covers bool, fault string) {
	if r.Groups != nil && !groups.matches(r) {
		return false, ""
	}
	return d.coversAny(&candidate{r, r.patterns}, groups, strict)
}

// checkUnless checks that each entry of unless is the name of another rule. numbers
// are the indexes of rules by name.
func (c *checker) checkUnless(rules []Rule, numbers map[string]int) {
	if c.Unless != nil && len(c.Unless) == 0 {
		c.report("unless", "the list is empty; name the rules where this one does not apply, or leave the key out")
	}
	seen := make(map[string]bool, len(c.Unless))
	for i, name := range c.Unless {
		if problem := c.unlessProblem(name, rules, numbers, seen[name]); problem != "" {
			c.report(fmt.Sprintf("unless[%d]", i), "%q %s", name, problem)
		}
		seen[name] = true
	}
}

// unlessProblem says what is wrong with an entry of unless, and is empty if nothing is.
func (c *checker) unlessProblem(name string, rules []Rule, numbers map[string]int, again bool) string {
	n, exists := numbers[name]
	switch {
	case !exists:
		return "is not the name of a rule" + didYouMean(name, rules)
	case n == c.index:
		return "is the rule itself, so that it would never apply; leave it out"
	case name == defaultName(n):
		return "has no name of its own, and its position changes with the file; give it a name"
	case again:
		return "is named twice; leave one out"
	}
	return ""
}

// didYouMean suggests the name of a rule that differs only in case or by one letter.
func didYouMean(name string, rules []Rule) string {
	for i, r := range rules {
		if r.Name != defaultName(i) && (strings.EqualFold(r.Name, name) || withinOneEdit(r.Name, name)) {
			return fmt.Sprintf("; did you mean %q?", r.Name)
		}
	}
	return "; write the name of one, as its key name has it"
}
