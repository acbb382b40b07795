package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestSettings: each value has its origin, secrets are references or redacted, and
// nothing is printed twice.
func TestSettings(t *testing.T) {
	t.Setenv("LDAP_PASSWORD", "canary-of-the-environment")
	t.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials/shorepass.service")
	const written = `[server]
public_urls = ["https://auth.corp.example"]
[token]
issuer = "shorepass"
services = ["registry.corp.example"]
[session]
store = "postgres://shorepass:canary-of-the-store@db.corp.example/shorepass"
[[provider]]
name = "corp"
kind = "ldap"
prefix = ""
preset = "openldap"
urls = ["ldaps://ldap.corp.example"]
bind_dn = "cn=shorepass,dc=corp,dc=example"
bind_password = { env = "LDAP_PASSWORD" }
users = { base = "dc=corp,dc=example" }
timeout = "90s"
groups.base = "ou=groups,dc=corp,dc=example"
groups.rename = { "cn=a b,ou=groups,dc=corp,dc=example" = "x", y-z = "z" }
[[provider]]
name = "local"
kind = "file"
prefix = "local-"
[[provider.user]]
name = "Zoë"
password = "$2y$05$Pb7q1k9W2mDo5m5nS1mFzOzYQe2bOqjS0GJ9nXU8eN2aXk4wY0cfe"
claims = { team = "bl\"ue\u007f\n", level = 3, "a b" = [true] }
[[rule]]
groups = ["team-*"]
repositories = ["{group}/**"]
actions = ["pull"]
when = """
user != "x" &&
user != 'y'"""
`
	file := filepath.Join(t.TempDir(), "shorepass.toml")
	if err := os.WriteFile(file, []byte(strings.Replace(written, `timeout = "90s"`, `timeout = "9s"`, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(file, kinds, OnlySecrets())
	if err != nil {
		t.Fatal(err)
	}
	text, err := FormatSettings(cfg.Settings())
	if err != nil {
		t.Fatal(err)
	}
	got := regexp.MustCompile(` +#`).ReplaceAllString(text, " #")
	for _, want := range []string{
		"listen = \"127.0.0.1:5001\" # default\n",
		"public_urls = [\"https://auth.corp.example\"] # line 2\n",
		"store = \"[redacted]\" # line 7\n",
		"bind_password = { env = \"LDAP_PASSWORD\" } # line 15\n",
		"users.base = \"dc=corp,dc=example\" # line 16\n",
		"users.filter = \"(uid={user})\" # preset\n",
		"users.name = \"uid\" # preset\n",
		"timeout = \"9s\" # line 17\n",
		"dial_timeout = \"2s\" # default\n",
		"groups.rename = { \"cn=a b,ou=groups,dc=corp,dc=example\" = \"x\", y-z = \"z\" } # line 19\n",
		"[[provider.user]]\nname = \"Zoë\" # line 25\npassword = \"[redacted]\" # line 26\n",
		"claims = { \"a b\" = [true], level = 3, team = \"bl\\\"ue\\u007f\\n\" } # line 27\n",
		"disabled = false # default\n",
		"when = \"user != \\\"x\\\" &&\\nuser != 'y'\" # line 32\n",
		"types = [\"repository\"] # default\n",
	} {
		if strings.Count(got, want) != 1 {
			t.Errorf("%d times %q in\n%s", strings.Count(got, want), want, got)
		}
	}
	if strings.Contains(text, "canary") || strings.Contains(text, "$2y$") {
		t.Errorf("the settings contain a secret:\n%s", text)
	}
}

// TestSettingsAreAConfiguration: what config show prints, with its secrets in files, is a
// configuration with the same settings.
func TestSettingsAreAConfiguration(t *testing.T) {
	for _, name := range []string{"../config.example.toml", "testdata/recipe.toml"} {
		data := []byte(recipe)
		if name != "testdata/recipe.toml" {
			var err error
			if data, err = os.ReadFile(name); err != nil {
				t.Fatal(err)
			}
		}
		folder := t.TempDir()
		load := func(data []byte) []Setting {
			file := filepath.Join(folder, "shorepass.toml")
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := Load(file, kinds, OnlySecrets())
			if err != nil {
				t.Fatalf("%v in\n%s", err, data)
			}
			return cfg.Settings()
		}
		first := load(data)
		text, err := FormatSettings(first)
		if err != nil {
			t.Fatal(err)
		}
		second := load([]byte(strings.ReplaceAll(text, `"[redacted]"`, `"$2y$05$Pb7q1k9W2mDo5m5nS1mFzOzYQe2bOqjS0GJ9nXU8eN2aXk4wY0cfe"`)))
		if diff := cmp.Diff(first, second, cmpopts.IgnoreFields(Setting{}, "Origin", "Line")); diff != "" {
			t.Errorf("%s printed and loaded again (-first +second):\n%s", name, diff)
		}
	}
}

// recipe has tables, lists of tables and references to secrets.
const recipe = `[server]
public_urls = ["https://auth.corp.example"]
tls = { certificate = "server.crt", key = "server.key" }
[token]
issuer = "shorepass"
services = ["one.corp.example", "two.corp.example"]
[[service]]
name = "two.corp.example"
signing = "kid"
lifetime = "10m"
[[provider]]
name = "corp"
kind = "ldap"
preset = "activedirectory"
urls = ["ldaps://dc1.corp.example", "ldaps://dc2.corp.example"]
prefix = ""
bind_dn = "svc@corp.example"
bind_password = { file = "ldap.secret" }
users.base = "dc=corp,dc=example"
groups = { base = "dc=corp,dc=example", only = ["team-*"] }
[[provider]]
name = "ci"
kind = "oidc"
prefix = "ci-"
issuer = "https://git.corp.example"
grants = ["id_token"]
audience = ["registry.corp.example"]
claims = ["ref"]
[[rule]]
name = "ci"
providers = ["ci"]
users = ["**"]
repositories = ["ci/{claims.ref}"]
actions = ["*"]
`
