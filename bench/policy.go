package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"shorepass/policy"
	"shorepass/registry"
)

// batchSize is the number of decisions in a run.
const batchSize = 20_000

// measurePolicy prints the time of a decision by the number of rules, for a person in
// twenty groups. In the largest set a hundred rules begin with a wildcard, so the
// index cannot find them by a literal prefix.
func measurePolicy(plan schedule) error {
	request := policy.Request{
		User: "alice", Groups: teamNames(20), Provider: "corp", Method: "password", Service: "registry",
		Address: netip.MustParseAddr("10.1.2.3"), Time: time.Now(),
		Scopes: []registry.Scope{{Type: "repository", Name: "team-001/app", Actions: []string{"pull", "push"}}},
	}
	var all []variant
	for _, set := range []struct{ rules, wildcards int }{{10, 1}, {1_000, 10}, {100_000, 100}} {
		compiled := policy.Compile(rules(set.rules, set.wildcards), func(key, problem string) {
			panic(key + ": " + problem) // a mistake in rules, below
		})
		if got := compiled.Decide(request); len(got.Access) != 1 {
			return fmt.Errorf("%d rules grant %v, want pull and push", set.rules, got.Access)
		}
		all = append(all, variant{fmt.Sprintf("%d rules, %d with a leading wildcard", set.rules, set.wildcards), func(context.Context, time.Duration) (metrics, error) {
			began := time.Now()
			for range batchSize {
				compiled.Decide(request)
			}
			return metrics{P50: time.Since(began) / batchSize}, nil
		}})
	}
	results, err := compare(context.Background(), plan, all)
	if err != nil {
		return err
	}
	fmt.Printf("\n%-42s %12s %10s\n", "policy decision", "time", "vs first")
	for _, r := range results {
		fmt.Printf("%-42s %12v %10.2f\n", r.name, r.P50, r.latency)
	}
	return nil
}

// rules returns n rules: one that lets each team own its folder, some that begin with
// a wildcard, and the rest for groups that the person is not in.
func rules(n, wildcards int) []policy.Rule {
	all := []policy.Rule{{Name: "a team owns its folder", Groups: []string{"team-*"}, Repositories: []string{"{group}/**"}, Actions: []string{"pull", "push"}}}
	for i := range wildcards {
		all = append(all, policy.Rule{Name: fmt.Sprintf("wild %d", i), Effect: "deny", Repositories: []string{fmt.Sprintf("*/release-%d/**", i)}, Actions: []string{"push"}})
	}
	for i := len(all); i < n; i++ {
		all = append(all, policy.Rule{Name: fmt.Sprintf("rule %d", i), Groups: []string{fmt.Sprintf("other-%d", i)}, Repositories: []string{fmt.Sprintf("other-%d/**", i)}, Actions: []string{"pull"}})
	}
	return all
}
