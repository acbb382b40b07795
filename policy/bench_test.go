package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"shorepass/registry"
)

func benchmarkGroups(n int) []string {
	var groups []string
	for i := range n {
		groups = append(groups, fmt.Sprintf("team-%d", i))
	}
	return append(groups, authenticated)
}

// benchmarkRules returns n rules. Of more than 1000, each thousandth is made by
// wildcard.
func benchmarkRules(n int, wildcard func(i int) Rule) []Rule {
	rules := []Rule{
		{Groups: []string{"team-*"}, Repositories: []string{"{group}/**"}, Actions: []string{"pull", "push", "delete"}},
		{Groups: []string{anonymous, authenticated}, Repositories: []string{"public/**"}, Actions: []string{"pull"}},
		{Effect: deny, Repositories: []string{"*/release/**"}, Actions: []string{"push", "delete"}},
	}
	for i := len(rules); i < n; i++ {
		if n > 1000 && i%1000 == 0 {
			rules = append(rules, wildcard(i))
			continue
		}
		rules = append(rules, Rule{
			Groups:       []string{fmt.Sprintf("project-%d", i)},
			Repositories: []string{fmt.Sprintf("project-%d/**", i)},
			Actions:      []string{"pull", "push"},
		})
	}
	return rules
}

func benchmark(b *testing.B, rules []Rule, req Request) {
	p := compile(b, rules)
	req.Scopes = []registry.Scope{{Type: "repository", Name: "team-7/app", Actions: []string{"pull", "push"}}}
	if got := p.Decide(req); len(got.Access) != 1 || len(got.Access[0].Actions) != 2 {
		b.Fatalf("Decide = %v", got)
	}
	b.ReportAllocs()
	for b.Loop() {
		p.Decide(req)
	}
}

// BenchmarkDecide compares 10 rules with 100,000, of which 100 begin with a
// wildcard, in each of the ways that a glob can begin so.
func BenchmarkDecide(b *testing.B) {
	you := Request{User: "alice", Groups: benchmarkGroups(20)}
	b.Run("rules=10", func(b *testing.B) { benchmark(b, benchmarkRules(10, nil), you) })
	for _, begin := range []struct {
		name string
		rule func(i int) Rule
	}{
		{"component", func(i int) Rule {
			return Rule{Effect: deny, Repositories: []string{fmt.Sprintf("*/release-%d/**", i)}, Actions: []string{"push"}}
		}},
		{"ending", func(i int) Rule {
			return Rule{Effect: deny, Repositories: []string{fmt.Sprintf("**-%d", i)}, Actions: []string{"push"}}
		}},
		{"middle", func(i int) Rule {
			return Rule{Effect: deny, Repositories: []string{fmt.Sprintf("*-%d/**", i)}, Actions: []string{"push"}}
		}},
		{"everything", func(i int) Rule {
			return Rule{Groups: []string{fmt.Sprintf("admins-%d", i)}, Repositories: []string{"**"}, Actions: []string{"*"}}
		}},
	} {
		b.Run("rules=100000/wide="+begin.name, func(b *testing.B) { benchmark(b, benchmarkRules(100_000, begin.rule), you) })
	}
}

// BenchmarkGroups has people of many groups: in the identity cache, and not in
// it.
func BenchmarkGroups(b *testing.B) {
	for _, n := range []int{20, 200, 1000} {
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			benchmark(b, benchmarkRules(100, nil), Request{User: "alice", Groups: benchmarkGroups(n)})
		})
		b.Run(fmt.Sprintf("groups=%d/uncached", n), func(b *testing.B) {
			p := compile(b, benchmarkRules(100, nil))
			groups := benchmarkGroups(n)
			for b.Loop() {
				p.newIdentity(names{user: "alice", groups: groups})
			}
		})
	}
}

// BenchmarkLabels has 300 groups and 300 labels with five rules, which take
// docker_auth three seconds. In the lists each rule has 90,000 combinations.
func BenchmarkLabels(b *testing.B) {
	var labels []any
	for i := range 300 {
		labels = append(labels, fmt.Sprintf("label-%d", i))
	}
	for name, pattern := range map[string]string{"text": "{group}/x%d-{claims.label}/**", "list": "{group}/*%d{claims.labels}", "two-lists": "{group}/*{claims.labels}%d{claims.labels2}"} {
		b.Run(name, func(b *testing.B) {
			rules := []Rule{{Groups: []string{"team-*"}, Repositories: []string{"{group}/**"}, Actions: []string{"*"}}}
			for i := range 4 {
				rules = append(rules, Rule{Groups: []string{"team-*"}, Repositories: []string{fmt.Sprintf(pattern, i)}, Actions: []string{"*"}})
			}
			benchmark(b, rules, Request{User: "alice", Groups: benchmarkGroups(300), Claims: map[string]any{"labels": labels, "labels2": labels, "label": "blue"}})
		})
	}
}

// BenchmarkConditions has conditions on the address, on a claim, and on twenty
// groups.
func BenchmarkConditions(b *testing.B) {
	for name, when := range map[string]string{
		"address": `!cidr("10.0.0.0/8").containsIP(request.address)`,
		"claim":   `claims.level == "contractor"`,
		"groups":  `groups.exists(g, g.startsWith("banned-"))`,
	} {
		b.Run(name, func(b *testing.B) {
			rules := append(benchmarkRules(10, nil), Rule{Effect: deny, Repositories: []string{"**"}, Actions: []string{"pull"}, When: when})
			benchmark(b, rules, Request{User: "alice", Groups: benchmarkGroups(20), Address: address("10.1.2.3"), Claims: map[string]any{"level": "staff"}})
		})
	}
}

// BenchmarkDecideConcurrently decides in eight goroutines a processor: for few
// people, for as many as a busy hour has, and for more than the identity cache
// holds.
func BenchmarkDecideConcurrently(b *testing.B) {
	for _, people := range []int{16, 500, 5000} {
		b.Run(fmt.Sprintf("people=%d", people), func(b *testing.B) {
			p := compile(b, benchmarkRules(100, nil))
			requests := make([]Request, people)
			for i := range requests {
				requests[i] = Request{User: fmt.Sprint("user-", i), Groups: benchmarkGroups(20), Scopes: scopes("repository:team-7/app:pull,push")}
				p.Decide(requests[i])
			}
			b.SetParallelism(8)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p.Decide(requests[rand.IntN(people)])
				}
			})
		})
	}
}

// firstMatchRules returns a list of n rules of which the first that matches decides:
// four a team, and a last one for all. Each names the rules above it that cover some of
// the same requests; with all it names every rule above it.
func firstMatchRules(n int, all bool) []Rule {
	var rules []Rule
	for i := range n - 1 {
		team := fmt.Sprintf("team-%d", i/4)
		rules = append(rules, []Rule{
			{Effect: deny, Groups: []string{team}, Repositories: []string{team + "/secret"}, Actions: []string{"*"}},
			{Groups: []string{team}, Repositories: []string{team + "/old/**"}, Actions: []string{"pull"}},
			{Groups: []string{authenticated}, Repositories: []string{team + "/public"}, Actions: []string{"pull"}},
			{Groups: []string{team}, Repositories: []string{team + "/**"}, Actions: []string{"pull", "push"}},
		}[i%4])
	}
	rules = append(rules, Rule{Groups: []string{authenticated}, Repositories: []string{"**"}, Actions: []string{"pull"}})
	for i := range rules {
		rules[i].Name = fmt.Sprint("entry ", i)
		for j := range i {
			if all || j/4 == i/4 || i == n-1 {
				rules[i].Unless = append(rules[i].Unless, rules[j].Name)
			}
		}
	}
	return rules
}

// BenchmarkGroupInComponent has 100 rules with {group} as a part of a component, and a
// person of 5,000 groups.
func BenchmarkGroupInComponent(b *testing.B) {
	rules := benchmarkRules(3, nil)
	for i := range 100 {
		rules = append(rules, Rule{Groups: []string{"team-*"}, Repositories: []string{fmt.Sprintf("team-*/*-{group}-%d*", i)}, Actions: []string{"*"}})
	}
	benchmark(b, rules, Request{User: "alice", Groups: benchmarkGroups(5000)})
}

// BenchmarkUnlessWide has 3,000 rules that match, of which each names the next.
func BenchmarkUnlessWide(b *testing.B) {
	rules := []Rule{{Groups: []string{"team-*"}, Repositories: []string{"{group}/**"}, Actions: []string{"pull", "push"}}}
	for i := range 3000 {
		rules = append(rules, Rule{
			Name: fmt.Sprint("wide ", i), Effect: deny, Repositories: []string{"**"}, Actions: []string{"pull"},
			Unless: []string{fmt.Sprint("wide ", (i+1)%3000)},
		})
	}
	benchmark(b, rules, Request{User: "alice", Groups: benchmarkGroups(20)})
}

// BenchmarkFirstMatch has lists of which the first rule that matches decides. A load is
// the compilation of all rules.
func BenchmarkFirstMatch(b *testing.B) {
	for _, n := range []int{200, 10_000} {
		b.Run(fmt.Sprintf("rules=%d", n), func(b *testing.B) {
			benchmark(b, firstMatchRules(n, false), Request{User: "alice", Groups: benchmarkGroups(20)})
		})
	}
	for _, n := range []int{200, 1000, 10_000} {
		for _, all := range []bool{false, true} {
			if all && n > 1000 {
				continue // 50 million names
			}
			b.Run(fmt.Sprintf("rules=%d/all=%v/load", n, all), func(b *testing.B) {
				rules := firstMatchRules(n, all)
				b.ReportAllocs()
				for b.Loop() {
					compile(b, rules)
				}
			})
		}
	}
}

// BenchmarkRights compares what a page of a person costs: whether there are rights, and
// the list of them. The person has none of the rules but the last.
func BenchmarkRights(b *testing.B) {
	you := Request{User: "alice", Groups: benchmarkGroups(20), Claims: map[string]any{"level": "staff"}}
	for name, rule := range map[string]func(i int) Rule{
		"of other groups": func(i int) Rule {
			return Rule{Groups: []string{fmt.Sprint("project-", i)}, Repositories: []string{fmt.Sprintf("project-%d/**", i)}, Actions: []string{"pull"}}
		},
		"of other claims": func(i int) Rule {
			return Rule{Groups: []string{authenticated}, Repositories: []string{fmt.Sprintf("project-%d/**", i)}, Actions: []string{"pull"}, When: `claims.level == "contractor"`}
		},
		"that deny": func(i int) Rule {
			return Rule{Effect: deny, Repositories: []string{fmt.Sprintf("**/release-%d/**", i)}, Actions: []string{"push"}}
		},
	} {
		var rules []Rule
		for i := range 10_000 {
			rules = append(rules, rule(i))
		}
		p := compile(b, append(rules, benchmarkRules(1, nil)...))
		b.Run("rules=10000 "+name+"/has", func(b *testing.B) {
			for b.Loop() {
				p.HasRights(you)
			}
		})
		b.Run("rules=10000 "+name+"/list", func(b *testing.B) {
			for b.Loop() {
				p.Rights(you)
			}
		})
	}
}
