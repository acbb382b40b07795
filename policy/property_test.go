package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/registry"
)

// FuzzDecide draws a policy and a request from a seed and checks the invariants
// of a decision: granted is a subset of asked, the order of the rules does not
// matter, one more deny rule grants nothing more. Names are few, so that rules
// and requests meet.
func FuzzDecide(f *testing.F) {
	for seed := range uint64(500) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		draw := drawer{rand.New(rand.NewPCG(seed, 1))}
		rules, req := draw.rules(), draw.request()
		p := compile(t, rules)
		got := p.Decide(req)

		if want := p.decideWithoutIndex(req); !cmp.Equal(want, got) {
			t.Errorf("the index finds other rules than a full scan (-scan +index)\n%s", cmp.Diff(want, got))
		}
		for _, r := range p.rules {
			p.reportShadowed(r, func(_, problem string) {
				if slices.ContainsFunc(got.Rules, func(v Verdict) bool { return v.Rule == r.Name && (r.deny || v.Fault == "") }) {
					t.Errorf("%s, but it does: %v", problem, got.Rules)
				}
			})
		}
		if again := p.Decide(req); !cmp.Equal(again, got) {
			t.Errorf("a second decision differs (-first +second)\n%s", cmp.Diff(got, again))
		}
		for _, a := range got.Access {
			if extra := notRequested(a, req.Scopes); extra != nil {
				t.Errorf("granted %v of %s, which was not asked", extra, a.Name)
			}
		}
		if len(got.Rules) == 0 && len(got.Access) > 0 {
			t.Errorf("granted %v by no rule", got.Access)
		}

		shuffled := WithDefaults(rules)
		draw.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		other := compile(t, shuffled).Decide(req)
		if !cmp.Equal(grants(other), grants(got)) {
			t.Errorf("the order of rules matters (-original +shuffled)\n%s", cmp.Diff(got.Access, other.Access))
		}

		stricter := compile(t, append(slices.Clone(rules), draw.rule(deny))).Decide(req)
		for resource := range grants(stricter) {
			if !grants(got)[resource] {
				t.Errorf("one more deny rule grants %s", resource)
			}
		}
	})
}

// decideWithoutIndex is Decide without the index and the cache: it evaluates
// every rule with all of its patterns, as Explain does.
func (p *Policy) decideWithoutIndex(req Request) Decision {
	d := decider{policy: p, req: &req, identity: p.newIdentity(namesOf(&req))}
	if req.Anonymous {
		d.identity = p.newIdentity(names{groups: []string{anonymous}, anonymous: true})
	}
	var out Decision
	for i := range req.Scopes {
		d.setScope(&req.Scopes[i])
		for _, r := range p.rules {
			d.evaluate(&candidate{r, r.patterns})
		}
		d.finishMatches()
		if granted := d.granted(); len(granted) > 0 {
			s := req.Scopes[i]
			out.Access = append(out.Access, registry.Access{Type: s.Type, Class: s.Class, Name: s.Name, Actions: granted})
		}
		out.Rules = d.verdicts(out.Rules)
	}
	return out
}

// FuzzExplain draws an allow rule, a deny rule that its unless may name, and one
// scope from a seed. If Explain says that exactly one key of the allow rule does not
// match, then Decide grants by the rule without that key.
func FuzzExplain(f *testing.F) {
	for seed := range uint64(2000) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		draw := drawer{rand.New(rand.NewPCG(seed, 2))}
		r, req := draw.rule(allow), draw.request()
		req.Scopes = req.Scopes[:1]
		named := draw.rule(deny)
		if named.Name = "named"; draw.IntN(2) == 0 {
			r.Unless = []string{named.Name}
		}
		p := compile(t, []Rule{r, named})
		explained := p.Explain(req).Scopes[0]
		var got, want []string
		for _, n := range explained.Near {
			got = append(got, n.Key)
		}
		if req.Scopes[0].Actions = denied(explained); req.Scopes[0].Actions != nil {
			want = p.liftable(req)
		}
		if !slices.Equal(got, want) {
			t.Errorf("Explain(%+v) of %+v has near misses by %v, but Decide matches without any of %v", req, r, got, want)
		}
	})
}

// denied returns the actions that no rule gives and none takes.
func denied(s ExplainedScope) []string {
	var all []string
	for _, a := range s.Actions {
		if !a.Granted && a.TakenBy == nil {
			all = append(all, a.Action)
		}
	}
	return all
}

// liftable returns the keys without any one of which the policy's first rule
// matches. The condition counts only if all other keys match.
func (p *Policy) liftable(req Request) []string {
	r := p.rules[0]
	decide := func(without ...key) []Verdict {
		defer func(whole rule) { *r = whole }(*r)
		for _, k := range without {
			r.lift(k)
		}
		return slices.DeleteFunc(p.decideWithoutIndex(req).Rules, func(v Verdict) bool { return v.Rule != r.Name })
	}
	if len(decide()) > 0 {
		return nil
	}
	for _, k := range []key{keyWhen, keyUnless} {
		if hits := decide(k); len(hits) > 0 && hits[0].Fault == "" {
			return []string{k.String()}
		}
	}
	var all []string
	for k := keyUsers; k < keyWhen; k++ {
		if hits := decide(k, keyWhen); len(hits) > 0 && hits[0].Fault == "" {
			all = append(all, k.String())
		}
	}
	return all
}

// lift makes a key match every request.
func (r *rule) lift(k key) {
	anything := []glob{{{kind: doubleStar}}}
	switch k {
	case keyUsers:
		r.Users = nil
	case keyGroups:
		r.Groups = nil
	case keyActions:
		r.star = true
	case keyTypes:
		r.types = anything
	case keyProviders:
		r.providers = nil
	case keyServices:
		r.services = nil
	case keyRepositories:
		r.patterns = []pattern{{glob: anything[0]}}
	case keyWhen:
		r.when = nil
	case keyUnless:
		r.unless = ids{}
	}
}

// grants returns the set of granted actions, each with its resource.
func grants(d Decision) map[string]bool {
	all := map[string]bool{}
	for _, a := range d.Access {
		for _, action := range a.Actions {
			all[fmt.Sprint(a.Type, ":", a.Name, ":", action)] = true
		}
	}
	return all
}

// notRequested returns the actions of an entry that no scope asks for.
func notRequested(a registry.Access, scopes []registry.Scope) []string {
	var extra []string
	for _, action := range a.Actions {
		if !slices.ContainsFunc(scopes, func(s registry.Scope) bool {
			return s.Type == a.Type && s.Class == a.Class && s.Name == a.Name &&
				(slices.Contains(s.Actions, action) || slices.Contains(s.Actions, "*"))
		}) {
			extra = append(extra, action)
		}
	}
	return extra
}

func compile(t testing.TB, rules []Rule) *Policy {
	t.Helper()
	return Compile(rules, func(key, problem string) { t.Fatalf("Compile: %s: %s", key, problem) })
}

// drawer draws rules and requests at random.
type drawer struct{ *rand.Rand }

// some draws between least and most texts.
func (d drawer) some(least, most int, from ...string) []string {
	var all []string
	for range least + d.IntN(most-least+1) {
		all = append(all, from[d.IntN(len(from))])
	}
	return all
}

func (d drawer) rules() []Rule {
	var all []Rule
	for i := range d.IntN(40) {
		r := d.rule([]string{allow, allow, deny}[d.IntN(3)])
		r.Name = fmt.Sprint("r", i)
		all = append(all, r)
	}
	d.drawUnless(all)
	return all
}

// drawUnless lets some of the rules name others.
func (d drawer) drawUnless(rules []Rule) {
	for i := range rules {
		for d.IntN(4) == 0 {
			if name := rules[d.IntN(len(rules))].Name; name != rules[i].Name && !slices.Contains(rules[i].Unless, name) {
				rules[i].Unless = append(rules[i].Unless, name)
			}
		}
	}
}

func (d drawer) rule(effect string) Rule {
	r := Rule{
		Effect:       effect,
		Users:        d.some(0, 2, "alice", "Alice", "bob", "*", "A*", "**", "*@x", "sso/*"),
		Groups:       d.some(0, 2, "team-a", "Team-b", "team-*", "*", "**", "*-A", "/dev/*", anonymous, authenticated, "Domain *"),
		Repositories: d.some(1, 3, "a/**", "*/a", "**", "team-a/*", "team-*/**", "*-a/**", "**-b", "*/team-a/*", "{user}/**", "a/{user}", "{user}-a/*"),
		Actions:      d.some(1, 2, "pull", "push", "delete", "*", "scan"),
		When: d.some(1, 1, "", "", "", `claims.level == "high"`, `groups.exists(g, g == "team-a")`, `request.address.isLoopback()`,
			`request.action != "push"`, `request.action == "*" || claims.level == "high"`, `request.repository.startsWith("team-")`)[0],
		Types:     d.some(0, 1, "registry", "*"),
		Providers: d.some(0, 1, "corp", "corp", "*", "sso"),
		Services:  d.some(0, 1, "registry-a", "registry-*", "**", "other"),
	}
	if d.IntN(3) == 0 {
		r.Repositories = append(r.Repositories, d.some(1, 2, "{claims.level}/**", "a/{claims.deep.x}", "team-{claims.level}/*")...)
	}
	if len(r.Groups) > 0 && d.IntN(2) == 0 {
		r.Repositories = append(r.Repositories, d.some(1, 2, "{group}/**", "*/{group}", "{group}-a/*", "a/{group}/{user}", "{group}/{claims.level}")...)
	}
	if len(r.Users) == 0 && len(r.Groups) == 0 && effect == allow {
		r.Users = []string{"**"}
	}
	if slices.Contains(r.Groups, anonymous) {
		r.Groups, r.Users = append(r.Groups, "team-a"), nil
	}
	return r
}

func (d drawer) request() Request {
	req := Request{Anonymous: d.IntN(6) == 0, Service: d.some(1, 1, "registry-a", "registry-a", "registry-b")[0]}
	if !req.Anonymous {
		req.Provider = d.some(1, 1, "corp", "corp", "sso")[0]
		req.User = d.some(1, 1, "alice", "Bob", "a", "A b", "jo@x", "team-a", "sso/alice")[0]
		req.Groups = d.some(0, 5, "team-a", "Team-B", "team-b", "a", "x-a", authenticated, anonymous, "Domain Users", "*", "a/b", "/dev/team-a")
		req.FoldsCase = d.IntN(2) == 0
		if d.IntN(2) == 0 {
			req.Unsure = d.some(0, 2, "team-a", "TEAM-b", "x-b", "Domain Guests", "/dev/team-a", UnsureAll)
			req.Groups = slices.DeleteFunc(req.Groups, func(name string) bool { return slices.Contains(req.Unsure, name) })
		}
		req.Claims = map[string]any{}
		if d.IntN(2) == 0 {
			req.Claims["level"] = []any{"high", "a", "a/b", 7.0, nil}[d.IntN(5)]
		}
		if d.IntN(2) == 0 {
			req.Claims["deep"] = map[string]any{"x": "team-a"}
		}
	}
	if d.IntN(2) == 0 {
		req.Address = address("127.0.0.1")
	}
	for range 1 + d.IntN(3) {
		req.Scopes = append(req.Scopes, registry.Scope{
			Type:    d.some(1, 1, "repository", "repository", "registry")[0],
			Name:    d.some(1, 1, "a", "a/a", "a/b", "team-a/x", "team-a/a", "x/team-a/y", "alice/x", "a/alice", "a/team-a", "high/x", "team-high/x", "team-a/high", "alice-a/x", "a/team-a/alice", "catalog", "7/a")[0],
			Actions: d.some(1, 3, "pull", "push", "delete", "*", "scan", "sign"),
		})
	}
	return req
}

// FuzzCompile compiles rules of arbitrary texts: a rule is refused with a
// reason, or it compiles, decides, and grants no more than was asked.
func FuzzCompile(f *testing.F) {
	f.Add("team-*", "{group}/**", "pull", `claims.x == user`, "team-a/app")
	f.Add("*", "{claims.a.b}/*", "*", `groups.exists(g, g.matches("^a+$"))`, "a/b/c")
	f.Add("**", "**", "sign", `request.repository.endsWith("/a") && request.action != "pull" || request.type == user`, "a/a")
	f.Add("**", "**/{user}", "scan", `cidr("10.0.0.0/8").containsIP(request.address)`, "a")
	f.Fuzz(func(t *testing.T, group, repository, action, when, name string) {
		rules := []Rule{
			{Groups: []string{group}, Repositories: []string{repository}, Actions: []string{action}, When: when},
			{Effect: deny, Users: []string{group}, Repositories: []string{repository}, Actions: []string{action}, When: when},
		}
		faults := 0
		p := Compile(rules, func(_, problem string) {
			faults++
			if problem == "" {
				t.Error("a fault without a text")
			}
		})
		if (len(p.rules) == 0) != (faults > 0) {
			t.Fatalf("Compile finds %d faults and returns %d rules", faults, len(p.rules))
		}
		p.Claims()
		req := Request{
			User: name, Groups: []string{group, name, "team-a"}, Claims: map[string]any{"x": name, "a": map[string]any{"b": name}},
			Scopes: []registry.Scope{{Type: "repository", Name: name, Actions: []string{"pull", action, "*"}}},
		}
		for _, a := range p.Decide(req).Access {
			if extra := notRequested(a, req.Scopes); extra != nil {
				t.Errorf("granted %v, which was not asked", extra)
			}
		}
		_ = p.Explain(req).String()
	})
}
