package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const reachProviders = `[token]
issuer = "x"
services = ["r"]

[[provider]]
name = "local"
kind = "file"
user = [{ name = "demo", password = "$2y$10$abcdefghijklmnopqrstuuzVsAVGXNo9L1R65wVwiUYQGUVvXxxxW", claims = { city = "Kiel" } }]

[[provider]]
name = "corp"
kind = "ldap"
preset = "openldap"
prefix = "corp/"
urls = ["ldaps://dc1.corp.example"]
users = { base = "ou=people,dc=corp,dc=example" }
groups = { base = "ou=groups,dc=corp,dc=example", only = ["team-*", "Staff"], rename = { Staff = "everyone" } }

[[provider]]
name = "sso"
kind = "oidc"
prefix = "sso:"
issuer = "https://sso.corp.example"
client_id = "r"
grants = ["password", "id_token"]
audience = ["r"]
groups = { claim = "groups" }

[[provider]]
name = "ci"
kind = "oidc"
prefix = "ci:"
issuer = "https://ci.corp.example"
grants = ["id_token"]
audience = ["r"]
claims = ["kubernetes.io", "https://corp.example/roles"]

[[rule]]
name = "x"
repositories = ["a"]
actions = ["pull"]
`

// TestRulesOutOfReach: a rule that can match no identity of the providers is an
// error, and no other rule is. So is a claim that no provider reads.
func TestRulesOutOfReach(t *testing.T) {
	for _, tt := range []struct {
		name, rule string
		want       string // the fault or, after "warning: ", the warning; empty for neither
	}{
		{"a user of any", `users = ["demo"]`, ""},
		{"a deny rule for everyone", `effect = "deny"`, ""},
		{"a prefix", `users = ["bob"]
			providers = ["ci"]`, `rule[0].users: the rule "x" can never match: the user names of "ci" begin with "ci:"; write "ci:bob"`},
		{"in another case", `users = ["CI:bob"]
			providers = ["ci"]`, `rule[0].users: the rule "x" can never match: the user names of "ci" begin with "ci:"`},
		{"in another case, which is ignored", `users = ["CORP/Bob"]
			providers = ["corp"]`, ""},
		{"a glob may hold the prefix", `users = ["*bob"]
			providers = ["ci", "corp"]`, ""},
		{"prefixes", `effect = "deny"
			groups = ["team-blue"]
			providers = ["ci", "corp"]`, `rule[0].groups: the rule "x" can never match: the groups of "corp" begin with "corp/"; write "corp/team-blue"; people of "ci" are in no groups, since its groups key is left out`},
		{"only", `groups = ["corp/admins"]
			providers = ["corp"]`, `rule[0].groups: the rule "x" can never match: groups.only of "corp" leaves "admins" out; add it there`},
		{"only, in another case", `groups = ["corp/TEAM-*"]
			providers = ["corp"]`, ""},
		{"renamed", `groups = ["corp/staff"]
			providers = ["corp"]`, `rule[0].groups: the rule "x" can never match: "corp/staff" is renamed by groups.rename of "corp"; write the new name`},
		{"the new name", `groups = ["corp/Everyone"]
			providers = ["corp"]`, ""},
		{"a method that no provider has", `users = ["*"]
			providers = ["corp", "local"]
			when = 'method == "id_token" && claims.city == "Kiel"'`, `rule[0].when: the rule "x" can never match: the condition is false for each provider that the rule is for, and each method by which its people log in`},
		{"a method that one has", `users = ["*"]
			when = 'method == "id_token"'`, ""},
		{"a method that a token has", `users = ["*"]
			providers = ["corp"]
			when = 'method == "pat"'`, ""},
		{"a method of the other provider", `users = ["*"]
			when = 'method == "password" && provider == "ci"'`, `rule[0].when: the rule "x" can never match: the condition is false`},
		{"authenticated with an ID token", `groups = ["authenticated"]
			providers = ["ci"]`, `rule[0].groups: the rule "x" can never match: people of "ci" who log in with an ID token are not in the group "authenticated"; set id_tokens_authenticated = true there`},
		{"authenticated with a password", `groups = ["authenticated"]
			providers = ["ci", "sso"]`, ""},
		{"authenticated, by its method", `groups = ["authenticated"]
			providers = ["sso"]
			when = 'method == "id_token"'`, `rule[0].when: the rule "x" can never match`},
		{"anonymous of a provider", `groups = ["anonymous"]
			when = 'provider == "sso"'`, `rule[0].when: the rule "x" can never match`},
		{"our own, misspelt", `groups = ["Anonymous", "corp/team-a"]`, `rule[0].groups[0]: "Anonymous" is never a group, because the name is reserved; write "anonymous"`},
		{"an entry alone", `groups = ["corp/admins", "corp/team-a"]
			providers = ["corp"]`, `warning: rule[0].groups[0]: the entry can never match: groups.only of "corp" leaves "admins" out; add it there`},
		{"capitals where case is ignored", `users = ["*"]
			providers = ["corp"]
			when = '"corp/Team-A" in groups || user.startsWith("corp/X")'`, `rule[0].when: the condition compares user or groups with "corp/Team-A", "corp/X", but they are lower case for "corp", where case is ignored; write "corp/team-a", "corp/x"`},
		{"capitals where it is ignored by one", `users = ["*"]
			when = 'groups.exists(g, g == "Team-A")'`, `warning: rule[0].when: the condition compares user or groups with "Team-A", but they are lower case for "local", "corp", where case is ignored; write "team-a"`},
		{"capitals where it is not", `users = ["*"]
			providers = ["sso"]
			when = '"sso:Team-A" in groups'`, ""},
		{"groups that a provider does not read", `groups = ["ci:*"]
			effect = "deny"
			providers = ["ci"]`, `rule[0].groups: the rule "x" can never match: people of "ci" are in no groups, since its groups key is left out`},
		{"the same, in an allow rule", `groups = ["ci:*"]
			providers = ["ci"]`, `warning: rule[0].groups: the rule "x" can never match: people of "ci" are in no groups`},
		{"groups that one of two reads", `groups = ["sso:a"]
			providers = ["ci", "sso"]`, ""},
		{"a blank at an end", `groups = ["sso:contractors "]
			effect = "deny"`, `rule[0].groups: the rule "x" can never match:`},
		{"a blank after the prefix", `users = ["sso: bob"]
			providers = ["sso"]`, `rule[0].users: the rule "x" can never match: "sso: bob" matches none of the user names of "sso", since it has a blank at an end`},
		{"an invisible character", `users = ["b\u200bob"]
			providers = ["local"]`, `since it holds a character that is not seen`},
		{"a glob with a blank", `users = ["* b*"]
			providers = ["local"]`, ""},
		{"a claim that no provider reads", `users = ["*"]
			when = 'claims.town == "Kiel"'`, `rule[0]: no provider reads the claim "town"; add it to the claims of a provider`},
		{"a claim with dots in a name", `effect = "deny"
			when = '"x" in claims.kubernetes.io'`, `rule[0]: no provider reads the claim "kubernetes"; add it to the claims of a provider`},
		{"a part of a claim with dots in its name", `users = ["*"]
			when = 'claims["kubernetes.io"].namespace == "a" && claims["https://corp.example/roles"].admin == true'`, ""},
		{"a claim that one reads", `users = ["*"]
			when = 'claims.city == "Kiel"'`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "shorepass.toml")
			if err := os.WriteFile(name, []byte(reachProviders+tt.rule+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := Load(name, kinds)
			var got []string
			for _, f := range Faults(err) {
				got = append(got, f.Key+": "+f.Problem)
			}
			if cfg != nil {
				for _, w := range cfg.Warnings {
					got = append(got, "warning: "+w.Key+": "+w.Problem)
				}
			}
			if len(got) > 1 || (tt.want == "") != (got == nil) || !strings.Contains(strings.Join(got, "\n"), tt.want) {
				t.Errorf("Load says %q, want %q", got, tt.want)
			}
		})
	}
}

// TestRuleWithUnknownClaimIsRefused: also where the claim is in a repository name.
func TestRuleWithUnknownClaimIsRefused(t *testing.T) {
	for _, text := range []string{
		rule + `when = 'claims.town == "Kiel"'`,
		strings.Replace(rule, "a/b", "{claims.town}/*", 1),
		strings.Replace(rule, "a/b", "{claims.town.street}/*", 1),
	} {
		_, err := loadText(t, minimal+demo+text, 0o600)
		list := Faults(err)
		if len(list) != 1 || list[0].Line != 11 || list[0].Key != "rule[0]" || list[0].Problem != `no provider reads the claim "town"; add it to the claims of a provider` {
			t.Errorf("Load of %s: %v, want that no provider reads the claim", text, err)
		}
	}
}

func TestFoldsCaseOfProvider(t *testing.T) {
	text := strings.Replace(reachProviders, `groups = { claim = "groups" }`, "ignore_case = true", 1) + `users = ["demo"]`
	cfg, err := loadText(t, text, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"local": true, "corp": true, "sso": true, "ci": false, "": false} {
		if got := cfg.FoldsCase(name); got != want {
			t.Errorf("FoldsCase(%q) = %v, want %v", name, got, want)
		}
	}
	alone, err := loadText(t, minimal+demo+rule, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if !alone.FoldsCase("") {
		t.Error("FoldsCase of no provider, where the only one ignores case = false")
	}
}
