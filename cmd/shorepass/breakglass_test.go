package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestBreakGlass: with the configuration in docs/operations.md an operator logs in and
// ends sessions while the only other provider is down.
func TestBreakGlass(t *testing.T) {
	_, section, found := strings.Cut(readPage(t, "docs/operations.md"), "\n### Break-glass\n")
	if !found {
		t.Fatal("docs/operations.md has no section Break-glass")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	block := strings.Join(regexp.MustCompile(`(?m)^(?:    .*)?\n`).FindAllString(section, -1), "")
	config := strings.NewReplacer(
		"$argon2id$…", "$2a$04$hD7WnWcKlUPPxWl3WeWCFOSE8NuiRxtm5eR9AyznPuLlX8rUZuTTa",
		"[server]", "[server]\nlisten = \"$ADDR\"\npublic_urls = [\"http://registry-auth.example\"]",
	).Replace(block) + `
[token]
issuer   = "i"
services = ["r"]

[[provider]]
name     = "corp"
kind     = "ldap"
preset   = "openldap"
prefix   = ""
urls     = ["ldap://127.0.0.1:1"]
insecure = true
users    = { base = "ou=people,dc=corp,dc=example" }
groups   = { base = "ou=groups,dc=corp,dc=example" }

[[rule]]
groups       = ["registry-admins"]
repositories = ["**"]
actions      = ["pull"]
`
	testscript.Run(t, scripts("testdata/breakglass", func(e *testscript.Env) {
		if err := os.WriteFile(filepath.Join(e.WorkDir, "shorepass.toml"), []byte(config), 0o600); err != nil {
			e.T().Fatal(err)
		}
	}))
}
