package server

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"shorepass/policy"
	"shorepass/providers"
	"shorepass/registry"
	"shorepass/session"
)

// TestExplainDenial: each condition of the rule with its neighbours. The person is alice
// of the group team-a.
func TestExplainDenial(t *testing.T) {
	rules := policy.Compile([]policy.Rule{
		{Name: "own", Groups: []string{"team-*"}, Repositories: []string{"{group}/**"}, Actions: []string{"pull", "push"}},
		{Name: "base", Groups: []string{"authenticated"}, Repositories: []string{"base/**"}, Actions: []string{"pull"}},
		{Name: "drop", Groups: []string{"team-a"}, Repositories: []string{"drop/**"}, Actions: []string{"push"}},
		{Name: "trash", Groups: []string{"team-a"}, Repositories: []string{"trash/**"}, Actions: []string{"delete"}},
		{Name: "catalog", Groups: []string{"admins"}, Types: []string{"registry"}, Repositories: []string{"catalog"}, Actions: []string{"*"}},
	}, func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
	const (
		priv   = "you are logged in as alice, who has no rights on team-b/priv; check the name, or ask the operators of this registry"
		onBase = "you are logged in as alice, who may not delete base/img; ask the operators of this registry"
	)
	off := false
	person := principal{identity: &providers.Identity{User: "alice", Groups: []string{"authenticated", "team-a"}}}
	withLimits := func(limits string) principal {
		return principal{identity: person.identity, session: &session.Session{Limits: limits}}
	}
	for _, test := range []struct {
		name    string
		scopes  string
		want    string // empty for a token with an empty or a smaller access
		caller  principal
		offline bool
		config  Config
	}{
		{name: "nothing granted", scopes: "repository:team-b/priv:pull", want: priv},
		{name: "a docker pull or push", scopes: "repository:team-b/priv:pull,push", want: priv},
		{name: "skopeo delete", scopes: "repository:team-b/priv:*", want: priv},
		{name: "delete without other rights", scopes: "repository:team-b/priv:delete", want: priv},
		{name: "an action that no rule knows", scopes: "repository:team-b/priv:fly", want: priv},
		{name: "something granted", scopes: "repository:team-a/app:pull,delete"},
		{name: "something granted elsewhere", scopes: "repository:team-b/priv:pull repository:base/img:pull"},
		{name: "anonymous", scopes: "repository:team-b/priv:pull", caller: principal{}},
		{name: "a login for an offline token", scopes: "repository:team-b/priv:pull", caller: person, offline: true},
		{name: "switched off", scopes: "repository:team-b/priv:pull", config: Config{ExplainDenials: &off}},
		{name: "no scope", scopes: ""},
		{name: "the catalog", scopes: "registry:catalog:*"},
		{name: "zot's catalog, a scope without a name", scopes: "repository::pull"},
		{name: "a scope that cannot be parsed", scopes: "repository:Team-B:pull"},
		{name: "no action", scopes: "repository:team-b/priv:"},
		{name: "the catalog and a repository", scopes: "registry:catalog:* repository:team-b/priv:pull", want: priv},
		{name: "a class", scopes: "repository(plugin):team-b/priv:pull", want: priv},
		{name: "only pull where the person may push", scopes: "repository:drop/in:pull"},
		{name: "only pull, of one where the person may push and one without rights", scopes: "repository:drop/in:pull repository:team-b/priv:pull"},
		{name: "push and pull where the person may delete", scopes: "repository:trash/x:pull,push",
			want: "you are logged in as alice, who may not do this to trash/x; ask the operators of this registry"},
		{name: "delete where the person may pull", scopes: "repository:base/img:delete", want: onBase},
		{name: "push alone where the person may pull, as zot asks", scopes: "repository:base/img:push",
			want: "you are logged in as alice, who may not push to base/img; ask the operators of this registry"},
		{name: "delete, once with other rights", scopes: "repository:base/img:delete repository:team-b/priv:delete", want: priv},
		{name: "two repositories, as a mount asks", scopes: "repository:team-b/priv:pull,push repository:team-c/from:pull",
			want: "you are logged in as alice, who has no rights on team-b/priv and team-c/from; check the name, or ask the operators of this registry"},
		{name: "more than two", scopes: "repository:b:pull repository:c:pull repository:d:pull repository:e:pull",
			want: "you are logged in as alice, who has no rights on b, c and others; check the name, or ask the operators of this registry"},
		{name: "a contact", scopes: "repository:team-b/priv:pull", config: Config{Contact: "Ann & Bob, +49 30 1234"},
			want: strings.Replace(priv, "the operators of this registry", "Ann & Bob, +49 30 1234", 1)},
		{name: "a token whose limits leave nothing", scopes: "repository:team-a/app:pull", caller: withLimits(`{"repositories":["base/**"]}`),
			want: "you are logged in as alice with a token that has no rights on team-a/app; check the name, or ask the operators of this registry"},
		{name: "a token whose limits leave less", scopes: "repository:team-a/app:push", caller: withLimits(`{"actions":["pull"]}`),
			want: "you are logged in as alice with a token that may not push to team-a/app; ask the operators of this registry"},
		{name: "only pull, with a token for a push", scopes: "repository:team-a/app:pull", caller: withLimits(`{"actions":["push"]}`)},
		{name: "a token without limits", scopes: "repository:team-b/priv:pull", caller: withLimits(""), want: priv},
	} {
		scopes, err := registry.ParseScopes([]string{test.scopes})
		if err != nil {
			t.Fatal(err)
		}
		if test.caller == (principal{}) && test.name != "anonymous" {
			test.caller = person
		}
		gen := &Generation{Config: test.config.WithDefaults(), Policy: rules}
		q := &question{scopes: scopes, credential: credential{offline: test.offline}}
		request := test.caller.policyRequest(q, origin{}, time.Time{})
		decision, err := test.caller.narrow("", rules.Decide(request))
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err := gen.explainDenial(q, test.caller, request, decision); err != nil {
			failure, _ := errors.AsType[httpError](err)
			if got = failure.message; failure.status != http.StatusForbidden || failure.code != "DENIED" || failure.oauth != "access_denied" {
				t.Errorf("%s: %d %s %s, want 403 DENIED access_denied", test.name, failure.status, failure.code, failure.oauth)
			}
		}
		if got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestContact: what a terminal or a sentence could not hold is refused.
func TestContact(t *testing.T) {
	for contact, want := range map[string]string{
		"":                         "",
		"ann@corp.example":         "",
		"das Team für Container":   "",
		strings.Repeat("a", 200):   "",
		strings.Repeat("a", 201):   "at most 200",
		"ann\nor bob":              "line break",
		"ann\x1b[2J":               "cannot be printed",
		"ann \u202ebob":            "cannot be printed",
		"ann\u2028bob":             "cannot be printed",
		"\xff":                     "cannot be printed",
		" ":                        "blank",
		"ann ":                     "blank",
		"<b>\"ann\"</b> & \\n bob": "", // the answer is JSON
	} {
		var faults []string
		Config{Contact: contact}.WithDefaults().validateContact(func(key, problem string) { faults = append(faults, key+": "+problem) })
		if got := strings.Join(faults, "\n"); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("contact %q: %q, want %q", contact, got, want)
		}
	}
}
