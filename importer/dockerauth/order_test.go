package dockerauth

import (
	"net/netip"
	"slices"
	"testing"

	"shorepass/policy"
)

// TestGroupThatFillsNoPlaceholder: a group with a blank, as most people of a directory have
// one, leaves neither an entry that allows nor one that denies in doubt.
func TestGroupThatFillsNoPlaceholder(t *testing.T) {
	own, all := "${labels:groups}/*", "*/*"
	who := identities{Directory: true, GroupLabel: "groups", DirectoryLabels: []string{"groups"}, LowerCaseLabels: []string{"groups"}}
	for _, actions := range [][]string{{"pull"}, {}} {
		rules, findings := translateACL([]entry{
			{Line: 1, Match: match{Name: &own}, Actions: actions},
			{Line: 2, Match: match{Name: &all}, Actions: []string{"pull", "push"}},
		}, who)
		var plain []policy.Rule
		for _, r := range rules {
			plain = append(plain, r.Rule)
		}
		compiled := policy.Compile(plain, func(key, problem string) { t.Fatal(key, problem) })
		for name, want := range map[string][]string{"team/app": actions, "other/app": {"pull", "push"}} {
			q := modelRequest{account: "marit", kind: "repository", name: name, address: netip.MustParseAddr("192.0.2.1"),
				labels: map[string][]string{"groups": {"domain users", "team"}}, actions: []string{"pull", "push"}}
			if got := granted(compiled, q, who); !slices.Equal(got, want) {
				t.Errorf("actions %q: %s is granted %q, want %q; the findings are %+v", actions, name, got, want, findings)
			}
		}
	}
}
