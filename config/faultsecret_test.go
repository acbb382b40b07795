package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestErrorsShowNoSecret: no error and no warning quotes a secret, whatever the fault and
// wherever in the file the secret is.
func TestErrorsShowNoSecret(t *testing.T) {
	const canary = "c4naryPassw0rd"
	head := "[[provider]]\nname = \"sso\"\nkind = \"oidc\"\nissuer = \"https://sso.corp.example\"\ngrants = [\"password\"]\n"
	directory := "[[provider]]\nname = \"corp\"\nkind = \"ldap\"\npreset = \"openldap\"\nbind_dn = \"cn=x,dc=corp\"\n"
	users := "[[provider]]\nname = \"local\"\nkind = \"file\"\n[[provider.user]]\nname = \"demo\"\n"
	for _, text := range []string{
		directory + `bind_password = "` + canary + `"`,
		directory + `bind_password = { file = "x", env = "` + canary + `" }`,
		directory + `bind_pasword = "` + canary + `"`,
		directory + `urls = ["ldap://h"]` + "\nbind_password = \"" + canary + `"`,
		users + `password = "` + canary + `"`,
		users + `password = "$argon2id$v=19$m=` + canary + `"`,
		users + `password = "$2y$` + canary + `"`,
		users + `passwort = "` + canary + `"`,
		head + `client_secret = "` + canary + `"`,
		head + `client_secret = ["` + canary + `"]`,
		head + `client_secret = { "file" = "x", value = "` + canary + `" }`,
		head + `client_secret = { value = "` + canary + `" }`,
		head + `client_secret = { file = 1, env = "` + canary + `" }`,
		head + `client_secert = "` + canary + `"`,
		head + `client_secret = ` + canary,
		head + `client_secret = n` + canary,
		head + `client_secret = 1` + canary,
		head + `client_secret = "` + canary,
		head + `client_secret = '` + canary + "\n",
		head + `client_secret = """` + canary + "\n",
		head + `client_secret = "\` + canary + `"`,
		head + `client_secret = "` + canary + `" ` + canary,
		head + `client_secret = "` + canary + "\"\nclient_secret = \"" + canary + `"`,
		head + `client_secret = "` + canary + "\x00\"",
		head + `client_secret = "` + canary + "\xff\"",
		head + `timeout = "` + canary + `"`,
		head + `ignore_case = "` + canary + `"`,
		head + `tls = "` + canary + `"`,
		head + `tls = { key = ["` + canary + `"] }`,
		head + `groups = ["` + canary + `"]`,
		head + `remember = "` + canary + `"`,
		head + `wrong_passwords = "` + canary + `"`,
		directory + `urls = ["ldaps://u:` + canary + `@h"]`,
		directory + `urls = ["ldaps://h/?` + canary + `"]`,
		head + `discovery = "https://u:` + canary + `%zz@h"`,
		"[server]\nlisten = \"https://u:" + canary + "@h\"",
		"[server]\npublic_urls = [\"https://" + canary + "@h\"]",
		"[server.acme]\ndirectory = \"https://u:1/" + canary + "@h\"",
		"[audit]\nto = \"syslog+tls://u:" + canary + "@h\"",
		"[session]\nstore = { file = \"postgres://u:" + canary + "@h/db\" }",
		"[session]\nstore = \"postgres://u:" + canary + "@h/db\"\nrevalidate = \"x\"",
		"[session]\nstore = \"postgre://u:" + canary + "@h/db\"",
		"[session]\nstore = \"" + canary + "\"",
		"[session]\nseal_key = \"" + canary + "\"",
		"[session]\nper_person = \"" + canary + "\"",
		"[session]\ngrace = \"" + canary + "\"",
	} {
		name := filepath.Join(t.TempDir(), "shorepass.toml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(name, kinds)
		if err != nil && strings.Contains(err.Error(), canary) {
			t.Errorf("Load of\n%s\nshows the secret: %v", text, err)
		}
		if cfg != nil && strings.Contains(fmt.Sprint(cfg.Warnings), canary) {
			t.Errorf("Load of\n%s\nwarns with the secret: %q", text, cfg.Warnings)
		}
	}
}
