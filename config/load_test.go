package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/providers"
	"shorepass/providers/file"
	"shorepass/providers/ldap"
	"shorepass/providers/oidc"
)

var update = flag.Bool("update", false, "write what the tests compare with: testdata/*.err and docs/configuration.md")

// kinds are those of cmd/shorepass, with constructors that must not be called.
var kinds = Kinds{
	"file": Kind(unbuilt[file.Config]),
	"ldap": Kind(unbuilt[ldap.Config]),
	"oidc": Kind(unbuilt[oidc.Config]),
}

func unbuilt[C any](C) (providers.Provider, error) { panic("Build in a test of Load") }

// TestBrokenConfigs: each testdata/NAME.toml has faults, and NAME.err is the error.
func TestBrokenConfigs(t *testing.T) {
	files, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no broken configurations: %v", err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".toml"), func(t *testing.T) {
			_, err := Load(name, kinds)
			if err == nil {
				t.Fatalf("Load(%q) = nil error, want faults", name)
			}
			golden(t, strings.TrimSuffix(name, ".toml")+".err", err.Error()+"\n")
			if len(Faults(err)) != 1+strings.Count(err.Error(), "\n") {
				t.Errorf("Faults(%v) = %d faults, want one a line", err, len(Faults(err)))
			}
		})
	}
}

// golden compares got with a file, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", name, diff)
	}
}

// TestLoadFromPipe: the configuration may be a pipe, for example from a program that
// decrypts it.
func TestLoadFromPipe(t *testing.T) {
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	text := "[token]\nissuer = \"i\"\nservices = [\"a\"]\n"
	go os.WriteFile(name, []byte(text), 0) // waits for its reader
	cfg, err := Load(name, kinds)
	if err != nil || cfg.Token.Issuer != "i" {
		t.Errorf("Load of a pipe: %v", err)
	}
}

// TestProviderTables: the hash changes with the values in the tables and with nothing
// else.
func TestProviderTables(t *testing.T) {
	load := func(text string) string {
		t.Helper()
		name := filepath.Join(t.TempDir(), "shorepass.toml")
		if err := os.WriteFile(name, []byte("[token]\nissuer = \"i\"\nservices = [\"s\"]\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := Load(name, kinds)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.ProviderTables
	}
	const table = "[[provider]]\nname = \"local\"\nkind = \"file\"\nhtpasswd = \"users\"\n"
	before := load(table + "require_groups = [\"a\"]\n")
	for _, test := range []struct {
		name, text string
		same       bool
	}{
		{"another order and a comment", "[[provider]] # the first\nkind = \"file\"\nhtpasswd = \"users\"\nrequire_groups = [\"a\"]\nname = \"local\"\n", true},
		{"another table of another kind", table + "require_groups = [\"a\"]\n[session]\ngrace = \"2h\"\n", true},
		{"another value", table + "require_groups = [\"b\"]\n", false},
		{"a key less", table, false},
		{"a table more", table + "require_groups = [\"a\"]\n" + strings.Replace(table, "local", "more", 1), false},
	} {
		if got := load(test.text) == before; got != test.same {
			t.Errorf("%s: the hash is the same: %v, want %v", test.name, got, test.same)
		}
	}
}

// TestParse: a text without a file has the faults of one.
func TestParse(t *testing.T) {
	text, err := os.ReadFile("../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg, err := Parse("new.toml", text, kinds); err != nil || len(cfg.Rules) != 2 {
		t.Errorf("Parse(config.example.toml): %v", err)
	}
	if _, err := Parse("new.toml", []byte("[server]\nlisten = 1\n"), kinds); err == nil || !strings.Contains(err.Error(), "new.toml:2: server.listen: ") {
		t.Errorf("Parse of a fault: %v", err)
	}
}
