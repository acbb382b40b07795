package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shorepass/config"
)

// TestPolicies loads each policy of docs/policies with the configuration of the company
// there, without a fault or a warning, and holds its cases against it, as explain --cases
// does. docs/policy.md links to each.
func TestPolicies(t *testing.T) {
	const folder = "../../docs/policies"
	company := readText(t, filepath.Join(folder, "company.toml"))
	page := readText(t, "../../docs/policy.md")
	files, err := filepath.Glob(filepath.Join(folder, "*.toml"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(name string) bool {
		return strings.HasSuffix(name, ".cases.toml") || filepath.Base(name) == "company.toml"
	})
	if len(files) < 20 {
		t.Errorf("%s has %d policies, want at least 20", folder, len(files))
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".toml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rules := readText(t, file)
			if !strings.HasPrefix(rules, "# Who: ") {
				t.Error(`the policy does not begin with "# Who: "`)
			}
			if !strings.Contains(page, "(policies/"+name+".toml)") {
				t.Errorf("docs/policy.md has no link to policies/%s.toml", name)
			}
			path := filepath.Join(t.TempDir(), "shorepass.toml")
			if err := os.WriteFile(path, []byte(company+"\n"+rules), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := config.Load(path, kinds, config.OnlySecrets())
			if err != nil {
				t.Fatal(err)
			}
			for _, warning := range cfg.Warnings {
				t.Errorf("a warning: %v", warning)
			}
			var out strings.Builder
			f := explainFlags{cases: strings.TrimSuffix(file, ".toml") + ".cases.toml"}
			if err := f.checkCases(&out, cfg); err != nil {
				t.Errorf("%v\n%s", err, out.String())
			}
			if cases := readText(t, f.cases); strings.Count(cases, "[[case]]") < 2 || !strings.Contains(cases, "want") {
				t.Error("the cases grant nothing, or there is only one")
			}
		})
	}
}

func readText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
