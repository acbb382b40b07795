package config

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/file"
	"shorepass/providers/providertest"
)

// TestExample: the example loads unchanged, with every commented key and with every
// alternative, and it shows all keys that exist and no other.
func TestExample(t *testing.T) {
	shown := make(map[string]bool)
	for name, text := range exampleTexts(t) {
		t.Run(name, func(t *testing.T) {
			cfg, err := Load(exampleFile(t, text), kinds)
			if err != nil {
				t.Fatalf("Load = %v", err)
			}
			if len(cfg.Warnings) > 0 {
				t.Errorf("warnings: %q", cfg.Warnings)
			}
			var tree map[string]any
			if err := toml.Unmarshal([]byte(text), &tree); err != nil {
				t.Fatal(err)
			}
			maps.Copy(shown, keysOf(tree))
		})
	}
	if diff := cmp.Diff(once(knownKeys()), once(shown)); diff != "" {
		t.Errorf("config.example.toml shows other keys than exist (-exist +shown):\n%s", diff)
	}
}

// once returns the sorted keys. A key that all kinds of provider have is there once,
// without the kind, since it is enough to show it at one of them.
func once(keys map[string]bool) []string {
	common := make(map[string]bool)
	for _, f := range fields(reflect.TypeFor[providers.Config]()) {
		common[f.name] = true
	}
	set := make(map[string]bool)
	for key := range keys {
		table, rest, _ := strings.Cut(key, ".")
		if strings.HasPrefix(table, "provider ") && common[rest] {
			key = "provider." + rest
		}
		set[key] = true
	}
	return slices.Sorted(maps.Keys(set))
}

// exampleTexts returns the example unchanged, with its commented keys, and with each
// alternative instead of the keys above it.
func exampleTexts(t *testing.T) map[string]string {
	data, err := os.ReadFile("../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	commented := regexp.MustCompile(`^#([a-z_"\[].*)$`)
	var all, other []string
	var block int // index in other of the keys that an alternative replaces
	replaced := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if alternative, ok := strings.CutPrefix(line, "#or "); ok {
			if !replaced {
				other, replaced = other[:block], true
			}
			other = append(other, alternative)
			continue
		}
		replaced = false
		if m := commented.FindStringSubmatch(line); m != nil {
			all, other = append(all, m[1]), append(other, m[1])
			continue
		}
		all, other = append(all, line), append(other, line)
		block = len(other)
	}
	return map[string]string{
		"unchanged":         string(data),
		"every key":         strings.Join(all, "\n"),
		"every alternative": strings.Join(other, "\n"),
	}
}

// exampleFile writes the text to a file, with the files and environment variables of
// the secrets that it names.
func exampleFile(t *testing.T, text string) string {
	folder := t.TempDir()
	for _, m := range regexp.MustCompile(`(file|env) = "([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if m[1] == "env" {
			t.Setenv(m[2], "secret")
		} else if err := os.WriteFile(filepath.Join(folder, m[2]), []byte("MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	name := filepath.Join(folder, "shorepass.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestExampleLogin: the only user of the example is demo, with the password demo.
func TestExampleLogin(t *testing.T) {
	cfg, err := Load("../config.example.toml", Kinds{"file": Kind(file.New)})
	if err != nil {
		t.Fatal(err)
	}
	local, err := cfg.Providers[0].Build()
	if err != nil {
		t.Fatal(err)
	}
	for password, right := range map[string]bool{"demo": true, "Demo": false, "demo ": false} {
		id, err := providertest.Authenticate(t.Context(), local, "demo", providers.LoginPassword{Secret: secret.New(password)})
		if (err == nil) != right || right && (id.User != "demo" || !slices.Equal(id.Groups, []string{"team-demo"})) {
			t.Errorf("Authenticate(demo, %q) = %+v, %v; want right = %v", password, id, err, right)
		}
	}
}

func TestExampleDefaults(t *testing.T) {
	cfg, err := Load("../config.example.toml", kinds)
	if err != nil {
		t.Fatal(err)
	}
	folder, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{filepath.Join(folder, "config.example.toml")}; !slices.Equal(cfg.Files, want) {
		t.Errorf("Files = %q, want %q", cfg.Files, want)
	}
	if cfg.Token.Issuer != "gitlab-issuer" || !slices.Equal(cfg.Token.Services, []string{"container_registry"}) {
		t.Errorf("Token = %+v, want the issuer and the service of the first registry", cfg.Token)
	}
	if len(cfg.Providers) != 1 || cfg.Providers[0].Name != "local" || cfg.Providers[0].Kind != "file" {
		t.Errorf("Providers = %+v, want the file alone", cfg.Providers)
	}
}
