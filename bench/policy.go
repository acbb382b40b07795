package main

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"shorepass/policy"
	"shorepass/registry"
)

// measurePolicy prints the time of a decision for a person of twenty groups
// against the number of rules. In the largest set a hundred rules begin with a
// wildcard, so that no literal beginning finds them.
func measurePolicy() error {
	fmt.Printf("\n%-42s %12s %10s %8s\n", "policy decision", "time", "allocs", "ratio")
	var ten float64
	for _, set := range []struct{ rules, wildcards int }{{10, 1}, {1_000, 10}, {100_000, 100}} {
		compiled, err := policy.Compile(rules(set.rules, set.wildcards))
		if err != nil {
			return err
		}
		request := policy.Request{
			User: "alice", Provider: "corp", Method: "password", Service: "registry",
			Address: netip.MustParseAddr("10.1.2.3"), Time: time.Now(),
			Scopes: []registry.Scope{{Type: "repository", Name: "team-001/app", Actions: []string{"pull", "push"}}},
		}
		for i := range 20 {
			request.Groups = append(request.Groups, fmt.Sprintf("team-%03d", i))
		}
		if got := compiled.Decide(request); len(got.Access) != 1 {
			return fmt.Errorf("%d rules grant %v, want pull and push", set.rules, got.Access)
		}
		result := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				compiled.Decide(request)
			}
		})
		took := float64(result.NsPerOp())
		if ten == 0 {
			ten = took
		}
		fmt.Printf("%-42s %12v %10d %8.2f\n", fmt.Sprintf("%d rules, %d with a wildcard first", set.rules, set.wildcards),
			time.Duration(took), result.AllocsPerOp(), took/ten)
	}
	return nil
}

// rules returns n rules: one by which each team owns its folder, some that
// begin with a wildcard, and the rest for teams that alice is not in.
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
