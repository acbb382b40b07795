package dockerauth

import (
	"slices"
	"strings"
	"testing"

	"shorepass/config"
	"shorepass/policy"
)

// aDirectory is a configuration with a directory, without an acl.
const aDirectory = `
server: {addr: ":5001", certificate: /a.pem, key: /a.key}
token: {issuer: x, expiration: 900}
ldap_auth:
  {addr: "ldap.test:636", tls: always, base: dc=x, filter: "(uid=${account})", bind_dn: cn=a, bind_password_file: /p,
  labels: {grp: {attribute: memberOf, parse_cn: true}, team: {attribute: ou, lower_case: true}, site: {attribute: l}}}
`

// TestEntriesInDoubt: an entry that docker_auth applies by a value that fills no
// placeholder here does not give way to those below, which grant more.
func TestEntriesInDoubt(t *testing.T) {
	for name, c := range map[string]struct {
		users, acl string
		denied     []policy.Case // push, by all of them
		granted    []policy.Case
	}{
		"a group with a slash is denied": {
			acl: `
- {match: {name: "${labels:grp}/*"}, actions: []}
- {match: {account: "/.+/"}, actions: ["*"]}`,
			denied: []policy.Case{
				{User: "dora", Groups: []string{"red/sub"}, Scope: "repository:red/sub/app:push"},
				{User: "dora", Groups: []string{"red", "red/sub"}, Scope: "repository:red/sub/app:push"},
				{User: "dora", Groups: []string{"*"}, Scope: "repository:red/app:push"},
			},
			granted: []policy.Case{
				{User: "dora", Groups: []string{"red/sub"}, Scope: "repository:blue/app:push"},
				{User: "dora", Groups: []string{"release crew"}, Scope: "repository:blue/app:push"},
			},
		},
		"a claim with a slash, or in lower case, may only pull": {
			acl: `
- {match: {name: "${labels:team}/*"}, actions: [pull]}
- {match: {name: "x/${labels:site}"}, actions: [pull]}
- {match: {account: "/.+/"}, actions: [pull, push]}`,
			denied: []policy.Case{
				{User: "dora", Claims: map[string]any{"ou": []any{"Red"}}, Scope: "repository:red/app:push"},
				{User: "dora", Claims: map[string]any{"ou": []any{"red/sub"}}, Scope: "repository:red/sub/app:push"},
				{User: "dora", Claims: map[string]any{"l": []any{"red/sub"}}, Scope: "repository:x/red/sub:push"},
			},
			granted: []policy.Case{
				{User: "dora", Claims: map[string]any{"l": []any{"Red"}}, Scope: "repository:x/red:push"},
				{User: "dora", Claims: map[string]any{"ou": []any{"blue"}}, Scope: "repository:red/app:push"},
			},
		},
		"a label in lower case that is the account has no equal": {
			acl: `
- {match: {labels: {team: "${account}"}}, actions: []}
- {match: {account: "/.+/"}, actions: ["*"]}`,
			denied: []policy.Case{{User: "dora", Claims: map[string]any{"ou": []any{"Dora"}}, Scope: "repository:red/app:push"}},
		},
		"an account that is empty": {
			users: `users: {"": {}}`,
			acl: `
- {match: {name: "x${account}y"}, actions: [pull]}
- {match: {}, actions: ["*"]}`,
			denied:  []policy.Case{{Scope: "repository:xy:push"}},
			granted: []policy.Case{{Scope: "repository:xay:push"}, {User: "dora", Scope: "repository:xy:push"}},
		},
		"a static user in other case than its entry": {
			users: `users: {Cyd: {password: "$2y$05$eziYaMjd7zu5wkPVPKqAcuRDZqSblwmwy/APz8kE62HAtTCUTQbZm"}}`,
			acl: `
- {match: {account: "[a-d]*"}, actions: [pull, push]}`,
			denied:  []policy.Case{{User: "Cyd", Scope: "repository:red/app:push"}},
			granted: []policy.Case{{User: "dora", Scope: "repository:red/app:push"}},
		},
		"an expression that is empty": {
			users: `users: {ann: {password: "$2y$05$eziYaMjd7zu5wkPVPKqAcuRDZqSblwmwy/APz8kE62HAtTCUTQbZm", labels: {x: [""]}}}`,
			acl: `
- {match: {name: "/${labels:x}/"}, actions: [push]}`,
			denied: []policy.Case{{User: "ann", Scope: "repository:red/app:push"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			text, findings, err := Import(Input{Source: Source{"a.yml", []byte(aDirectory + c.users + "\nacl:" + c.acl)}, Services: []string{"reg"}}, testKinds)
			if err != nil || text == "" {
				t.Fatalf("%v\n%s", err, strings.Join(lines(findings), "\n"))
			}
			parsed, err := config.Parse("shorepass.toml", []byte(text), testKinds, config.OnlySecrets())
			if err != nil {
				t.Fatal(err)
			}
			p := policy.Compile(parsed.Rules, func(key, problem string) { t.Errorf("%s: %s", key, problem) })
			for i, one := range slices.Concat(c.denied, c.granted) {
				one.Service = "reg"
				req, err := one.Request(func(string) bool { return true })
				if err != nil {
					t.Fatal(err)
				}
				if got := p.Decide(req); len(got.Access) > 0 != (i >= len(c.denied)) {
					t.Errorf("%+v: granted %v by %v", one, got.Access, got.Rules)
				}
			}
			if t.Failed() {
				t.Log(text)
			}
		})
	}
}
