package server

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/policy"
	"shorepass/providers"
)

// TestAuditLineNamesWhatRulesName: an audit line has the groups that rules or operators
// name and the claims that rules name, bounded, and no other groups or claims.
func TestAuditLineNamesWhatRulesName(t *testing.T) {
	rules := policy.Compile([]policy.Rule{
		{Groups: []string{"team-*"}, Repositories: []string{"{claims.team}/**"}, Actions: []string{"pull"}},
		{Effect: "deny", Groups: []string{"contractors"}, Repositories: []string{"**"}, Actions: []string{"*"}, When: "claims.level > 1"},
	}, func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
	gen := &Generation{Policy: rules, Config: Config{Operators: []string{"Ops"}}}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("team-%03d", i))
	}
	for _, test := range []struct {
		name string
		all  bool
		id   *providers.Identity
		want auditLine
	}{
		{"anonymous", false, nil, auditLine{}},
		{"watched", false, &providers.Identity{User: "jo", Groups: []string{"Ops", "ops", "staff", "team-a"}, Unsure: []string{"contractors", "x"}},
			auditLine{Groups: []string{"Ops", "team-a"}, Unsure: []string{"contractors"}}},
		{"a provider that ignores case", false, &providers.Identity{User: "jo", FoldsCase: true, Groups: []string{"Team-A", "ops"}, Unsure: []string{"*"}},
			auditLine{Groups: []string{"Team-A", "ops"}, Unsure: []string{"*"}}},
		{"too many", false, &providers.Identity{User: "jo", Groups: many}, auditLine{Groups: many[:64], GroupsOmitted: 36}},
		{"all", true, &providers.Identity{User: "jo", Groups: many, Unsure: []string{"x"}}, auditLine{Groups: many, Unsure: []string{"x"}}},
		{"claims", false, &providers.Identity{User: "jo", Claims: map[string]any{"team": strings.Repeat("a", 300), "level": int64(2), "email": "jo@corp.example"}},
			auditLine{Claims: map[string]string{"team": strings.Repeat("a", 256) + "…", "level": "2"}}},
		{"a token in a claim", false, &providers.Identity{User: "jo", Claims: map[string]any{"team": "sp_r_0123456789abcdef"}},
			auditLine{Claims: map[string]string{"team": "[redacted]"}}},
		{"a list in a claim", false, &providers.Identity{User: "jo", Claims: map[string]any{"team": []any{"a", "b"}}},
			auditLine{Claims: map[string]string{"team": `["a","b"]`}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			req := &request{}
			caller := principal{identity: test.id}
			req.noteGroupsAndClaims(gen, test.all, caller, caller.policyRequest(&question{}, origin{}, req.storeTime))
			if diff := cmp.Diff(test.want, req.line); diff != "" {
				t.Errorf("the line (-want +got)\n%s", diff)
			}
		})
	}
}
