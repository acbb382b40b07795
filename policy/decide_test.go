package policy

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/registry"
)

func scopes(scopes ...string) []registry.Scope {
	var all []registry.Scope
	for _, s := range scopes {
		kind, rest, _ := strings.Cut(s, ":")
		name, actions, _ := strings.Cut(rest, ":")
		all = append(all, registry.Scope{Type: kind, Name: name, Actions: strings.Split(actions, ",")})
	}
	return all
}

// TestDecision holds that a decision names the rules that made it, in the order
// of the file, and why one of them failed.
func TestDecision(t *testing.T) {
	p := compile(t, []Rule{
		{Name: "homes", Users: []string{"**"}, Repositories: []string{"home/{user}/**"}, Actions: []string{"pull"}},
		{Name: "no secrets", Effect: deny, Repositories: []string{"home/*/secret"}, Actions: []string{"push", "pull"}},
		{Name: "teams", Groups: []string{"team-*", "Team *"}, Repositories: []string{"home/{group}/*"}, Actions: []string{"push"}},
		{Name: "everything", Groups: []string{"staff"}, Repositories: []string{"**"}, Actions: []string{"*"}},
		{Name: "labels", Effect: deny, Groups: []string{"guests"}, Repositories: []string{"x/{claims.label}"}, Actions: []string{"push"}},
	})
	for _, tt := range []struct {
		name string
		req  Request
		want Decision
	}{
		{"every rule that matched is named", Request{User: "jo", Groups: []string{"staff", "team-a"}, Scopes: scopes("repository:home/jo/secret:pull,push,delete", "repository:nowhere:pull")}, Decision{
			Access: []registry.Access{
				{Type: "repository", Name: "home/jo/secret", Actions: []string{"delete"}},
				{Type: "repository", Name: "nowhere", Actions: []string{"pull"}},
			},
			Rules: []Verdict{
				{Rule: "homes", Effect: allow, Scope: "repository:home/jo/secret", Actions: []string{"pull"}},
				{Rule: "no secrets", Effect: deny, Scope: "repository:home/jo/secret", Actions: []string{"pull", "push"}},
				{Rule: "everything", Effect: allow, Scope: "repository:home/jo/secret", Actions: []string{"pull", "push", "delete"}},
				{Rule: "everything", Effect: allow, Scope: "repository:nowhere", Actions: []string{"pull"}},
			},
		}},
		{"an allow rule that failed gives nothing and is named", Request{User: "Jo Ng", Groups: []string{"Team A"}, Scopes: scopes("repository:home/jo/app:pull,push")}, Decision{
			Rules: []Verdict{
				{Rule: "homes", Effect: allow, Scope: "repository:home/jo/app", Fault: `{user}: "Jo Ng" is not one component of a repository's path`},
				{Rule: "teams", Effect: allow, Scope: "repository:home/jo/app", Fault: `{group}: "Team A" is not one component of a repository's path`},
			},
		}},
		{"a deny rule that failed takes away and is named", Request{User: "jo", Groups: []string{"staff", "guests"}, Scopes: scopes("repository:x/thing:pull,push")}, Decision{
			Access: []registry.Access{{Type: "repository", Name: "x/thing", Actions: []string{"pull"}}},
			Rules: []Verdict{
				{Rule: "everything", Effect: allow, Scope: "repository:x/thing", Actions: []string{"pull", "push"}},
				{Rule: "labels", Effect: deny, Scope: "repository:x/thing", Actions: []string{"push"}, Fault: "{claims.label}: there is no such claim"},
			},
		}},
		{"the placeholder of a failed deny rule is one component and no more", Request{User: "jo", Groups: []string{"staff", "guests"}, Scopes: scopes("repository:x/a/b:push")}, Decision{
			Access: []registry.Access{{Type: "repository", Name: "x/a/b", Actions: []string{"push"}}},
			Rules:  []Verdict{{Rule: "everything", Effect: allow, Scope: "repository:x/a/b", Actions: []string{"push"}}},
		}},
		{"an anonymous request is in no other group", Request{Anonymous: true, User: "jo", Groups: []string{"staff"}, Scopes: scopes("repository:home/jo/app:pull")}, Decision{}},
		{"no scope gives an empty decision", Request{User: "jo", Groups: []string{"staff"}}, Decision{}},
		{"a name that no registry accepts", Request{User: "jo", Groups: []string{"staff"}, Scopes: scopes("repository::pull", "repository:"+strings.Repeat("a/", 127)+"aa:pull", "repository:x:")}, Decision{}},
	} {
		if diff := cmp.Diff(tt.want, p.Decide(tt.req)); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.name, diff)
		}
	}
}

// TestDenyByDefault: without rules nothing is granted, and the zero Policy
// grants nothing.
func TestDenyByDefault(t *testing.T) {
	for _, p := range []*Policy{compile(t, nil), {}} {
		for _, anonymous := range []bool{true, false} {
			got := p.Decide(Request{Anonymous: anonymous, User: "root", Groups: []string{"admins"}, Scopes: scopes("repository:a:*", "registry:catalog:*")})
			if !cmp.Equal(got, Decision{}) {
				t.Errorf("Decide = %v, want nothing", got)
			}
		}
	}
}

// TestIdentityCacheComparesNames: a caller that changes its groups in place
// gets another decision, and so do people of one name.
func TestIdentityCacheComparesNames(t *testing.T) {
	p := compile(t, []Rule{{Groups: []string{"team-*"}, Repositories: []string{"{group}/**"}, Actions: []string{"pull"}}})
	groups := []string{"staff", "team-a", "x"}
	may := func(name string) bool {
		return len(p.Decide(Request{User: "jo", Groups: groups, Scopes: scopes("repository:" + name + "/app:pull")}).Access) == 1
	}
	if !may("team-a") || may("team-b") {
		t.Error("want team-a granted and team-b denied")
	}
	groups[1] = "team-b"
	if may("team-a") || !may("team-b") {
		t.Error("after the change: want team-b granted and team-a denied")
	}
	groups = nil
	if may("team-a") || may("team-b") {
		t.Error("without groups: want nothing granted")
	}
}

// TestIdentityCacheIsBounded: the cache stays within its bound in bytes.
func TestIdentityCacheIsBounded(t *testing.T) {
	p := compile(t, []Rule{{Groups: []string{"**"}, Repositories: []string{"{group}/**"}, Actions: []string{"pull"}}})
	large := benchmarkGroups(2000)
	for i := range 300 {
		req := Request{User: fmt.Sprint("user-", i), Groups: large, Scopes: scopes("repository:team-7/app:pull")}
		if len(p.Decide(req).Access) != 1 {
			t.Fatalf("user %d is granted nothing", i)
		}
		used := 0
		for _, id := range p.identities.cache.All() {
			used += id.size()
		}
		if used > maxIdentityCache {
			t.Fatalf("%d bytes are cached, want at most %d", used, maxIdentityCache)
		}
	}
}

// TestConcurrentDecisions: concurrent decisions on many people do not mix.
func TestConcurrentDecisions(t *testing.T) {
	p := compile(t, []Rule{
		{Groups: []string{"team-*"}, Repositories: []string{"{group}/**"}, Actions: []string{"pull"}},
		{Effect: deny, Repositories: []string{"*/x"}, Actions: []string{"pull"}, When: `!("team-1" in groups)`},
	})
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := range 500 {
				n := (i*7 + worker) % 50
				team := fmt.Sprint("team-", n)
				got := p.Decide(Request{User: fmt.Sprint("user-", n), Groups: []string{team}, Scopes: scopes("repository:"+team+"/app:pull", "repository:team-99/app:pull", "repository:"+team+"/x:pull")})
				want := 1
				if n == 1 {
					want = 2
				}
				if len(got.Access) != want {
					t.Errorf("user-%d is granted %v", n, got.Access)
				}
			}
		})
	}
	wg.Wait()
}

// TestRepeatedComponentsAreTriedOnce: a hostile name that repeats a component
// with many rules costs no more than each of its rules once.
func TestRepeatedComponentsAreTriedOnce(t *testing.T) {
	var rules []Rule
	for i := range 5000 {
		rules = append(rules, Rule{Users: []string{"**"}, Repositories: []string{fmt.Sprintf("**/a/x%d", i%7), "a/**/b"}, Actions: []string{"pull"}})
	}
	p := compile(t, rules)
	name := strings.Repeat("a/", 120) + "b"
	got := p.Decide(Request{User: "u", Scopes: scopes("repository:" + name + ":pull")})
	if len(got.Rules) != 5000 || len(got.Access) != 1 {
		t.Errorf("%d rules matched, want 5000, each once", len(got.Rules))
	}
}
