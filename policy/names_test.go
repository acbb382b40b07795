package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestValidateNames: a provider or service that is not configured is a fault,
// by name or by glob.
func TestValidateNames(t *testing.T) {
	rules := []Rule{
		{Providers: []string{"corp", "cropp"}, Services: []string{"registry-*"}},
		{Services: []string{"other-*", "registry-a", "{x"}},
	}
	var got []string
	ValidateNames(rules, []string{"corp", "sso"}, []string{"registry-a"}, func(key, problem string) { got = append(got, key+": "+problem) })
	want := []string{
		`rule[0].providers[1]: "cropp" is not one of the providers: there are ["corp" "sso"]`,
		`rule[1].services[0]: "other-*" is not one of the services: there are ["registry-a"]`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ValidateNames (-want +got)\n%s", diff)
	}
}

// TestClaims: Claims finds the claims in placeholders and in every form of a
// condition.
func TestClaims(t *testing.T) {
	rule := Rule{Users: []string{"**"}, Repositories: []string{"a"}, Actions: []string{"pull"}}
	var rules []Rule
	for _, add := range []struct {
		repositories []string
		when         string
	}{
		{repositories: []string{"{claims.team}/**", "x/{claims.a.b}-{claims.team}"}},
		{when: `has(claims.level) && claims.realm_access.roles.exists(r, r == "x") && claims["https://x/y"] == "z"`},
		{when: `claims.kind.startsWith("a") || "mfa" in claims.amr || claims[user] == "x" || claims == {} || claims.team == "a"`},
		{when: `groups.exists(g, g == "claims.no")`},
	} {
		r := rule
		r.Repositories, r.When = append(add.repositories, rule.Repositories...), add.when
		rules = append(rules, r)
	}
	want := []Claim{{[]string{"a", "b"}, 0}, {[]string{"amr"}, 2}, {[]string{"https://x/y"}, 1}, {[]string{"kind"}, 2}, {[]string{"level"}, 1},
		{[]string{"realm_access", "roles"}, 1}, {[]string{"team"}, 0}}
	if diff := cmp.Diff(want, compile(t, rules).Claims()); diff != "" {
		t.Errorf("Claims (-want +got)\n%s", diff)
	}
}

// TestCheckCases: a case that the policy decides in another way is reported,
// and so is one that cannot be read.
func TestCheckCases(t *testing.T) {
	p := compile(t, []Rule{{Name: "staff", Groups: []string{"staff"}, Repositories: []string{"**"}, Actions: []string{"pull", "push"}}})
	staff := []string{"staff"}
	var got []string
	for _, m := range p.CheckCases([]Case{
		{Name: "right", User: "u", Groups: staff, Scope: "repository:a:push,pull", Want: []string{"pull", "push"}, Rules: []string{"staff"}},
		{Name: "too much", User: "u", Groups: staff, Scope: "repository:a:pull,push", Want: []string{"pull"}},
		{Name: "too little", User: "u", Scope: "repository:a:pull", Want: []string{"pull"}},
		{Name: "other rules", User: "u", Groups: staff, Scope: "repository:a:pull", Want: []string{"pull"}, Rules: []string{"others"}},
		{User: "u", Groups: staff, Scope: "repository:a:pull registry:catalog:*", Want: []string{"repository:a:pull", "registry:catalog:*"}},
		{Name: "groups without a user", Groups: staff, Scope: "repository:a:pull"},
		{Name: "unsure groups without a user", Unsure: staff, Scope: "repository:a:pull"},
		{Name: "sure and unsure", User: "u", Groups: staff, Unsure: staff, Scope: "repository:a:pull"},
		{Name: "broken address", User: "u", Address: "10.0.0", Scope: "repository:a:pull"},
		{Name: "broken scope", User: "u", Scope: "repository:A:pull"},
		{Name: "no scope", User: "u"},
	}, func(string) bool { return false }) {
		got = append(got, m.Case+": "+m.Problem)
		if explained := m.Explanation.String(); strings.Contains(m.Problem, ", want ") != strings.Contains(explained, "repository:a") {
			t.Errorf("%s: explained as %q", m.Case, explained)
		}
	}
	want := []string{
		`too much: granted "pull", "push", want "pull"`,
		`too little: granted nothing, want "pull"`,
		`other rules: matched by the rules "staff", want "others"`,
		`case[4]: granted "repository:a:pull", want "repository:a:pull", "registry:catalog:*"`,
		`groups without a user: there are groups or claims but no user; a request without credentials has neither`,
		`unsure groups without a user: there are groups or claims but no user; a request without credentials has neither`,
		`sure and unsure: "staff" is among the groups and among those that are unsure; leave one out`,
		`broken address: "10.0.0" is not an address; write it as "10.1.2.3" or "2001:db8::1"`,
		`broken scope: "repository:A:pull" is not a scope; write for instance "repository:team-a/app:pull,push"`,
		`no scope: scope is missing; write for instance "repository:team-a/app:pull,push"`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("CheckCases (-want +got)\n%s", diff)
	}
}

// TestExplainQuotesControlCharacters: explain prints to a terminal, so control
// characters in names are quoted.
func TestExplainQuotesControlCharacters(t *testing.T) {
	p := compile(t, []Rule{{Name: "r\x1b[2J", Users: []string{"**"}, Repositories: []string{"{user}/**"}, Actions: []string{"pull"}}})
	text := p.Explain(Request{User: "u\x1b]0;x\a", Groups: []string{"g\nfake: line"}, Scopes: scopes("repository:a/\x1b[31m:pull")}).String()
	for _, r := range text {
		if r < ' ' && r != '\n' {
			t.Errorf("explain prints %q", text)
			break
		}
	}
	if strings.Contains(text, "\nfake") {
		t.Errorf("a group's name breaks the line: %q", text)
	}
}
