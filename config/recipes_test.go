package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProviderRecipes: every configuration in docs/providers.md loads without a
// warning, one for each recipe.
func TestProviderRecipes(t *testing.T) {
	page, err := os.ReadFile("../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSO_SECRET", "secret")
	_, recipes, _ := strings.Cut(string(page), "\n## Recipes\n")
	sections := strings.Split(recipes, "\n### ")[1:]
	if len(sections) < 9 {
		t.Errorf("docs/providers.md has %d recipes, want nine", len(sections))
	}
	for _, section := range sections {
		name, text, _ := strings.Cut(section, "\n")
		t.Run(name, func(t *testing.T) {
			block := strings.Join(regexp.MustCompile(`(?m)^(?:    .*)?\n`).FindAllString(text, -1), "")
			file := filepath.Join(t.TempDir(), "shorepass.toml")
			config := "[token]\nissuer = \"shorepass\"\nservices = [\"registry.corp.example\"]\n" +
				"[[service]]\nname = \"registry.corp.example\"\nhosts = [\"registry.corp.example\"]\n" + block
			if !strings.Contains(block, "[[rule]]") {
				config += "[[rule]]\ngroups = [\"team-*\"]\nrepositories = [\"{group}/**\"]\nactions = [\"pull\"]\n"
			}
			if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
				t.Fatal(err)
			}
			cfg, err := Load(file, kinds)
			if err != nil {
				t.Fatalf("%v\n%s", err, config)
			}
			if len(cfg.Providers) != 1 || len(cfg.Warnings) > 0 {
				t.Errorf("%d providers, warnings %q, want one provider and no warning\n%s", len(cfg.Providers), cfg.Warnings, config)
			}
		})
	}
}
