package policy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"shorepass/registry"
)

// FuzzDecideAsDocumented compares Decide with the reference evaluator, which is
// written from docs/policy.md. Policies and requests are drawn from few names,
// so that rules and requests meet.
func FuzzDecideAsDocumented(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { checkDocumented(t, seed) })
}

// TestDecideAsDocumented compares Decide with the reference evaluator for some
// thousand requests; REFERENCE_POLICIES sets the number of policies.
func TestDecideAsDocumented(t *testing.T) {
	policies := 150
	if more, err := strconv.Atoi(os.Getenv("REFERENCE_POLICIES")); err == nil {
		policies = more
	}
	seen := map[truth]int{}
	for seed := range uint64(policies) {
		for how, n := range checkDocumented(t, seed) {
			seen[how] += n
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	t.Logf("%d decisions: %d rules matched, %d failed, %d did not match", policies*requests*2, seen[isTrue], seen[isUnknown], seen[isFalse])
	if seen[isTrue] < policies*requests/5 || seen[isUnknown] < policies*requests/5 {
		t.Errorf("%d rules matched and %d failed, want at least a fifth of the requests of each", seen[isTrue], seen[isUnknown])
	}
}

// requests is the number of requests to each policy, for two resources each.
const requests = 20

// checkDocumented compares one policy and returns how often its rules had each
// truth value.
func checkDocumented(t *testing.T, seed uint64) map[truth]int {
	draw := documentedDrawer{drawer{rand.New(rand.NewPCG(seed, 4))}}
	rules := draw.referenceRules()
	var all []Rule
	for _, r := range rules {
		all = append(all, r.Rule)
	}
	p, seen := compile(t, all), map[truth]int{}
	for range requests {
		req := draw.request()
		decision := p.Decide(req)
		for _, scope := range req.Scopes {
			want, how, failed := referenceRequest{Request: req}.decide(rules, scope)
			for _, r := range rules {
				seen[how[r.Name]]++
			}
			if problem := difference(decision, scope, rules, want, how, failed); problem != "" {
				t.Errorf("seed %d: %s\nrules %+v\nrequest %+v", seed, problem, all, req)
			}
		}
	}
	return seen
}

// difference says how a decision about a resource differs from the reference
// evaluator's: in what is granted, or in how the rules match.
func difference(decision Decision, scope registry.Scope, rules []referenceRule, granted []string, how map[string]truth, fails map[string]bool) string {
	name := scope.Type + ":" + scope.Name
	var got []string
	for _, a := range decision.Access {
		if a.Type == scope.Type && a.Name == scope.Name {
			got = slices.Compact(slices.Sorted(slices.Values(a.Actions)))
		}
	}
	if !slices.Equal(got, granted) {
		return fmt.Sprintf("Decide grants %q of %s, the reference %q", got, name, granted)
	}
	for _, r := range rules {
		applies, failed := false, false
		for _, v := range decision.Rules {
			if v.Scope == name && v.Rule == r.Name {
				applies = applies || r.Effect == deny || v.Fault == ""
				failed = failed || v.Fault != ""
			}
		}
		want := how[r.Name] == isTrue || how[r.Name] == isUnknown && r.Effect == deny
		if applies != want {
			return fmt.Sprintf("Decide says %v to whether %s applies to %s, the reference %v", applies, r.Name, name, want)
		}
		if applies && failed != fails[r.Name] {
			return fmt.Sprintf("Decide says %v to whether %s applies to %s by a fault", failed, r.Name, name)
		}
	}
	return ""
}

// documentedDrawer draws rules with a reference condition, and requests.
type documentedDrawer struct{ drawer }

func (d documentedDrawer) referenceRules() []referenceRule {
	most := 6
	if d.IntN(20) == 0 {
		most = 80 // so that large buckets are indexed by person
	}
	var all []referenceRule
	for i := range 1 + d.IntN(most) {
		r := d.referenceRule()
		r.Name = "r" + strconv.Itoa(i)
		all = append(all, r)
	}
	rules := make([]Rule, len(all))
	for i := range all {
		rules[i] = all[i].Rule
	}
	d.drawUnless(rules)
	for i := range all {
		all[i].Unless = rules[i].Unless
	}
	return all
}

func (d documentedDrawer) referenceRule() referenceRule {
	r := referenceRule{Rule: Rule{
		Effect:       d.some(1, 1, allow, allow, deny)[0],
		Users:        d.some(0, 2, "*", "*", "alice", "Alice", "sso/*", "*e", "josé", "jose\u0301", "**ce", "\u212Aim"),
		Groups:       d.some(0, 2, "*", authenticated, "team-a", "Team-A", "team-*", "*-B", "/dev/*", "DEV/**", anonymous, "kim-*", "\u212Aim-x", "Domain Users"),
		Repositories: d.some(1, 2, "a/**", "**", "*/x", "team-a/*", "*-a/**", "a/b/c", "catalog", "**a"),
		Actions:      d.some(1, 3, "pull", "push", "delete", "*", "*", "scan"),
		Types:        []string{"repository"},
	}}
	if d.IntN(8) == 0 {
		r.Types = d.some(1, 2, "repository", "registry", "re*")
	}
	if d.IntN(8) == 0 {
		r.Providers = d.some(1, 2, "corp", "c*", "sso", "*")
	}
	if d.IntN(8) == 0 {
		r.Services = d.some(1, 2, "hub/a", "hub*", "*", "other")
	}
	if d.IntN(2) == 0 {
		r.Repositories = append(r.Repositories, d.some(1, 2, "{user}/**", "a/{user}", "{claims.level}/**", "x-{claims.deep.x}/*", "{claims.level}-{user}/x",
			"{claims.level}/{claims.level}", "*{claims.level}{claims.deep.x}/**", "{claims.level}-{claims.deep.x}/{claims.level}", "**{claims.deep.x}")...)
	}
	if r.Groups != nil && d.IntN(2) == 0 {
		r.Repositories = append(r.Repositories, d.some(1, 2, "{group}/**", "*/{group}", "x{group}/x", "{group}/{claims.level}", "{group}/{group}")...)
	}
	if d.IntN(2) == 0 && len(r.Repositories) > 1 {
		r.Repositories = r.Repositories[1:]
	}
	if r.Effect == allow && r.Users == nil && r.Groups == nil {
		r.Users = []string{"*"}
	}
	if slices.Contains(r.Groups, anonymous) {
		r.Groups = append(r.Groups, "team-a") // alone it may not be combined with users and such
	}
	if d.IntN(3) == 0 {
		when := referenceConditions[d.IntN(len(referenceConditions))]
		r.When, r.when = when.text, when.holds
	}
	return r
}

// documentedTime is the time of all requests.
var documentedTime = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func (d documentedDrawer) request() Request {
	req := Request{Anonymous: d.IntN(8) == 0, Service: d.some(1, 1, "hub/a", "hub-b", "other")[0]}
	if d.IntN(2) == 0 {
		req.Address = netip.MustParseAddr(d.some(1, 1, "127.0.0.1", "10.1.2.3")[0])
	}
	req.User = d.some(1, 1, "alice", "ALICE", "sso/alice", "team-a", "JOS\u00C9", "jose\u0301", "kim", "\u212Aim", "a b")[0]
	req.Provider, req.FoldsCase = d.some(1, 1, "corp", "sso")[0], d.IntN(2) == 0
	req.Method, req.Time = "password", documentedTime
	req.ACR, req.AMR = d.some(1, 1, "", "gold", "silver")[0], d.some(0, 2, "pwd", "mfa", "MFA")
	if d.IntN(3) > 0 {
		req.AuthTime = documentedTime.Add(-time.Duration(d.IntN(24)) * time.Hour)
	}
	groups := []string{"team-a", "TEAM-A", "Team-B", "/dev/a", "dev/b", "x-b", "kim-x", "\u212Aim-x", "domain users", "a"}
	req.Groups = d.some(0, 3, groups...)
	if d.IntN(3) > 0 {
		req.Groups = append(req.Groups, authenticated)
	}
	if d.IntN(3) == 0 {
		req.Unsure = d.some(0, 2, append(groups, UnsureAll)...)
		req.Groups = slices.DeleteFunc(req.Groups, func(g string) bool { return slices.Contains(req.Unsure, g) })
	}
	req.Claims = map[string]any{}
	if d.IntN(3) > 0 {
		req.Claims["level"] = []any{"high", "low", "a/b", 7.0, 7.5, "High", []any{"high"}, []any{"high", "low", "team-a", "hig", "h"}, []any{"high", "Low", 7.0},
			[]any{}, slices.Repeat([]any{"high"}, 1001)}[d.IntN(11)]
	}
	if d.IntN(2) == 0 {
		req.Claims["deep"] = []any{map[string]any{"x": "y"}, "x", map[string]any{"x": []any{"y", "z", "high", "a"}}}[d.IntN(3)]
	}
	names := []string{"a", "a/b/c", "a/x", "team-a/x", "team-b/x", "a/team-a", "alice/x", "a/alice", "high/x", "high-alice/x", "x-y/z",
		"team-a/high", "team-a/team-a", "xteam-a/x", "kim-x/a", "x/x", "catalog", "7/x", "x-b/x", "kim/a", "high/high", "high/low", "high-y/high", "high-y/low", "lowz/x", "xhighy/a/b"}
	for _, i := range d.Perm(len(names))[:2] {
		req.Scopes = append(req.Scopes, registry.Scope{
			Type:    d.some(1, 1, "repository", "repository", "repository", "repository", "repository", "repository", "registry")[0],
			Name:    names[i],
			Actions: d.some(1, 2, "pull", "push", "delete", "*", "scan", "sign"),
		})
	}
	return req
}
