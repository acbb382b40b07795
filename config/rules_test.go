package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shorepass/policy"
)

// TestConditionsAreCompiledOnce compares the allocations of Load with those of Compile for
// the same rules, some thousand for each condition. Unlike times, their number does not
// depend on the machine.
func TestConditionsAreCompiledOnce(t *testing.T) {
	var text strings.Builder
	text.WriteString("[token]\nissuer = \"test\"\nservices = [\"registry\"]\n")
	for i := range 100 {
		fmt.Fprintf(&text, "[[rule]]\ngroups = [\"staff\"]\nrepositories = [\"**\"]\nactions = [\"pull\"]\nwhen = 'claims.level == \"%d\" && \"mfa\" in claims.amr'\n", i)
	}
	name := filepath.Join(t.TempDir(), "shorepass.toml")
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(name, kinds)
	if err != nil {
		t.Fatal(err)
	}
	compiling := testing.AllocsPerRun(1, func() {
		policy.Compile(cfg.Rules, func(key, problem string) { t.Errorf("%s: %s", key, problem) })
	})
	loading := testing.AllocsPerRun(1, func() {
		if _, err := Load(name, kinds); err != nil {
			t.Error(err)
		}
	})
	if loading > 1.5*compiling {
		t.Errorf("Load has %.0f allocations, %.1f times those of Compile", loading, loading/compiling)
	}
}
