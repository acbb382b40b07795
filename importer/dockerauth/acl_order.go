package dockerauth

import (
	"fmt"
	"slices"
	"strings"

	"shorepass/internal/fold"
	"shorepass/policy"
)

// maxUnless bounds the names in all unless keys together: 40 MB of text.
const maxUnless = 1_000_000

// ordered returns the rules with unless, and without those that would change nothing.
//
// Of two rules that may cover the same request the later one names the earlier one,
// unless the earlier one grants all that the later one does: then both may apply. A
// deny rule is named nowhere, since it takes from later rules anyway.
func (t *aclTranslation) ordered() []Rule {
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
			return later.Effect != "deny" && later.entry != r.entry && later.meets(r)
		}) {
			continue // what no rule allows is denied anyway
		}
		if (denies || named[r.Name]) && len(r.guards) > 0 {
			guarded = append(guarded, r)
		}
		kept = append(kept, r)
	}
	t.guard(guarded)
	all := make([]Rule, len(kept))
	for i, r := range kept {
		all[i] = Rule{Rule: r.Rule, Comment: r.entry.comment()}
	}
	return all
}

// guard adds the conditions that are false where a placeholder cannot be filled, to rules
// of which it must be told whether they cover a request. Where the conditions would take
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
		trial = append(trial, with)
	}
	refused := refusedRules(trial)
	for i, r := range rules {
		if !refused[i] {
			r.When = trial[i].When
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
	case slices.Contains(r.Actions, "*"):
		return true
	}
	return slices.ContainsFunc(r.Actions, func(action string) bool { return !slices.Contains(earlier.Actions, action) })
}

// meets reports whether two rules may cover the same request.
func (r *aclRule) meets(other *aclRule) bool {
	people := r.anonymous && other.anonymous || r.loggedIn && other.loggedIn
	a, b := r.entry.network, other.entry.network
	return people && meet(r.types(), other.types(), plainName) && (!a.IsValid() || !b.IsValid() || a.Overlaps(b)) &&
		(r.Users == nil || other.Users == nil || meet(r.Users, other.Users, plainName)) &&
		(r.Services == nil || other.Services == nil || meet(r.Services, other.Services, plainName)) &&
		r.shapeMeets(other)
}

// shapeMeets reports whether two rules may cover the same name.
func (r *aclRule) shapeMeets(other *aclRule) bool {
	for _, a := range r.symbols() {
		for _, b := range other.symbols() {
			if globsMeet(a, b) {
				return true
			}
		}
	}
	return false
}

// symbols returns the positions of the globs of a rule's shape, from a cache.
func (r *aclRule) symbols() [][]symbol {
	if r.parsed == nil {
		for _, g := range r.shape {
			r.parsed = append(r.parsed, symbols(g, pathName))
		}
	}
	return r.parsed
}

func (r *aclRule) types() []string {
	if r.Types == nil {
		return []string{"repository"}
	}
	return r.Types
}

// meet reports whether a name may match a glob of either list.
func meet(as, bs []string, kind nameKind) bool {
	for _, a := range as {
		for _, b := range bs {
			if a == b || globsMeet(symbols(a, kind), symbols(b, kind)) {
				return true
			}
		}
	}
	return false
}

// symbol is one position of a glob: a character or a wildcard.
type symbol rune

const (
	anyRun       symbol = -1 // any text
	anyComponent symbol = -2 // any text without "/"
)

// symbols returns the positions of a glob. A placeholder is any text without "/".
func symbols(glob string, kind nameKind) []symbol {
	if kind == plainName {
		glob = fold.Name(glob)
	}
	var all []symbol
	for rest := glob; rest != ""; {
		end := strings.IndexByte(rest, '}')
		switch {
		case strings.HasPrefix(rest, "**"), rest[0] == '*' && kind == plainName:
			all, rest = append(all, anyRun), strings.TrimLeft(rest, "*")
		case rest[0] == '*':
			all, rest = append(all, anyComponent), rest[1:]
		case rest[0] == '{' && end > 0 && kind == pathName:
			all, rest = append(all, anyComponent), rest[end+1:]
		default:
			all, rest = append(all, symbol(rest[0])), rest[1:]
		}
	}
	return all
}

// globsMeet reports whether some text matches both globs. It is dynamic programming
// between their common prefix and their common suffix.
func globsMeet(a, b []symbol) bool {
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] >= 0 && b[len(b)-1] >= 0 {
		if a[len(a)-1] != b[len(b)-1] {
			return false
		}
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	for len(a) > 0 && len(b) > 0 && a[0] >= 0 && b[0] >= 0 {
		if a[0] != b[0] {
			return false
		}
		a, b = a[1:], b[1:]
	}
	takes := func(wildcard, s symbol) bool {
		return wildcard == anyRun || wildcard == anyComponent && s != '/'
	}
	// reached[j] says that some text matches the first i of a and the first j of b.
	reached := make([]bool, len(b)+1)
	for i := 0; i <= len(a); i++ {
		diagonal := false
		for j := 0; j <= len(b); j++ {
			above := reached[j]
			left := j > 0 && reached[j-1]
			reached[j] = i == 0 && j == 0 ||
				i > 0 && above && (a[i-1] < 0 || j > 0 && takes(b[j-1], a[i-1])) ||
				left && (b[j-1] < 0 || i > 0 && takes(a[i-1], b[j-1])) ||
				i > 0 && j > 0 && diagonal && a[i-1] == b[j-1]
			diagonal = above
		}
	}
	return reached[len(b)]
}

// shapeIndex finds rules that may cover the same name: by its first component.
type shapeIndex struct {
	first map[string][]int // rules by the literal first component of their shape
	wild  []int            // rules whose first component has a wildcard
	all   []int
	rules []*aclRule
}

func newShapeIndex(rules []*aclRule) *shapeIndex {
	ix := &shapeIndex{first: map[string][]int{}, rules: rules}
	for i, r := range rules {
		ix.all = append(ix.all, i)
		components, wild := firstComponents(r.shape)
		for _, c := range components {
			ix.first[c] = append(ix.first[c], i)
		}
		if wild {
			ix.wild = append(ix.wild, i)
		}
	}
	return ix
}

// firstComponents returns the different literal first components of globs, and whether
// that of some glob is not literal.
func firstComponents(globs []string) (literal []string, wild bool) {
	for _, g := range globs {
		first, _, _ := strings.Cut(g, "/")
		if strings.ContainsAny(first, "*{") {
			wild = true
		} else if !slices.Contains(literal, first) {
			literal = append(literal, first)
		}
	}
	return literal, wild
}

// earlier returns the rules before rule i that may cover the same names.
func (ix *shapeIndex) earlier(i int) []int {
	all := ix.near(i)
	n, _ := slices.BinarySearch(all, i)
	return all[:n]
}

// later returns the rules after rule i that may cover the same names.
func (ix *shapeIndex) later(i int) []int {
	all := ix.near(i)
	n, _ := slices.BinarySearch(all, i+1)
	return all[n:]
}

// near returns the rules that may cover the same names as rule i, in order.
func (ix *shapeIndex) near(i int) []int {
	components, wild := firstComponents(ix.rules[i].shape)
	if wild {
		return ix.all
	}
	all := slices.Clone(ix.wild)
	for _, c := range components {
		all = append(all, ix.first[c]...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// comment returns what stands above the rules of an entry.
func (e *aclEntry) comment() string {
	var parts []string
	for _, f := range fields {
		if text := e.Match.field(f); text != nil {
			parts = append(parts, fmt.Sprintf("%s %q", f, *text))
		}
	}
	for _, c := range e.labels {
		parts = append(parts, fmt.Sprintf("label %s %q", c.label, c.pattern.text))
	}
	if e.Match.IP != nil {
		parts = append(parts, fmt.Sprintf("ip %q", *e.Match.IP))
	}
	if parts == nil {
		parts = []string{"every request"}
	}
	text := fmt.Sprintf("Line %d: %s", e.Line, strings.Join(parts, ", "))
	if e.Comment != "" {
		text += "\n" + e.Comment
	}
	return text
}
