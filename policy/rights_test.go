package policy

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/registry"
)

// String returns a right as the tests write it: "pull,push on a/* (conditional)".
func (r Right) String() string {
	text := strings.Join(r.Actions, ",") + " on " + strings.Join(r.Repositories, " ")
	if !slices.Equal(r.Types, []string{"repository"}) {
		text += " of " + strings.Join(r.Types, " ")
	}
	if r.Services != nil {
		text += " at " + strings.Join(r.Services, " ")
	}
	if r.Conditional {
		text += " (conditional)"
	}
	if r.failed {
		text += " (failed)"
	}
	return text + " by " + strings.Join(r.Rules, ", ")
}

func (r Rights) lines() []string {
	var all []string
	for _, right := range r.Allow {
		all = append(all, right.String())
	}
	for _, right := range r.Deny {
		all = append(all, "not "+right.String())
	}
	if r.More {
		all = append(all, "and more")
	}
	return all
}

// TestRights: what a person may do, as a page shows it.
func TestRights(t *testing.T) {
	person := Request{
		User: "Alice", Groups: []string{"Team-Blue", "team-red", authenticated}, FoldsCase: true, Provider: "corp", Method: "password", AMR: []string{"pwd"},
		Claims: map[string]any{"projects": []any{"moon", "sun"}, "level": "high"},
	}
	unsure := person
	unsure.Unsure = []string{"contractors"}
	for _, tt := range []struct {
		name  string
		req   Request
		rules string // each "EFFECT WHO REPOSITORIES ACTIONS [KEY=VALUE]…"
		want  []string
	}{
		{"no rule", person, `allow groups=ops repositories=** actions=pull`, nil},
		{"placeholders", person, `
			allow groups=team-* repositories={group}/**,shared/{user} actions=pull,push
			allow users=* repositories=p/{claims.projects}/* actions=pull`,
			[]string{"pull,push on team-blue/** team-red/** shared/alice by rule[0]", "pull on p/moon/* p/sun/* by rule[1]"}},
		{"a placeholder that cannot be filled", person, `
			allow users=* repositories={claims.none}/** actions=pull
			allow groups=team-* repositories=b/{claims.level} actions=pull`,
			[]string{"pull on b/high by rule[1]"}},
		{"rules are merged", person, `
			allow groups=team-blue repositories=a/* actions=push
			allow groups=team-red repositories=a/* actions=pull
			allow groups=authenticated repositories=b/** actions=pull,push
			allow groups=authenticated repositories=b/x actions=pull`,
			[]string{"pull,push on a/* b/** by rule[0], rule[1], rule[2]"}},
		{"a deny rule is shown where it takes something", person, `
			allow users=* repositories=a/** actions=pull,push
			deny users=* repositories=**/release actions=push,delete
			deny users=* repositories=b/** actions=*
			deny users=* repositories=a/** actions=delete`,
			[]string{"pull,push on a/** by rule[0]", "not push,delete on **/release by rule[1]"}},
		{"what a deny rule takes whole is left out", person, `
			allow users=* repositories=a/**,b/* actions=pull,push
			deny users=* repositories=a/** actions=push
			deny users=* repositories=b/** actions=*`,
			[]string{"pull on a/** by rule[0]"}},
		{"everything but a push", person, `
			allow users=* repositories=** actions=*
			deny users=* repositories=** actions=push`,
			[]string{"* on ** by rule[0]", "not push on ** by rule[1]"}},
		{"conditions on the person are evaluated", person, `
			allow users=* repositories=a actions=pull when=claims.level=="high"
			allow users=* repositories=b actions=pull when=claims.level=="low"
			allow users=* repositories=c actions=pull when=claims.none=="x"
			deny users=* repositories=a actions=pull when=!("pwd"in(auth.amr))
			deny users=* repositories=a actions=push when=claims.none=="x"`,
			[]string{"pull on a by rule[0]"}},
		{"a deny rule that fails", person, `
			allow users=* repositories=a/** actions=pull
			deny users=* repositories=a/x actions=pull when=claims.none=="x"`,
			[]string{"pull on a/** by rule[0]", "not pull on a/x (failed) by rule[1]"}},
		{"conditions on the request are not", person, `
			allow users=* repositories=a actions=pull when=request.address.isLoopback()
			allow users=* repositories=b actions=pull when=claims.level=="low"&&request.address.isLoopback()
			allow users=* repositories=c actions=pull when=claims.level=="high"||request.address.isLoopback()`,
			[]string{"pull on a (conditional) by rule[0]", "pull on c by rule[2]"}},
		{"conditions on the action", person, `
			allow users=* repositories=a actions=* when=request.action!="push"
			allow users=* repositories=b actions=pull,push when=request.action=="pull"||request.address.isLoopback()`,
			[]string{"pull,delete on a by rule[0]", "* on a (conditional) by rule[0]", "pull on b by rule[1]", "push on b (conditional) by rule[1]"}},
		{"unless", person, `
			allow users=* repositories=a/** actions=pull unless=inner
			allow users=* repositories=b/** actions=pull unless=inner
			allow users=* repositories=a/x/y actions=push unless=inner
			allow users=nobody repositories=a/x/** actions=delete name=other
			allow users=* repositories=c/** actions=pull unless=other
			allow users=* repositories=a/x/** actions=delete name=inner`,
			[]string{"pull on a/** (conditional) by rule[0]", "pull on b/** c/** by rule[1], rule[4]", "delete on a/x/** by inner"}},
		{"unsure groups", unsure, `
			allow groups=contractors repositories=a/** actions=pull
			allow groups=team-red repositories=b/** actions=pull
			allow groups=team-red repositories=c/** actions=pull unless=fourth
			deny groups=contractors repositories=b/x actions=* name=fourth`,
			[]string{"pull on b/** c/** by rule[1], rule[2]", "not * on b/x (failed) by fourth"}},
		{"services and types", person, `
			allow users=* repositories=a actions=pull services=hub-*
			allow users=* repositories=catalog actions=* types=registry
			deny users=* repositories=a actions=pull services=hub-b`,
			[]string{"pull on a at hub-* by rule[0]", "* on catalog of registry by rule[1]", "not pull on a at hub-b by rule[2]"}},
		{"other providers", person, `
			allow users=* repositories=a actions=pull providers=sso
			allow users=* repositories=b actions=pull providers=c*`,
			[]string{"pull on b by rule[1]"}},
		{"without credentials", Request{Anonymous: true, Groups: []string{anonymous}}, `
			allow groups=anonymous,authenticated repositories=public/** actions=pull
			allow users=* repositories=a actions=pull`,
			[]string{"pull on public/** by rule[0]"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := compile(t, rulesOf(tt.rules)).Rights(tt.req)
			if diff := cmp.Diff(tt.want, got.lines()); diff != "" {
				t.Errorf("Rights (-want +got)\n%s", diff)
			}
			if got.IsEmpty() != (tt.want == nil) {
				t.Errorf("IsEmpty() = %v", got.IsEmpty())
			}
		})
	}
	if !new(Policy).Rights(person).IsEmpty() {
		t.Error("the zero Policy grants something")
	}
}

// rulesOf reads rules of one line each.
func rulesOf(text string) []Rule {
	var all []Rule
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		r := Rule{Effect: fields[0]}
		for _, field := range fields[1:] {
			key, value, _ := strings.Cut(field, "=")
			list := strings.Split(value, ",")
			switch key {
			case "name":
				r.Name = value
			case "when":
				r.When = value
			case "users":
				r.Users = list
			case "groups":
				r.Groups = list
			case "providers":
				r.Providers = list
			case "services":
				r.Services = list
			case "types":
				r.Types = list
			case "repositories":
				r.Repositories = list
			case "actions":
				r.Actions = list
			case "unless":
				r.Unless = list
			}
		}
		all = append(all, r)
	}
	return all
}

// TestRightsAreBounded: many rules and many values give a list that a page can show, and it says
// that there are more.
func TestRightsAreBounded(t *testing.T) {
	var rules []Rule
	for i := range 1000 {
		rules = append(rules,
			Rule{Users: []string{"*"}, Repositories: []string{fmt.Sprintf("r%d/**", i)}, Actions: []string{fmt.Sprintf("%c%c", 'a'+i%7, 'a'+i/7%7)}},
			Rule{Effect: deny, Users: []string{"*"}, Repositories: []string{fmt.Sprintf("r%d/x", i)}, Actions: []string{"*"}})
	}
	got := compile(t, rules).Rights(Request{User: "u"})
	if len(got.Allow) > maxRights || len(got.Deny) > maxRights || !got.More || got.IsEmpty() {
		t.Errorf("Rights of 1000 rules have %d and %d entries, more: %v", len(got.Allow), len(got.Deny), got.More)
	}
	var costly []Rule
	for i := range 100 {
		costly = append(costly, Rule{Users: []string{"*"}, Repositories: []string{fmt.Sprint("r", i)}, Actions: []string{"pull"}, When: fmt.Sprintf(`!claims.p.exists(x, x == "w%d")`, i)})
	}
	var many []any
	for i := range 1000 {
		many = append(many, fmt.Sprint("v", i))
	}
	long := slices.Repeat(many, 10)
	if got := compile(t, costly).Rights(Request{User: "u", Claims: map[string]any{"p": long}}); len(got.Allow) != 2 || got.Allow[0].Conditional || !got.Allow[1].Conditional {
		t.Errorf("Rights of conditions beyond their common cost limit = %q, want those beyond it conditional", got.lines())
	}
	got = compile(t, rulesOf(`allow users=* repositories={claims.p}/{claims.q}/{user} actions=pull`)).Rights(Request{User: "u", Claims: map[string]any{"p": many, "q": many}})
	if diff := cmp.Diff([]string{"pull on {claims.p}/{claims.q}/u by rule[0]"}, got.lines()); diff != "" {
		t.Errorf("Rights of two lists (-want +got)\n%s", diff)
	}
}

// FuzzRights draws a policy, a request and limits from a seed. What Decide grants is within an
// allow right; what an allow right has without a condition and no deny right takes away is
// granted; what a deny right takes away without a condition is not. The same holds within
// limits.
func FuzzRights(f *testing.F) {
	for seed := range uint64(300) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		draw := drawer{rand.New(rand.NewPCG(seed, 5))}
		rules, req := draw.rules(), draw.request()
		p := compile(t, rules)
		rights := p.Rights(req)
		if has := p.HasRights(req); !has && !rights.IsEmpty() || has && rights.IsEmpty() && !slices.ContainsFunc(rules, func(r Rule) bool { return r.Effect == deny }) {
			t.Errorf("HasRights = %v, but the rights are %q\nrules %+v\nrequest %+v", has, rights.lines(), rules, req)
		}
		limits := draw.limits(t)
		within := limits.NarrowRights(rights)
		for _, tt := range []struct {
			what   string
			rights Rights
			limits *Limits
		}{{"rights", rights, nil}, {"rights within limits", within, limits}} {
			decide := func(scopes ...registry.Scope) Decision {
				req := req
				req.Scopes = scopes
				return tt.limits.Narrow(req.Service, p.Decide(req))
			}
			if tt.rights.More {
				continue
			}
			checkGranted(t, tt.what, tt.rights, req.Service, decide(req.Scopes...))
			for _, right := range tt.rights.Allow {
				for _, scope := range right.samples(draw) {
					checkGranted(t, tt.what, tt.rights, req.Service, decide(scope))
					action := scope.Actions[0]
					shown := !right.Conditional && action != "*" && !strings.Contains(strings.Join(right.Repositories, ""), "{") &&
						(right.Services == nil || anyGlob(right.Services, req.Service)) && !covered(tt.rights.Deny, req.Service, scope, action, true)
					if shown && len(decide(scope).Access) == 0 {
						t.Errorf("%s: %v, but %v is not granted\nrules %+v\nrequest %+v\nrights %q", tt.what, right, scope, rules, req, tt.rights.lines())
					}
				}
			}
		}
	})
}

// checkGranted checks that what is granted is within the rights.
func checkGranted(t *testing.T, what string, rights Rights, service string, decision Decision) {
	t.Helper()
	for _, a := range decision.Access {
		kind, name := ruledResource(a.Type, a.Class, a.Name)
		scope := registry.Scope{Type: kind, Name: name}
		for _, action := range a.Actions {
			if !covered(rights.Allow, service, scope, action, true) {
				t.Errorf("%s: %s of %v is granted, and no right has it: %q", what, action, scope, rights.lines())
			}
			if covered(rights.Deny, service, scope, action, false) {
				t.Errorf("%s: %s of %v is granted, and a right takes it away: %q", what, action, scope, rights.lines())
			}
		}
	}
}

// covered reports whether one of the rights has an action on a resource: also one that is
// conditional, if conditional is set.
func covered(rights []Right, service string, scope registry.Scope, action string, conditional bool) bool {
	return slices.ContainsFunc(rights, func(r Right) bool {
		return (conditional || !r.Conditional) && (r.Services == nil || anyGlob(r.Services, service)) && anyGlob(r.Types, scope.Type) &&
			(slices.Contains(r.Actions, action) || slices.Contains(r.Actions, "*") && (conditional || action != "*")) &&
			slices.ContainsFunc(r.Repositories, func(text string) bool {
				return referenceGlob(placeholderPattern.ReplaceAllString(text, "*"), "[^/]*").MatchString(scope.Name)
			})
	})
}

// samples returns a resource and action for each glob and action of the right.
func (r Right) samples(draw drawer) []registry.Scope {
	var all []registry.Scope
	for _, text := range r.Repositories {
		name := regexp.MustCompile(`\*\*|\*|\{[^}]*\}`).ReplaceAllStringFunc(text, func(wild string) string {
			if wild == "**" {
				return draw.some(1, 1, "a", "a/a", "team-a", "x/y/z", "alice")[0]
			}
			return draw.some(1, 1, "a", "x", "team-a", "alice", "high")[0]
		})
		kind := strings.ReplaceAll(r.Types[draw.IntN(len(r.Types))], "*", "repository")
		for _, action := range r.Actions {
			if action == "*" {
				action = draw.some(1, 1, "pull", "push", "scan", "*")[0]
			}
			all = append(all, registry.Scope{Type: kind, Name: name, Actions: []string{action}})
		}
	}
	return all
}

// limits draws the limits of a token.
func (d drawer) limits(t *testing.T) *Limits {
	list := func(from ...string) []string {
		if d.IntN(2) == 0 {
			return nil
		}
		return d.some(1, 2, from...)
	}
	text, err := FormatLimits(list("registry-a", "registry-*", "other"), list("a/**", "*/a", "team-a/*", "**", "team-*/**", "x/**/y", "a/a"), list("pull", "push", "scan", "*"))
	if err != nil {
		t.Fatal(err)
	}
	limits, err := ParseLimits(text)
	if err != nil {
		t.Fatal(err)
	}
	return limits
}

// TestNarrowRights: rights within the limits of a token.
func TestNarrowRights(t *testing.T) {
	rights := compile(t, rulesOf(`
		allow users=* repositories=a/**,b/* actions=pull,push
		allow users=* repositories=c/x actions=*
		allow users=* repositories=catalog actions=* types=registry
		allow users=* repositories=d/** actions=pull services=hub
		deny users=* repositories=a/secret/** actions=*
		deny users=* repositories=b/x actions=push`)).Rights(Request{User: "u"})
	for _, tt := range []struct {
		limits string
		want   []string
	}{
		{``, rights.lines()},
		{`{"actions": ["pull"]}`, []string{"pull on a/** b/* c/x by rule[0], rule[1]", "pull on d/** at hub by rule[3]", "not pull on a/secret/** by rule[4]"}},
		{`{"repositories": ["a/x/*"]}`, []string{"pull,push on a/x/* by rule[0]"}},
		{`{"repositories": ["a/**", "c/**"], "actions": ["push", "delete"]}`, []string{"push on a/** by rule[0]", "push,delete on c/x by rule[1]", "not push,delete on a/secret/** by rule[4]"}},
		{`{"repositories": ["*/x"], "actions": ["push"]}`, []string{"push on a/** b/* (conditional) by rule[0]", "push on c/x by rule[1]", "not push on a/secret/** b/x by rule[4], rule[5]"}},
		{`{"services": ["other"], "repositories": ["d/**"]}`, nil},
		{`{"services": ["hub", "other"], "repositories": ["d/**"]}`, []string{"pull on d/** at hub by rule[3]"}},
		{`{"services": ["other"], "repositories": ["c/x"]}`, []string{"* on c/x at other by rule[1]"}},
		{`{"repositories": ["a/secret/x"]}`, nil},
		{`{"types": ["registry"]}`, []string{"* on catalog of registry by rule[2]"}},
		{`{"actions": ["sign"]}`, []string{"sign on c/x by rule[1]"}},
	} {
		limits, err := ParseLimits(tt.limits)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, limits.NarrowRights(rights).lines()); diff != "" {
			t.Errorf("rights within %s (-want +got)\n%s", tt.limits, diff)
		}
	}
}

// TestFormatLimits: limits that a person chose, as text that ParseLimits reads.
func TestFormatLimits(t *testing.T) {
	for _, tt := range []struct {
		services, repositories, actions []string
		want, fault                     string
	}{
		{nil, nil, nil, ``, ""},
		{[]string{"hub"}, nil, nil, `{"services":["hub"]}`, ""},
		{nil, []string{"a/**", "b"}, []string{"pull"}, `{"actions":["pull"],"repositories":["a/**","b"]}`, ""},
		{nil, []string{}, nil, "", "repositories: the list is empty"},
		{nil, nil, []string{}, "", "actions: the list is empty"},
		{nil, nil, []string{""}, "", `actions[0]: "" is not an action`},
		{nil, []string{"a", "{user}/**"}, nil, "", `repositories[1]: "{user}/**" has a placeholder`},
		{nil, []string{"***"}, nil, "", `repositories[0]: "***" has 3 asterisks`},
		{nil, []string{"a", ""}, nil, "", `repositories[1]: "" is empty`},
		{nil, []string{"Team/**"}, nil, "", `repositories[0]: "Team/**" can never match: repository names are lower case`},
		{nil, []string{"team/"}, nil, "", `repositories[0]: "team/" can never match`},
		{nil, []string{"a b"}, nil, "", `repositories[0]: "a b" can never match`},
		{nil, []string{strings.Repeat("x", maxLimits)}, nil, "", "the limits have"},
	} {
		got, err := FormatLimits(tt.services, tt.repositories, tt.actions)
		if got != tt.want || tt.fault == "" && err != nil || tt.fault != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.fault)) {
			t.Errorf("FormatLimits(%q, %q, %q) = %s, %v, want %s, %s", tt.services, tt.repositories, tt.actions, got, err, tt.want, tt.fault)
		}
		if _, err := ParseLimits(got); err != nil {
			t.Errorf("ParseLimits(%s) = %v", got, err)
		}
	}
}

// TestHasRights: a rule that gives the person something counts, unless a deny rule of every
// repository takes it away.
func TestHasRights(t *testing.T) {
	t.Parallel()
	mine := Rule{Groups: []string{"team-a"}, Repositories: []string{"team-a/**"}, Actions: []string{"pull"}}
	for name, tc := range map[string]struct {
		rules []Rule
		want  bool
	}{
		"no rule":                           {nil, false},
		"of another group":                  {[]Rule{{Groups: []string{"team-b"}, Repositories: []string{"**"}, Actions: []string{"*"}}}, false},
		"of the person's":                   {[]Rule{mine}, true},
		"in some requests":                  {[]Rule{{Groups: []string{authenticated}, Repositories: []string{"**"}, Actions: []string{"pull"}, When: `request.service == "x"`}}, true},
		"by a condition that is false":      {[]Rule{{Groups: []string{authenticated}, Repositories: []string{"**"}, Actions: []string{"pull"}, When: `user == "bob"`}}, false},
		"all is denied":                     {[]Rule{mine, {Effect: deny, Users: []string{"alice"}, Repositories: []string{"**"}, Actions: []string{"*"}}}, false},
		"another action is denied":          {[]Rule{mine, {Effect: deny, Repositories: []string{"**"}, Actions: []string{"push"}}}, true},
		"all is denied to another":          {[]Rule{mine, {Effect: deny, Users: []string{"bob"}, Repositories: []string{"**"}, Actions: []string{"*"}}}, true},
		"all is denied in some requests":    {[]Rule{mine, {Effect: deny, Repositories: []string{"**"}, Actions: []string{"*"}, When: `request.service == "x"`}}, true},
		"what is there is denied by a name": {[]Rule{mine, {Effect: deny, Repositories: []string{"team-a/**"}, Actions: []string{"*"}}}, true},
	} {
		if got := compile(t, tc.rules).HasRights(Request{User: "alice", Groups: []string{"team-a", authenticated}}); got != tc.want {
			t.Errorf("%s: HasRights = %v, want %v", name, got, tc.want)
		}
	}
}
