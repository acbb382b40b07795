package dockerauth

import (
	"fmt"
	"slices"
	"strings"

	"shorepass/policy"
)

// maxUnless bounds the names in all unless keys together: 40 MB of text.
const maxUnless = 1_000_000

// ordered returns the rules with unless, and without those that would change nothing.
//
// Of two rules that may cover the same request the later one names the earlier one,
// unless the earlier one grants all that the later one does: then both may apply. A
// deny rule is named nowhere, since it takes from later rules anyway.
func (t *aclTranslation) ordered() []commentedRule {
	t.denyRefused()
	ix := newShapeIndex(t.rules)
	named, total := map[string]bool{}, 0
	for i, r := range t.rules {
		for _, j := range ix.earlier(i) {
			if earlier := t.rules[j]; r.mustName(earlier) && r.meets(earlier) {
				r.Unless = append(r.Unless, earlier.Name)
				named[earlier.Name] = true
			}
		}
		if total += len(r.Unless); total > maxUnless {
			t.note(0, Refused, "the order of the %d entries would take more than %d names in unless; put entries that deny first, and those that grant most before the others", len(t.entries), maxUnless)
			return nil
		}
	}
	var kept, guarded []*aclRule
	for i, r := range t.rules {
		denies := r.Effect == "deny"
		if denies && !slices.ContainsFunc(ix.later(i), func(j int) bool {
			later := t.rules[j]
			return later.Effect != "deny" && later.entry != r.entry && later.exceeds(r.spared) && later.meets(r)
		}) {
			continue // what no rule allows is denied anyway
		}
		if (denies || named[r.Name]) && len(r.guards) > 0 {
			guarded = append(guarded, r)
		}
		if r.doubt != "" {
			t.note(r.entry.Line, Changed, "%s; what it covers by that is denied here, but for what the entry grants, so that no later entry takes its place", r.doubt)
		}
		kept = append(kept, r)
	}
	t.guard(guarded)
	all := make([]commentedRule, len(kept))
	for i, r := range kept {
		all[i] = commentedRule{Rule: r.Rule, Comment: r.comment()}
	}
	return all
}

// guard adds the conditions that are false where a placeholder cannot be filled, to rules
// of which it must be told whether they cover a request. Conditions that compare the name
// take the place of the placeholder: with it one value that cannot fill it, such as a group
// with a blank, would leave in doubt which names the rule covers. Where the conditions would take
// too long together they are left out: then later rules do not apply in doubt.
func (t *aclTranslation) guard(rules []*aclRule) {
	var trial []policy.Rule
	for _, r := range rules {
		with := r.Rule
		parts := slices.Clone(r.guards)
		if r.When != "" {
			parts = slices.Insert(parts, 0, r.When)
		}
		with.When = strings.Join(parts, " && ")
		if r.compared != "" {
			with.Repositories = slices.Clone(r.Repositories)
			for i, g := range with.Repositories {
				with.Repositories[i] = strings.ReplaceAll(g, r.compared, "*")
			}
		}
		trial = append(trial, with)
	}
	refused := refusedRules(trial)
	for i, r := range rules {
		if !refused[i] {
			r.When, r.Repositories = trial[i].When, trial[i].Repositories
		}
	}
}

// denyRefused replaces the rules of entries whose conditions are refused, since they may
// take too long, by those that deny what the entry may cover.
func (t *aclTranslation) denyRefused() {
	var conditional []policy.Rule
	var from []*aclRule
	for _, r := range t.rules {
		if r.When != "" {
			conditional, from = append(conditional, r.Rule), append(from, r)
		}
	}
	failed := map[*aclEntry]bool{}
	for i := range refusedRules(conditional) {
		failed[from[i].entry] = true
	}
	if len(failed) == 0 {
		return
	}
	old := t.rules
	t.rules = nil
	done := map[*aclEntry]bool{}
	for _, r := range old {
		if !failed[r.entry] {
			t.rules = append(t.rules, r)
		} else if !done[r.entry] {
			done[r.entry] = true
			var drafts []draft
			for _, kinds := range t.kinds(r.entry) {
				drafts = append(drafts, t.denied(r.entry, kinds)...)
			}
			t.add(r.entry, mergeDrafts(drafts))
		}
	}
}

// refusedRules returns the indexes of rules that check refuses.
func refusedRules(rules []policy.Rule) map[int]bool {
	refused := map[int]bool{}
	for i := range rules {
		rules[i].Name, rules[i].Unless = "", nil
	}
	policy.Compile(rules, func(key, _ string) {
		var i int
		if _, err := fmt.Sscanf(key, "rule[%d]", &i); err == nil {
			refused[i] = true
		}
	})
	return refused
}

// mustName reports whether a rule must name an earlier one that covers the same request.
func (r *aclRule) mustName(earlier *aclRule) bool {
	switch {
	case earlier.entry == r.entry || earlier.Effect == "deny" || earlier.unnamed:
		return false
	case r.Effect == "deny":
		return true
	case slices.Contains(earlier.Actions, "*"):
		return false
	}
	return r.exceeds(earlier.Actions)
}
