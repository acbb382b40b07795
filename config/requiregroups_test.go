package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRequireGroups: a require_groups that refuses every login is a fault (F3).
func TestRequireGroups(t *testing.T) {
	const groups = "groups = { claim = \"groups\"%s }"
	for _, tt := range []struct {
		require, groups, want string
	}{
		{`["sso:team-*"]`, fmt.Sprintf(groups, ""), ""},
		{`["*"]`, fmt.Sprintf(groups, ""), ""},
		{`["?so:team-?"]`, fmt.Sprintf(groups, `, only = ["team-*"]`), ""},
		{`["authenticated"]`, fmt.Sprintf(groups, ""), `provider[0].require_groups: refuses every login of this provider: "authenticated" is a group of shorepass's own, which is not compared; leave it out, so that everyone may log in`},
		{`["Anonymous", "authenticated"]`, fmt.Sprintf(groups, ""), `provider[0].require_groups: refuses every login of this provider: "Anonymous" is a group of shorepass's own`},
		{`["authenticated", "sso:team-*"]`, fmt.Sprintf(groups, ""), `warning: provider[0].require_groups[0]: the entry can never match: "authenticated" is a group of shorepass's own`},
		{`["team-*"]`, fmt.Sprintf(groups, ""), `provider[0].require_groups: refuses every login of this provider: the groups of "sso" begin with "sso:"; write "sso:team-*"`},
		{`["sso:staff"]`, fmt.Sprintf(groups, `, only = ["team-*"]`), `provider[0].require_groups: refuses every login of this provider: groups.only of "sso" leaves "staff" out; add it there`},
		{`["sso:staff"]`, fmt.Sprintf(groups, `, rename = { staff = "crew" }`), `provider[0].require_groups: refuses every login of this provider: "sso:staff" is renamed by groups.rename of "sso"; write the new name`},
		{`["sso:team-*"]`, "", `provider[0].require_groups: refuses every login of this provider: people of "sso" are in no groups, since its groups key is left out`},
	} {
		name := filepath.Join(t.TempDir(), "shorepass.toml")
		text := fmt.Sprintf(`
[token]
issuer   = "i"
services = ["r"]
[[provider]]
name          = "sso"
kind          = "oidc"
prefix        = "sso:"
issuer        = "https://sso.corp.example"
client_id     = "registry"
client_secret = { file = "secret" }
grants        = ["password"]
require_groups = %s
%s
[[rule]]
users        = ["*"]
repositories = ["**"]
actions      = ["pull"]
`, tt.require, tt.groups)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(name, kinds, OnlySecrets())
		var got []string
		for _, f := range Faults(err) {
			got = append(got, f.Key+": "+f.Problem)
		}
		if cfg != nil {
			for _, w := range cfg.Warnings {
				got = append(got, "warning: "+w.Key+": "+w.Problem)
			}
		}
		if len(got) > 1 || (len(got) == 0) != (tt.want == "") || !strings.HasPrefix(strings.Join(got, ""), tt.want) {
			t.Errorf("require_groups = %s, %s: %q, want %q", tt.require, tt.groups, got, tt.want)
		}
	}
}
