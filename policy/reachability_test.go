package policy

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"shorepass/internal/fold"
)

// FuzzReachability draws providers, rules, and people that these providers can
// have. A rule that matches one of them is never reported as unreachable, and
// neither is an entry by which alone it matches.
func FuzzReachability(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { checkReachability(t, seed) })
}

// checkReachability returns the number of rules that were reported and of
// people that matched.
func checkReachability(t *testing.T, seed uint64) (reported, matched int) {
	draw := reachabilityDrawer{drawer{rand.New(rand.NewPCG(seed, 3))}}
	providers := draw.providers()
	for range 8 {
		r := draw.rule(providers)
		p := Compile([]Rule{r}, func(string, string) {})
		if len(p.rules) == 0 {
			continue
		}
		var whole, entries []string
		p.ValidateReachability(providers,
			func(key, problem string) { whole = append(whole, key+": "+problem) },
			func(key, problem string) { entries = append(entries, key+": "+problem) })
		reported += len(whole)
		for range 30 {
			req := draw.person(providers)
			if !matches(p, req) {
				continue
			}
			matched++
			// A deny rule whose condition compares with upper case is reported, but matches.
			if ruledOut := slices.ContainsFunc(whole, func(s string) bool { return strings.Contains(s, "can never match") }); ruledOut {
				t.Errorf("seed %d: %+v\nof %+v\nmatches %+v\nand is reported: %q", seed, r, providers, req, whole)
			}
			for _, entry := range entries {
				if alone, ok := onlyEntry(r, entry); ok && matches(Compile([]Rule{alone}, func(string, string) {}), req) {
					t.Errorf("seed %d: by the entry alone %+v\nof %+v\nmatches %+v\nand is reported: %q", seed, alone, providers, req, entry)
				}
			}
		}
	}
	return reported, matched
}

// matches reports whether the policy's only rule matches a request.
func matches(p *Policy, req Request) bool {
	req.Scopes = scopes("repository:a:pull")
	verdicts := p.Decide(req).Rules
	return len(verdicts) > 0 && len(verdicts[0].Actions) > 0
}

// onlyEntry returns the rule with the reported entry as the only one of its
// key.
func onlyEntry(r Rule, report string) (Rule, bool) {
	var i int
	if n, _ := fmt.Sscanf(report, "rule[0].users[%d]", &i); n == 1 {
		r.Users = r.Users[i : i+1]
		return r, true
	}
	if n, _ := fmt.Sscanf(report, "rule[0].groups[%d]", &i); n == 1 {
		r.Groups = r.Groups[i : i+1]
		return r, true
	}
	return r, false
}

// reachabilityDrawer draws providers, rules and people at random.
type reachabilityDrawer struct{ drawer }

func (d reachabilityDrawer) one(from ...string) string { return from[d.IntN(len(from))] }

func (d reachabilityDrawer) providers() []Provider {
	all := make([]Provider, 1+d.IntN(3))
	for i := range all {
		p := &all[i]
		p.Name = []string{"corp", "sso", "ci"}[i]
		p.Prefix = d.one("", "", "s", "sso:", "SSO:", "sso:x/")
		p.FoldsCase = d.IntN(2) == 0
		p.Methods = d.some(1, 2, "password", "id_token", "pat")
		p.IDTokensAuthenticated = d.IntN(3) == 0
		if d.IntN(2) == 0 {
			p.Groups = d.some(1, 2, "a*", "A?", "b", "*-x", "é*", "?")
		}
		for range d.IntN(3) {
			p.Renamed = append(p.Renamed, d.one("a", "B", "ab", "é"))
			p.NewNames = append(p.NewNames, d.one("c", "a", "B", "a-x"))
		}
	}
	for i := range all {
		for _, other := range all {
			if len(other.Prefix) > len(all[i].Prefix) && strings.HasPrefix(fold.Name(other.Prefix), fold.Name(all[i].Prefix)) {
				all[i].ForeignPrefixes = append(all[i].ForeignPrefixes, other.Prefix)
			}
		}
	}
	return all
}

func (d reachabilityDrawer) rule(providers []Provider) Rule {
	prefix := providers[d.IntN(len(providers))].Prefix
	r := Rule{Effect: d.one(allow, deny), Repositories: []string{"a"}, Actions: []string{"pull"}}
	for range d.IntN(3) {
		r.Users = append(r.Users, d.one("", prefix)+d.one("*", "a", "B", "a*", "*b", "sso:*", "*x*", "é"))
	}
	for range d.IntN(3) {
		r.Groups = append(r.Groups, d.one(anonymous, authenticated, prefix+"a", prefix+"c", prefix+"*-x", "a", "B", "*", "A*", prefix+"é*", "e\u0301*", "*b"))
	}
	if r.Users == nil && r.Groups == nil {
		r.Groups = []string{authenticated}
	}
	if d.IntN(2) == 0 {
		r.Providers = []string{d.one("corp", "sso", "c*")}
	}
	r.When = d.one("", "", "", `method == "id_token"`, `method != "password" && user == "a"`, `provider == "sso" || method == "pat"`, `!(method in ["pat", "password"])`, `provider == "" ? method == "pat" : size(groups) < 9`)
	return r
}

// person returns a request of a person that one of the providers can have.
func (d reachabilityDrawer) person(providers []Provider) Request {
	if d.IntN(8) == 0 {
		return Request{Anonymous: true, Groups: []string{anonymous}}
	}
	p := providers[d.IntN(len(providers))]
	req := Request{Provider: p.Name, FoldsCase: p.FoldsCase, Method: d.one(p.Methods...)}
	if req.User = d.spelled(&p, d.name()); p.isForeign(req.User) {
		req.User = d.spelled(&p, "q")
	}
	for range d.IntN(4) {
		if name := d.group(&p, d.name()); name != "" && !isReserved(name) && !slices.Contains(req.Unsure, name) {
			req.Groups = append(req.Groups, name)
		}
	}
	if d.IntN(4) == 0 {
		if name := d.group(&p, d.name()); name != "" && !isReserved(name) && !slices.Contains(req.Groups, name) {
			req.Unsure = append(req.Unsure, name)
		}
	}
	if req.Method != methodIDToken || p.IDTokensAuthenticated {
		req.Groups = append(req.Groups, authenticated)
	}
	return req
}

func (d reachabilityDrawer) name() string {
	return d.one("a", "b", "ab", "B", "A", "a-x", "é", "e\u0301", "éa", "x/b", "so:b", "c", "so:x/a", "bx")
}

// group returns the name of a group as a provider makes it from one that it
// found; it is empty if the provider drops it.
func (d reachabilityDrawer) group(p *Provider, name string) string {
	if p.Groups != nil && !slices.ContainsFunc(p.Groups, func(glob string) bool {
		return regexp.MustCompile("^(?s:" + strings.NewReplacer(`\*`, ".*", `\?`, ".").Replace(regexp.QuoteMeta(p.canonical(glob))) + ")$").MatchString(p.canonical(name))
	}) {
		return ""
	}
	if i := slices.IndexFunc(p.Renamed, func(from string) bool { return p.canonical(from) == p.canonical(name) }); i >= 0 {
		name = p.NewNames[i]
	}
	if full := d.spelled(p, name); !p.isForeign(full) {
		return full
	}
	return ""
}

// spelled returns a name with the prefix, in a random case if the provider
// ignores case.
func (d reachabilityDrawer) spelled(p *Provider, name string) string {
	full := p.Prefix + name
	if !p.FoldsCase {
		return full
	}
	return p.Prefix + strings.Map(func(r rune) rune {
		if d.IntN(2) == 0 {
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, name)
}

func (p *Provider) isForeign(name string) bool {
	return slices.ContainsFunc(p.ForeignPrefixes, func(foreign string) bool { return strings.HasPrefix(p.canonical(name), p.canonical(foreign)) })
}

// TestFuzzReachabilityCoversBoth: the fuzz target reports rules and matches
// people often enough to show anything.
func TestFuzzReachabilityCoversBoth(t *testing.T) {
	reported, matched := 0, 0
	for seed := range uint64(100) {
		r, m := checkReachability(t, seed)
		reported, matched = reported+r, matched+m
	}
	if reported < 50 || matched < 500 {
		t.Errorf("%d rules are reported and %d people matched, want at least 50 and 500", reported, matched)
	}
	t.Logf("%d rules are reported, %d people matched", reported, matched)
}

// TestShadowedRules: a rule whose unless names one that covers all that it covers is
// reported, and others are not.
func TestShadowedRules(t *testing.T) {
	wide := Rule{Name: "wide", Groups: []string{"staff", "guests"}, Repositories: []string{"a/**", "b/**"}, Actions: []string{"pull"}}
	everything := Rule{Name: "everything", Effect: deny, Repositories: []string{"**"}, Actions: []string{"push"}}
	conditional := everything
	conditional.When = `request.action == "pull"`
	people := Rule{Name: "people", Users: []string{"*"}, Repositories: []string{"**"}, Actions: []string{"pull"}}
	for _, tt := range []struct {
		name  string
		named Rule
		rule  Rule
		want  bool
	}{
		{"each entry is one of the other's", wide, Rule{Groups: []string{"staff"}, Repositories: []string{"b/**"}}, true},
		{"another group", wide, Rule{Groups: []string{"staff", "others"}, Repositories: []string{"b/**"}}, false},
		{"another repository", wide, Rule{Groups: []string{"staff"}, Repositories: []string{"c/**"}}, false},
		{"a deny rule for an unsure group", wide, Rule{Effect: deny, Groups: []string{"staff"}, Repositories: []string{"b/**"}}, false},
		{"everything", everything, Rule{Groups: []string{anonymous}, Repositories: []string{"c/*"}}, true},
		{"everything, for a deny rule", everything, Rule{Effect: deny, Repositories: []string{"{user}/*"}}, true},
		{"everything of another type", everything, Rule{Groups: []string{"staff"}, Types: []string{"registry"}, Repositories: []string{"catalog"}}, false},
		{"under a condition", conditional, Rule{Groups: []string{"staff"}, Repositories: []string{"c/*"}}, false},
		{"all people", people, Rule{Users: []string{"jo"}, Repositories: []string{"c/*"}}, true},
		{"all people, but not requests without credentials", people, Rule{Groups: []string{anonymous}, Repositories: []string{"c/*"}}, false},
	} {
		tt.rule.Name, tt.rule.Actions, tt.rule.Unless = "r", []string{"*"}, []string{tt.named.Name}
		var got []string
		compile(t, []Rule{tt.named, tt.rule}).ValidateReachability([]Provider{{Name: "corp", Methods: []string{"password"}}},
			func(key, problem string) { t.Errorf("%s: a fault %s: %s", tt.name, key, problem) },
			func(key, problem string) { got = append(got, key+": "+problem) })
		var want []string
		if tt.want {
			want = []string{fmt.Sprintf("rule[1].unless[0]: the rule %q never applies: %q covers all that it covers; leave it out, or narrow %q", "r", tt.named.Name, tt.named.Name)}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: reported %q, want %q", tt.name, got, want)
		}
	}
}
