package policy

import (
	"testing"

	"shorepass/registry"

	"github.com/google/go-cmp/cmp"
)

// TestActions holds what a client gets for the actions that it asks for, by the
// rules that match.
func TestActions(t *testing.T) {
	type rule struct {
		effect  string
		actions []string
	}
	star := []string{"*"}
	for _, tt := range []struct {
		name  string
		scope string
		asked []string
		rules []rule
		want  []string
	}{
		{"actions come in the order asked", "repository", []string{"push", "pull"}, []rule{{allow, []string{"pull", "push"}}}, []string{"push", "pull"}},
		{"never more than asked", "repository", []string{"pull"}, []rule{{allow, []string{"pull", "push"}}}, []string{"pull"}},
		{"allow rules add up", "repository", []string{"pull", "push"}, []rule{{allow, []string{"pull"}}, {allow, []string{"push"}}}, []string{"pull", "push"}},
		{"a deny rule takes away", "repository", []string{"pull", "push"}, []rule{{deny, []string{"push"}}, {allow, star}}, []string{"pull"}},
		{"a deny rule with * takes everything", "repository", []string{"pull", "push"}, []rule{{allow, star}, {deny, star}}, nil},
		{"* in a rule is every action asked", "repository", []string{"pull", "scan"}, []rule{{allow, star}}, []string{"pull", "scan"}},
		{"an action that a rule names", "repository", []string{"scan", "pull"}, []rule{{allow, []string{"scan"}}}, []string{"scan"}},
		{"an empty action is ignored", "repository", []string{"", "pull"}, []rule{{allow, star}}, []string{"pull"}},
		{"only an empty action grants nothing", "repository", []string{""}, []rule{{allow, star}}, nil},
		{"* asked is expanded", "repository", star, []rule{{allow, []string{"delete", "pull"}}}, []string{"pull", "delete"}},
		{"* asked and granted comes last", "repository", star, []rule{{allow, star}}, []string{"pull", "push", "delete", "*"}},
		{"* asked is not granted where a deny rule matched", "repository", star, []rule{{allow, star}, {deny, []string{"push"}}}, []string{"pull", "delete"}},
		{"* asked is expanded to each action that a rule names", "repository", star, []rule{{allow, star}, {allow, []string{"scan"}}}, []string{"pull", "push", "delete", "scan", "*"}},
		{"* asked with another action", "repository", []string{"push", "*"}, []rule{{allow, []string{"pull", "push"}}}, []string{"push", "pull"}},
		{"* asked with an action that no rule names", "repository", []string{"*", "sign"}, []rule{{allow, star}}, []string{"sign", "pull", "push", "delete", "*"}},
		{"the catalog takes * as an action", "registry", star, []rule{{allow, star}}, star},
		{"the catalog with a deny rule that matched", "registry", star, []rule{{allow, star}, {deny, []string{"pull"}}}, nil},
	} {
		scope := registry.Scope{Type: tt.scope, Name: "catalog", Actions: tt.asked}
		var rules []Rule
		for _, r := range tt.rules {
			rules = append(rules, Rule{Effect: r.effect, Groups: []string{"g"}, Types: []string{tt.scope}, Repositories: []string{"catalog"}, Actions: r.actions})
		}
		p := compile(t, rules)
		var want []registry.Access
		if tt.want != nil {
			want = []registry.Access{{Type: tt.scope, Name: "catalog", Actions: tt.want}}
		}
		got := p.Decide(Request{User: "u", Groups: []string{"g"}, Scopes: []registry.Scope{scope}}).Access
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: asked %v (-want +got)\n%s", tt.name, tt.asked, diff)
		}
	}
}
