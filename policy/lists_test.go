package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"shorepass/registry"
)

// TestSetMatcherIsExact: a glob with sets of values matches a name if and only if it
// matches with one of all combinations of values, of which one placeholder has the same
// everywhere.
func TestSetMatcherIsExact(t *testing.T) {
	draw := drawer{rand.New(rand.NewPCG(1, 5))}
	matched := 0
	for range 20_000 {
		text := strings.Join(draw.some(1, 6, "a", "b", "/", "*", "**", "{claims.x}", "{claims.y}", "{group}", "{claims.x}"), "")
		g, err := parseGlob(text, pathName)
		if err != nil {
			continue
		}
		slots := map[string]int{"x": 0, "y": 1}
		for i := range g {
			if g[i].kind == claimValue {
				g[i].slot = slots[g[i].text]
			}
		}
		sets := make([][]string, 3)
		for i := range sets {
			set := draw.some(0, 4, "a", "b", "ab", "ba", "aa", "aab")
			slices.Sort(set)
			sets[i] = slices.Compact(set)
		}
		name := strings.Join(draw.some(1, 6, "a", "b", "/", "ab", "aa"), "")
		want := false
		for _, x := range append(sets[0], "-") {
			for _, y := range append(sets[1], "-") {
				for _, group := range append(sets[2], "-") {
					want = want || g.match(name, &values{claims: []string{x, y}, group: group})
				}
			}
		}
		m := newSetMatcher(g, name, 0, func(t *token) []string {
			if t.kind == groupName {
				return sets[2]
			}
			return sets[t.slot]
		})
		if got := m.matches(); got != want {
			t.Fatalf("%s with %q matches %q: %v, want %v", text, sets, name, got, want)
		}
		if want {
			matched++
		}
	}
	if matched < 1000 {
		t.Errorf("%d matches, want at least 1000", matched)
	}
}

// TestListsAreNotEnumerated: two lists of a thousand values, each of a length that no
// person has, cost a few thousand steps. One that is made to have many combinations ends
// at the limit, and the rule fails.
func TestListsAreNotEnumerated(t *testing.T) {
	var long, runs []any
	for i := range maxClaimValues {
		long = append(long, fmt.Sprint("value-", i))
		runs = append(runs, strings.Repeat("a", 1+i%120))
	}
	claims := map[string]any{"x": long, "y": long, "z": runs, "w": runs, "r": runs, "v": append(slices.Clone(long), "one-more")}
	const many = "{claims.z}{claims.w}{claims.r}{claims.z}{claims.w}{claims.r}"
	for _, tt := range []struct {
		effect, repository, name string
		steps                    int
		granted                  bool
		fault                    string
	}{
		{allow, "{claims.x}/{claims.y}", "value-7/value-999", 1000, true, ""},
		{allow, "**{claims.x}-{claims.y}*/*", "a-value-7-value-8/b", 1000, true, ""},
		{allow, "{claims.z}{claims.w}", strings.Repeat("a", 240), 25_000, true, ""},
		{allow, "{claims.z}*{claims.w}bb", strings.Repeat("a", 252) + "cbb", 100_000, false, ""},
		{allow, "{claims.z}{claims.w}{claims.z}{claims.w}b", strings.Repeat("a", 253) + "b", 100_000, false, ""},
		{allow, many + "b", strings.Repeat("a", 253) + "b", 2 * maxSteps, false, tooManySteps},
		{deny, many + "b", strings.Repeat("a", 253) + "b", 2 * maxSteps, false, tooManySteps},
		{allow, "{claims.v}", "value-7", 0, false, "{claims.v}: the claim is a list of 1001 values, and at most 1000 can fill it"},
		{deny, "{claims.v}", "other", 0, false, "{claims.v}: the claim is a list of 1001 values, and at most 1000 can fill it"},
	} {
		p := compile(t, []Rule{
			{Name: "r", Effect: tt.effect, Users: []string{"*"}, Repositories: []string{tt.repository}, Actions: []string{"pull"}},
			{Users: []string{"allowed-*"}, Repositories: []string{"**"}, Actions: []string{"pull"}},
		})
		req := Request{User: map[string]string{allow: "u", deny: "allowed-u"}[tt.effect], Claims: claims}
		d := decider{policy: p, req: &req, identity: p.identity(&req)}
		d.matchRules(&registry.Scope{Type: "repository", Name: tt.name, Actions: []string{"pull"}})
		fault := ""
		for _, m := range d.matches {
			fault += m.fault
		}
		if granted := d.granted() != nil; granted != tt.granted || fault != tt.fault || d.steps > tt.steps {
			t.Errorf("%s rule for %s: granted %v by the fault %q in %d steps, want %v by %q in %d", tt.effect, tt.repository, granted, fault, d.steps, tt.granted, tt.fault, tt.steps)
		}
	}
}
