package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/registry"
)

// TestOrderBeyondLimits: where a limit of the request ends the evaluation of conditions
// or of lists, the rules for which it does are the same in any order of the file.
func TestOrderBeyondLimits(t *testing.T) {
	letters := func(i int) string { return string(rune('a'+i/26)) + string(rune('a'+i%26)) }
	var values []any
	for i := range 200 {
		values = append(values, strings.Repeat("a", i+1))
	}
	var actions []string
	for i := range 56 {
		actions = append(actions, letters(i))
	}
	req := Request{
		User: "alice", Groups: benchmarkGroups(2000), Claims: map[string]any{"runs": values},
		Scopes: []registry.Scope{{Type: "repository", Name: strings.Repeat("a", 250), Actions: actions}},
	}
	for _, tt := range []struct {
		name  string
		rules func(i int) []Rule
	}{
		{"conditions", func(i int) []Rule {
			when := fmt.Sprintf(`!groups.exists(g, g == request.repository + "%d")`, i)
			return []Rule{{Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{letters(i)}, When: when}}
		}},
		{"conditions for each action", func(i int) []Rule {
			when := fmt.Sprintf(`!groups.exists(g, g == request.type + request.action + "%d")`, i)
			return []Rule{{Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{letters(i), letters(55 - i)}, When: when}}
		}},
		{"conditions of named rules", func(i int) []Rule {
			name := fmt.Sprint("named ", i)
			when := fmt.Sprintf(`groups.exists(g, g == request.repository + "%d")`, i)
			return []Rule{
				{Name: name, Effect: deny, Repositories: []string{"**"}, Actions: []string{"delete"}, When: when},
				{Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{letters(i)}, Unless: []string{name}},
			}
		}},
		{"lists", func(i int) []Rule {
			return []Rule{
				{Effect: deny, Repositories: []string{fmt.Sprintf("*{claims.runs}*{claims.runs}*b*%d*", i)}, Actions: []string{letters(i)}},
				{Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{letters(i)}},
			}
		}},
		{"lists of named rules", func(i int) []Rule {
			name := fmt.Sprint("named ", i)
			return []Rule{
				{Name: name, Effect: deny, Repositories: []string{fmt.Sprintf("*{claims.runs}*{claims.runs}*b*%d*", i)}, Actions: []string{"delete"}},
				{Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{letters(i)}, Unless: []string{name}},
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var rules []Rule
			for i := range 56 {
				rules = append(rules, tt.rules(i)...)
			}
			want := grants(compile(t, rules).Decide(req))
			if len(want) == 0 || len(want) >= 56 {
				t.Fatalf("%d of 56 actions are granted, want some that are beyond the limit and some that are not", len(want))
			}
			draw := rand.New(rand.NewPCG(7, 7))
			for range 2 {
				shuffled := slices.Clone(rules)
				draw.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
				if got := grants(compile(t, shuffled).Decide(req)); !cmp.Equal(want, got) {
					t.Errorf("the order of rules matters (-original +shuffled)\n%s", cmp.Diff(want, got))
				}
			}
		})
	}
}
