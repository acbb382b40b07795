package policy_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/policy"
	"shorepass/registry"
)

// TestLimits: limits narrow what the policy grants, and never grant.
func TestLimits(t *testing.T) {
	repository := func(name string, actions ...string) registry.Access {
		return registry.Access{Type: "repository", Name: name, Actions: actions}
	}
	catalog := registry.Access{Type: "registry", Name: "catalog", Actions: []string{"*"}}
	decided := policy.Decision{
		Access: []registry.Access{repository("team-a/app", "pull", "push"), repository("team-a/app/cache", "pull", "push", "delete", "*"), repository("open/x", "pull"), catalog},
		Rules:  []policy.Verdict{{Rule: "everything"}},
	}
	for _, tc := range []struct {
		limits string
		want   []registry.Access
	}{
		{``, decided.Access},
		{`{}`, decided.Access[:3]}, // types is ["repository"], as in a rule
		{`{"types": ["*"]}`, decided.Access},
		{`{"types": ["registry"]}`, []registry.Access{catalog}},
		{`{"types": ["registry"], "actions": ["pull"]}`, nil},
		{`{"types": ["registry"], "repositories": ["catalog"]}`, []registry.Access{catalog}},
		{`{"services": ["registry"]}`, decided.Access[:3]},
		{`{"services": ["re*y"]}`, decided.Access[:3]},
		{`{"services": ["other", "another"]}`, nil},
		{`{"actions": ["pull"]}`, []registry.Access{repository("team-a/app", "pull"), repository("team-a/app/cache", "pull"), repository("open/x", "pull")}},
		{`{"actions": ["delete"]}`, []registry.Access{repository("team-a/app/cache", "delete")}},
		{`{"actions": ["*"]}`, decided.Access[:3]},
		{`{"actions": ["sign"]}`, nil},
		{`{"repositories": ["team-a/*"]}`, decided.Access[:1]},
		{`{"repositories": ["team-a/**"]}`, decided.Access[:2]},
		{`{"repositories": ["Team-a/**", "open"]}`, nil},
		{`{"repositories": ["team-a/app", "open/x"], "actions": ["push", "pull"]}`, []registry.Access{repository("team-a/app", "pull", "push"), repository("open/x", "pull")}},
	} {
		l, err := policy.ParseLimits(tc.limits)
		if err != nil {
			t.Errorf("ParseLimits(%s) = %v", tc.limits, err)
			continue
		}
		got := l.Narrow("registry", decided)
		if diff := cmp.Diff(tc.want, got.Access); diff != "" {
			t.Errorf("limits %s (-want +got):\n%s", tc.limits, diff)
		}
		if len(got.Rules) != 1 {
			t.Errorf("limits %s: the verdicts are %+v, want them unchanged", tc.limits, got.Rules)
		}
	}
	if len(decided.Access[1].Actions) != 4 {
		t.Error("Narrow changed its argument")
	}
}

// TestParseLimitsRefuses: the error of bad limits says which key is wrong and
// why.
func TestParseLimitsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`pull`:                            "invalid character",
		`[]`:                              "cannot unmarshal array",
		`{} {}`:                           "more than one object",
		`{"users": ["alice"]}`:            `unknown field "users"`,
		`{"services": []}`:                "services: the list is empty",
		`{"types": [""]}`:                 `types[0]: "" is empty`,
		`{"repositories": ["{user}/**"]}`: `repositories[0]: "{user}/**" has a placeholder`,
		`{"repositories": ["x", "a***"]}`: `repositories[1]: "a***" has 3 asterisks in a row`,
		`{"actions": []}`:                 "actions: the list is empty",
		`{"actions": ["pull", ""]}`:       `actions[1]: "" is not an action`,
		`{"services": "registry"}`:        "cannot unmarshal string",
		`{"services":["` + strings.Repeat("x", 9000) + `"]}`: "bytes, 8192 at most",
	} {
		if l, err := policy.ParseLimits(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseLimits(%.60s) = %v, %v, want %q in the error", text, l, err, want)
		}
	}
}

// TestLimitsOfZotCatalog: limits name the catalog of zot as rules do (E2).
func TestLimitsOfZotCatalog(t *testing.T) {
	granted := []registry.Access{{Type: "repository", Actions: []string{"pull"}}}
	for limits, want := range map[string][]registry.Access{
		`{}`:                        nil,
		`{"repositories": ["**"]}`:  nil,
		`{"types": ["repository"]}`: nil,
		`{"types": ["registry"]}`:   granted,
		`{"types": ["registry"], "repositories": ["catalog"]}`:                      granted,
		`{"types": ["registry"], "repositories": ["statistics"]}`:                   nil,
		`{"types": ["registry"], "repositories": ["catalog"], "actions": ["pull"]}`: granted,
		`{"types": ["registry"], "repositories": ["catalog"], "actions": ["push"]}`: nil,
	} {
		l, err := policy.ParseLimits(limits)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, l.Narrow("zot", policy.Decision{Access: granted}).Access); diff != "" {
			t.Errorf("limits %s (-want +got):\n%s", limits, diff)
		}
	}
}
