package config

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/providers/file"
	"shorepass/providers/ldap"
	"shorepass/providers/oidc"
)

// elsewhere has every secret in an environment variable or a file that does not exist.
const elsewhere = `
[session]
store    = { env = "SHOREPASS_TEST_STORE" }
seal_key = { file = "seal.key" }
tls      = { key = "$CREDENTIALS_DIRECTORY/store.key", certificate = "store.crt" }

[[provider]]
name = "corp"
kind = "ldap"
prefix = ""
preset = "openldap"
urls = ["ldaps://dc1.corp.example"]
bind_dn = "cn=shorepass,dc=corp,dc=example"
bind_password = { env = "SHOREPASS_TEST_UNSET" }
users = { base = "dc=corp,dc=example" }
tls = { ca = "$CREDENTIALS_DIRECTORY/ca.crt" }

[[provider]]
name = "sso"
kind = "oidc"
prefix = "sso:"
issuer = "https://sso.corp.example"
grants = ["password"]
client_id = "registry"
client_secret = { file = "sso.secret" }
auth_style = "client_secret_basic"

[[provider]]
name = "local"
kind = "file"
[[provider.user]]
name = "demo"
password = { env = "SHOREPASS_TEST_UNSET" }
`

func TestOnlySecrets(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	t.Setenv("SHOREPASS_TEST_STORE", "")
	name := filepath.Join(t.TempDir(), "shorepass.toml")
	if err := os.WriteFile(name, []byte(minimal+elsewhere+rule), 0o600); err != nil {
		t.Fatal(err)
	}
	const (
		session   = "session.store session.seal_key session.tls.key "
		providers = "provider[0].bind_password provider[0].tls.ca provider[1].client_secret provider[1].auth_style provider[2].user[0].password "
	)
	for _, tt := range []struct {
		name    string
		options []Option
		want    string // keys of the faults, in the order of the file
	}{
		{"all", nil, session + providers},
		{"none", []Option{OnlySecrets()}, ""},
		{"a table", []Option{OnlySecrets("session")}, session},
		{"a key", []Option{OnlySecrets("session.store")}, "session.store "},
		{"two keys", []Option{OnlySecrets("session.store", "session.tls")}, "session.store session.tls.key "},
		{"a list of tables", []Option{OnlySecrets("provider")}, providers},
		{"one of a list", []Option{OnlySecrets("provider[1]")}, "provider[1].client_secret provider[1].auth_style "},
		{"the beginning of a key", []Option{OnlySecrets("session.st", "prov")}, ""},
	} {
		_, err := Load(name, kinds, tt.options...)
		var keys strings.Builder
		for _, f := range Faults(err) {
			keys.WriteString(f.Key + " ")
		}
		if keys.String() != tt.want {
			t.Errorf("Load with %s: %v, want faults at %q", tt.name, err, tt.want)
		}
	}
}

// TestUnreadSecrets: a needed secret is read, and a provider with an unread one cannot be
// built.
func TestUnreadSecrets(t *testing.T) {
	t.Setenv("SHOREPASS_TEST_STORE", "postgres://u:p@h/d")
	name := filepath.Join(t.TempDir(), "shorepass.toml")
	if err := os.WriteFile(name, []byte(minimal+elsewhere+rule), 0o600); err != nil {
		t.Fatal(err)
	}
	built := Kinds{"file": Kind(file.New), "ldap": Kind(ldap.New), "oidc": Kind(oidc.New)}
	cfg, err := Load(name, built, OnlySecrets("session.store"))
	if err != nil {
		t.Fatal(err)
	}
	if got := cfg.Session.Store.Reveal(); got != "postgres://u:p@h/d" {
		t.Errorf("session.store = %q, want the value of the environment variable", got)
	}
	for _, p := range cfg.Providers {
		if built, err := p.Build(); err == nil || built != nil {
			t.Errorf("Build of %q without its secrets = %v, %v; want an error", p.Name, built, err)
		}
	}
	if want := []string{name, filepath.Join(filepath.Dir(name), "store.crt")}; !slices.Equal(cfg.Files, want) {
		t.Errorf("Files = %q, want %q", cfg.Files, want)
	}
}

// TestSecretsInPlaceAreAlwaysRead: OnlySecrets does not affect a secret in place.
func TestSecretsInPlaceAreAlwaysRead(t *testing.T) {
	name := filepath.Join(t.TempDir(), "shorepass.toml")
	if err := os.WriteFile(name, []byte(minimal+demo+rule), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(name, Kinds{"file": Kind(file.New)}, OnlySecrets())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cfg.Providers[0].Build(); err != nil {
		t.Errorf("Build = %v, want a provider", err)
	}
}

// TestOnlySecretsReportsOtherFaults: with OnlySecrets a configuration has the same faults,
// except those of missing secrets.
func TestOnlySecretsReportsOtherFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no broken configurations: %v", err)
	}
	missing := regexp.MustCompile(`(?m)^.*the environment variable .* is not set.*\n`)
	for _, name := range files {
		want, err := os.ReadFile(strings.TrimSuffix(name, ".toml") + ".err")
		if err != nil {
			t.Fatal(err)
		}
		_, got := Load(name, kinds, OnlySecrets())
		if got == nil {
			t.Fatalf("Load(%q) = nil error, want faults", name)
		}
		if diff := cmp.Diff(missing.ReplaceAllString(string(want), ""), got.Error()+"\n"); diff != "" {
			t.Errorf("%s without its secrets (-want +got):\n%s", name, diff)
		}
	}
}
