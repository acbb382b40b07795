package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/registry"
)

func address(s string) netip.Addr { return netip.MustParseAddr(s) }

// TestConditions: the variables of a condition have the values of the request,
// and a condition that needs a missing one fails.
func TestConditions(t *testing.T) {
	req := Request{
		User: "alice", Groups: []string{"team-a", authenticated}, Provider: "corp", Method: "password", Service: "registry-a",
		ACR: "gold", AMR: []string{"pwd", "mfa"}, AuthTime: time.Date(2026, 5, 1, 11, 0, 0, 0, time.UTC),
		Address: address("10.1.2.3"), Time: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
		Claims: map[string]any{"level": "high", "n": 7.0, "amr": []any{"pwd", "mfa"}, "names": []string{"a"}, "realm_access": map[string]any{"roles": []any{"x"}}, "none": nil},
	}
	mapped, zoned, unknown, timeless := req, req, req, req
	mapped.Address = address("::ffff:10.1.2.3")
	zoned.Address = address("fe80::1%eth0")
	unknown.Address = netip.Addr{}
	timeless.Time, timeless.AuthTime = time.Time{}, time.Time{}
	timeless.ACR, timeless.AMR = "", nil
	anonymous := Request{Anonymous: true, User: "alice", Claims: req.Claims, Address: req.Address, ACR: req.ACR, AMR: req.AMR, AuthTime: req.AuthTime}
	for _, tt := range []struct {
		req   Request
		when  string
		holds bool
		fault string
	}{
		{req, `user == "alice" && provider == "corp" && method == "password" && request.service == "registry-a"`, true, ""},
		{req, `"team-a" in groups && "authenticated" in groups`, true, ""},
		{req, `claims.level == "high" && claims.n == 7 && "mfa" in claims.amr && "a" in claims.names && "x" in claims.realm_access.roles`, true, ""},
		{req, `claims["level"] == "high" && claims.none == null`, true, ""},
		{req, `has(claims.level) && !has(claims.other)`, true, ""},
		{req, `claims.other == "x"`, false, "when: no such key: other"},
		{req, `claims.level.roles == "x"`, false, "when: no such key: roles"},
		{req, `claims.level > 3`, false, "when: no such overload"},
		{req, `!has(claims.other) || claims.other == "x"`, true, ""},
		{req, `cidr("10.0.0.0/8").containsIP(request.address)`, true, ""},
		{mapped, `cidr("10.0.0.0/8").containsIP(request.address)`, true, ""},
		{zoned, `cidr("fe80::/10").containsIP(request.address)`, true, ""},
		{unknown, `cidr("10.0.0.0/8").containsIP(request.address)`, false, "when: the address of the request is not known"},
		{unknown, `!cidr("10.0.0.0/8").containsIP(request.address)`, false, "when: the address of the request is not known"},
		{unknown, `user == "alice" || request.address.isLoopback()`, true, ""},
		{req, `request.time < timestamp("2027-01-01T00:00:00Z") && request.time.getHours() == 12`, true, ""},
		{timeless, `request.time < timestamp("2027-01-01T00:00:00Z")`, false, "when: the time of the request is not known"},
		{req, `auth.acr == "gold" && "mfa" in auth.amr && auth.time < request.time`, true, ""},
		{req, `request.time - auth.time < duration("1h")`, false, ""},
		{req, `request.time - auth.time <= duration("1h")`, true, ""},
		{timeless, `auth.acr == "" && auth.amr == [] && !("mfa" in auth.amr)`, true, ""},
		{timeless, `auth.time > timestamp("2026-01-01T00:00:00Z")`, false, "when: the time of the login is not known"},
		{timeless, `auth.acr == "" || auth.time > request.time`, true, ""},
		{anonymous, `auth.acr == "" && auth.amr == []`, true, ""},
		{anonymous, `auth.time > timestamp("2026-01-01T00:00:00Z")`, false, "when: the time of the login is not known"},
		{req, `request.repository == "a" && request.type == "repository" && request.action == "pull"`, true, ""},
		{anonymous, `request.repository == "a" && request.type == "repository" && request.action == "pull"`, true, ""},
		{anonymous, `user == "" && groups == ["anonymous"] && claims == {} && provider == "" && method == ""`, true, ""},
	} {
		rules := []Rule{{Name: "r", Effect: deny, Repositories: []string{"a"}, Actions: []string{"pull"}, When: tt.when}}
		tt.req.Scopes = []registry.Scope{{Type: "repository", Name: "a", Actions: []string{"pull"}}}
		var want []Verdict
		if tt.holds || tt.fault != "" {
			want = []Verdict{{Rule: "r", Effect: deny, Scope: "repository:a", Actions: []string{"pull"}, Fault: tt.fault}}
		}
		if diff := cmp.Diff(want, compile(t, rules).Decide(tt.req).Rules); diff != "" {
			t.Errorf("when %s (-want +got)\n%s", tt.when, diff)
		}
	}
}

// TestConditionLimits: claims cannot make an evaluation slow. It stops at its
// cost limit, and the rule fails.
func TestConditionLimits(t *testing.T) {
	many := make([]any, 20_000)
	for i := range many {
		many[i] = "role"
	}
	var deep any = "x"
	for range 100_000 {
		deep = []any{deep}
	}
	for _, tt := range []struct {
		name, when string
		claims     map[string]any
		fault      string
	}{
		{"a long list", `claims.roles.exists(r, r.startsWith("admin"))`, map[string]any{"roles": many}, "when: operation cancelled: actual cost limit exceeded"},
		{"a long text", `claims.text == "x"`, map[string]any{"text": strings.Repeat("x", maxText+1)}, "when: the claims are too large"},
		{"many texts", `claims.a.size() == 7`, map[string]any{"a": []string{strings.Repeat("x", maxText)}, "b": slices.Repeat([]any{strings.Repeat("x", 1000)}, 300)}, "when: the claims are too large"},
		{"a long name", `claims.text == "x"`, map[string]any{strings.Repeat("x", maxClaims+1): ""}, "when: the claims are too large"},
		{"a deep list", `claims.deep == claims.deep && claims.deep == 7`, map[string]any{"deep": deep}, "when: the claims are too large"},
		{"an error that quotes a long text", `int(claims.text) == 7`, map[string]any{"text": strings.Repeat("x", 1000)}, "when: type conversion error"},
	} {
		p := compile(t, []Rule{{Effect: deny, Repositories: []string{"**"}, Actions: []string{"*"}, When: tt.when}})
		got := p.Decide(Request{User: "u", Claims: tt.claims, Scopes: []registry.Scope{{Type: "repository", Name: "a", Actions: []string{"pull"}}}})
		if len(got.Rules) != 1 || !strings.HasPrefix(got.Rules[0].Fault, tt.fault) || len(got.Rules[0].Fault) > 250 {
			t.Errorf("%s: Decide = %.300v, want the fault %q", tt.name, got.Rules, tt.fault)
		}
	}
}

// TestConditionsAreEvaluatedOnce: a condition that names neither the resource nor the
// action is evaluated once a request, the others once for each of those that they name.
// The cost of conditions shows it.
func TestConditionsAreEvaluatedOnce(t *testing.T) {
	resources := scopes("repository:a:pull,push", "repository:b:pull,push", "repository:c:pull,push")
	for _, tt := range []struct {
		when string
		want uint64 // evaluations
	}{
		{`user == "u"`, 1},
		{`request.repository == "u"`, 3},
		{`request.type == "u"`, 3},
		{`request.action == "u"`, 2},
		{`request.repository == request.action`, 6},
	} {
		var rules []Rule
		for range 4 {
			rules = append(rules, Rule{Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{"*"}, When: tt.when})
		}
		spent := func(resources []registry.Scope) uint64 {
			p := compile(t, rules)
			req := Request{User: "v"}
			d := decider{policy: p, req: &req, identity: p.identity(&req)}
			for i := range resources {
				d.matchRules(&resources[i])
			}
			return d.spent
		}
		if one, all := spent(scopes("repository:a:pull")), spent(resources); one == 0 || all != one*tt.want {
			t.Errorf("%s costs %d for three resources and two actions and %d for one, want %d times as much", tt.when, all, one, tt.want)
		}
	}
}

// TestConditionsShareABudget: the conditions of a request have a common cost limit.
// What exceeds it counts as failed, so that allow rules do not match and deny rules do.
func TestConditionsShareABudget(t *testing.T) {
	var groups []string
	for i := range 1000 {
		groups = append(groups, fmt.Sprint("group-", i))
	}
	rules := []Rule{
		{Name: "all", Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{"push"}},
		{Name: "last deny", Effect: deny, Repositories: []string{"**"}, Actions: []string{"push"}, When: `request.repository == "no"`},
		{Name: "last allow", Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{"pull"}, When: `request.repository != "no"`},
	}
	costly := func(n int) []Rule {
		var more []Rule
		for i := range n {
			more = append(more, Rule{Effect: deny, Repositories: []string{"**"}, Actions: []string{"push"}, When: fmt.Sprintf(`groups.exists(g, g.startsWith("no-%d-") || g.matches("^(no|none)-[0-9a-f]+$"))`, i)})
		}
		return append(more, rules...)
	}
	for _, tt := range []struct {
		conditions int
		granted    []string
		fault      string
	}{
		{10, []string{"pull", "push"}, ""},
		{300, nil, overBudget},
	} {
		got := compile(t, costly(tt.conditions)).Decide(Request{User: "u", Groups: groups, Scopes: scopes("repository:a:pull,push")})
		var granted []string
		for _, a := range got.Access {
			granted = a.Actions
		}
		fault := ""
		for _, v := range got.Rules {
			if v.Fault != "" {
				fault = v.Fault
			}
		}
		if !slices.Equal(granted, tt.granted) || fault != tt.fault {
			t.Errorf("with %d costly conditions: granted %v by the fault %q, want %v by %q", tt.conditions, granted, fault, tt.granted, tt.fault)
		}
	}
}

// TestCheapConditionsHaveABudget: conditions that cost next to nothing share the limit
// too, since each evaluation counts.
func TestCheapConditionsHaveABudget(t *testing.T) {
	var resources []registry.Scope
	for i := range registry.MaxScopes {
		resources = append(resources, registry.Scope{Type: "repository", Name: fmt.Sprint("a", i), Actions: []string{"push"}})
	}
	for _, tt := range []struct {
		conditions int
		beyond     bool
	}{{50, false}, {500, true}} {
		rules := []Rule{{Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{"push"}}}
		for i := range tt.conditions {
			rules = append(rules, Rule{Effect: deny, Repositories: []string{"**"}, Actions: []string{"push"}, When: fmt.Sprintf(`request.repository == "b%d"`, i)})
		}
		p, req := compile(t, rules), Request{User: "u", Scopes: resources}
		got := p.Decide(req)
		if all := len(got.Access) == len(resources); all == tt.beyond || p.Explain(req).GrantsAll() != all {
			t.Errorf("%d conditions: Decide grants %d of %d resources, and whether all, Explain says %v", tt.conditions, len(got.Access), len(resources), !all)
		}
		if beyond := slices.ContainsFunc(got.Rules, func(v Verdict) bool { return v.Fault == overBudget }); beyond != tt.beyond {
			t.Errorf("%d conditions for each of %d resources: %v to whether they exceed the limit, want %v", tt.conditions, len(resources), beyond, tt.beyond)
		}
	}
}

// TestSharedConditionIsCompiledOnce: a condition that many rules share is
// compiled once in a policy and matches in all of them.
func TestSharedConditionIsCompiledOnce(t *testing.T) {
	var rules []Rule
	for i := range 1000 {
		rules = append(rules, Rule{Users: []string{"**"}, Repositories: []string{fmt.Sprintf("a/%d", i), "b"}, Actions: []string{"pull"}, When: `user == "u"`})
	}
	p := compile(t, rules)
	for _, r := range p.rules {
		if r.when != p.rules[0].when {
			t.Fatal("a shared condition was compiled twice")
		}
	}
	got := p.Decide(Request{User: "u", Scopes: []registry.Scope{{Type: "repository", Name: "b", Actions: []string{"pull"}}}})
	if len(got.Rules) != 1000 {
		t.Errorf("%d rules matched, want 1000", len(got.Rules))
	}
}

func BenchmarkWorstConditions(b *testing.B) {
	text := strings.Repeat("ab", maxText/2)
	for name, when := range map[string]string{
		"regexp":   `claims.t.matches("(a|b|ab|ba)*(a.{10}){9}c")`,
		"contains": `claims.t.contains("abababababac")`,
		"list":     `groups.exists(g, g.matches("^(a|b)+c$"))`,
	} {
		b.Run(name, func(b *testing.B) {
			p := compile(b, []Rule{{Effect: deny, Repositories: []string{"**"}, Actions: []string{"*"}, When: when}})
			var groups []string
			for range 1000 {
				groups = append(groups, "ababababababababab")
			}
			req := Request{User: "u", Groups: groups, Claims: map[string]any{"t": text}, Scopes: []registry.Scope{{Type: "repository", Name: "a", Actions: []string{"pull"}}}}
			for b.Loop() {
				p.Decide(req)
			}
		})
	}
}
