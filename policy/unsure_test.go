package policy

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestUnsureGroups: a deny rule that matches only by unsure groups says so in
// its verdict; one that matches by known groups does not.
func TestUnsureGroups(t *testing.T) {
	p := compile(t, []Rule{
		{Name: "all", Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{"push"}},
		{Name: "contractors", Effect: deny, Groups: []string{"contractors", "temps-*"}, Repositories: []string{"shared/**"}, Actions: []string{"push"}},
		{Name: "own folder", Effect: deny, Groups: []string{"temps-*"}, Repositories: []string{"{group}/x"}, Actions: []string{"push"}},
		{Name: "logged in", Effect: deny, Groups: []string{authenticated}, Repositories: []string{"out/**"}, Actions: []string{"push"}},
		{Name: "when", Effect: deny, Repositories: []string{"when"}, Actions: []string{"push"}, When: `"x" in groups`},
	})
	const (
		unknown = "groups: not all groups of the person are known"
		maybe   = `groups: whether the person is in "temps-a" is not known`
	)
	for _, tt := range []struct {
		name           string
		groups, unsure []string
		scope          string
		denied, fault  string
	}{
		{"an unsure group that no rule names", nil, []string{"staff"}, "shared/a", "", ""},
		{"an unsure group that an entry matches", nil, []string{"staff", "temps-a"}, "shared/a", "contractors", maybe},
		{"an unsure group next to a known one", []string{"contractors"}, []string{"temps-a"}, "shared/a", "contractors", ""},
		{"any group may be the person's", nil, []string{UnsureAll}, "shared/a", "contractors", unknown},
		{"any group is no reserved group", nil, []string{UnsureAll}, "out/a", "", ""},
		{"{group} is filled with an unsure group", nil, []string{"temps-a"}, "temps-a/x", "own folder", maybe},
		{"{group} is filled with no other name", nil, []string{"temps-a"}, "temps-b/x", "", ""},
		{"{group} alone is unsure", []string{"temps-b"}, []string{"temps-a"}, "temps-a/x", "own folder", maybe},
		{"{group} is filled with a known group", []string{"temps-b"}, []string{"temps-a"}, "temps-b/x", "own folder", ""},
		{"{group} is any one component for any group", []string{"temps-b"}, []string{UnsureAll}, "else/x", "own folder", unknown},
		{"{group} is never two components", nil, []string{UnsureAll}, "else/y/x", "", ""},
		{"an unsure group that is no component", nil, []string{"temps-A"}, "else/x", "own folder", `groups: whether the person is in "temps-A" is not known; {group}: "temps-A" is not one component of a repository's path`},
		{"a condition that reads groups fails", []string{"y"}, []string{"staff"}, "when", "when", "when: not all groups of the person are known"},
	} {
		got := p.Decide(Request{User: "u", Groups: tt.groups, Unsure: tt.unsure, Scopes: scopes("repository:" + tt.scope + ":push")})
		want := []Verdict{{Rule: "all", Effect: allow, Scope: "repository:" + tt.scope, Actions: []string{"push"}}}
		if tt.denied != "" {
			want = append(want, Verdict{Rule: tt.denied, Effect: deny, Scope: "repository:" + tt.scope, Actions: []string{"push"}, Fault: tt.fault})
		}
		if diff := cmp.Diff(want, got.Rules); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// TestUnsureGroupsGrantNothing: an unsure group adds no rights.
func TestUnsureGroupsGrantNothing(t *testing.T) {
	p := compile(t, []Rule{
		{Groups: []string{"team-*"}, Repositories: []string{"{group}/**", "shared"}, Actions: []string{"pull"}},
		{Users: []string{"*"}, Repositories: []string{"when"}, Actions: []string{"pull"}, When: `size(groups) < 100`},
	})
	for _, unsure := range []string{"team-a", UnsureAll} {
		got := p.Decide(Request{User: "u", Unsure: []string{unsure}, Scopes: scopes("repository:team-a/x:pull", "repository:shared:pull", "repository:when:pull")})
		if len(got.Access) > 0 {
			t.Errorf("Unsure %q is granted %v", unsure, got.Access)
		}
	}
}

// TestUnsureGroupsWithManyRules: for a person who may be in any group the index
// finds all deny rules, however many there are.
func TestUnsureGroupsWithManyRules(t *testing.T) {
	rules := []Rule{{Name: "all", Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{"push"}}}
	for _, repository := range []string{"**", "x/**", "{group}/**", "*-x/**", "x-*/**"} {
		for range 3 * largeBucket {
			rules = append(rules, Rule{Effect: deny, Groups: []string{"g" + string(rune('a'+len(rules)%20)), authenticated}, Repositories: []string{repository}, Actions: []string{"push"}})
		}
	}
	p := compile(t, rules)
	req := Request{User: "u", Unsure: []string{UnsureAll}, Scopes: scopes("repository:x/a:push", "repository:a-x/a:push", "repository:x-a/a:push")}
	want, got := p.decideWithoutIndex(req), p.Decide(req)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the index finds other rules than a full scan (-scan +index)\n%s", diff)
	}
	if want := 3 + 3*largeBucket*(3*2+1+1+1); len(got.Rules) != want {
		t.Errorf("%d rules matched, want %d: two patterns match each name, the others one", len(got.Rules), want)
	}
}

// TestMatchedGroups: the audit line gets the groups that rules match, in the
// spelling of the request.
func TestMatchedGroups(t *testing.T) {
	p := compile(t, []Rule{{Groups: []string{"Team-*", "Domain Users", authenticated}, Repositories: []string{"a"}, Actions: []string{"pull"}}})
	for _, tt := range []struct {
		name           string
		req            Request
		groups, unsure []string
	}{
		{"case is compared", Request{User: "u", Groups: []string{"team-a", "Team-b", "staff", "Domain Users", authenticated}, Unsure: []string{"Team-c", "x"}},
			[]string{"Domain Users", "Team-b", authenticated}, []string{"Team-c"}},
		{"case is ignored", Request{User: "u", FoldsCase: true, Groups: []string{"tEAM-a", "Staff", "DOMAIN users"}, Unsure: []string{UnsureAll}},
			[]string{"DOMAIN users", "tEAM-a"}, []string{UnsureAll}},
		{"anonymous", Request{Anonymous: true, Groups: []string{"Team-a"}}, nil, nil},
	} {
		groups, unsure := p.MatchedGroups(tt.req)
		if diff := cmp.Diff([][]string{tt.groups, tt.unsure}, [][]string{groups, unsure}); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// TestReferencedClaims: the audit line gets the claims that rules name, and no
// others.
func TestReferencedClaims(t *testing.T) {
	p := compile(t, []Rule{
		{Groups: []string{"*"}, Repositories: []string{"{claims.team}/**", "{claims.a.b}"}, Actions: []string{"pull"}},
		{Groups: []string{"*"}, Repositories: []string{"x"}, Actions: []string{"pull"}, When: "claims.ref_protected == 'true'"},
		{Groups: []string{"*"}, Repositories: []string{"x"}, Actions: []string{"pull"}, When: "claims['kubernetes.io'].namespace == 'x'"}, // a dot in a name
	})
	claims := map[string]any{"team": "blue", "a": map[string]any{"b": int64(1), "c": "secret"}, "email": "jo@corp.example",
		"kubernetes.io": map[string]any{"namespace": "x", "pod": map[string]any{"name": "y"}}}
	want := map[string]any{"team": "blue", "a.b": int64(1), "kubernetes.io.namespace": "x"}
	if diff := cmp.Diff(want, p.ReferencedClaims(Request{User: "u", Claims: claims})); diff != "" {
		t.Errorf("the claims that rules name (-want +got)\n%s", diff)
	}
	if got := p.ReferencedClaims(Request{Anonymous: true, Claims: claims}); got != nil {
		t.Errorf("the claims of an anonymous request = %v, want none", got)
	}
}
