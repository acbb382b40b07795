package policy_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/pelletier/go-toml/v2"
	"github.com/rogpeppe/go-internal/txtar"

	"shorepass/policy"
	"shorepass/registry"
)

// TestCases checks the cases of each file in testdata/cases against its rules,
// in the format of explain --cases.
func TestCases(t *testing.T) {
	for _, path := range glob(t, "testdata/cases/*.txtar") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			files := read(t, path)
			p := policy.Compile(rules(t, files["rules.toml"]), func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
			for _, m := range p.CheckCases(cases(t, files["cases.toml"]), isDirectory) {
				t.Errorf("%s: %s\n%s", m.Case, m.Problem, m.Explanation)
			}
		})
	}
}

// TestExplain compares what explain prints with the golden text in each file.
func TestExplain(t *testing.T) {
	for _, path := range glob(t, "testdata/explain/*.txtar") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			files := read(t, path)
			p := policy.Compile(rules(t, files["rules.toml"]), func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
			var got strings.Builder
			for _, c := range cases(t, files["cases.toml"]) {
				req, err := c.Request(isDirectory)
				if err != nil {
					t.Fatal(err)
				}
				got.WriteString(p.Explain(req).String() + "\n")
			}
			if diff := cmp.Diff(files["want"], got.String()); diff != "" {
				t.Errorf("explain (-want +got)\n%s\n%s", diff, got.String())
			}
		})
	}
}

// TestFaults compares the faults of broken rules with the golden text in each
// file, and checks that such a policy grants nothing.
func TestFaults(t *testing.T) {
	for _, path := range glob(t, "testdata/faults/*.txtar") {
		t.Run(filepath.Base(path), func(t *testing.T) {
			files := read(t, path)
			var got strings.Builder
			p := policy.Compile(rules(t, files["rules.toml"]), func(key, problem string) { got.WriteString(key + ": " + problem + "\n") })
			if diff := cmp.Diff(files["want"], got.String()); diff != "" {
				t.Errorf("Compile (-want +got)\n%s\n%s", diff, got.String())
			}
			everything := policy.Request{User: "u", Groups: []string{"authenticated"}, Scopes: []registry.Scope{{Type: "repository", Name: "a", Actions: []string{"*"}}}}
			if d := p.Decide(everything); !cmp.Equal(d, policy.Decision{}) {
				t.Errorf("Decide = %v after faults, want nothing", d)
			}
		})
	}
}

// isDirectory reports whether a provider ignores case: in the files that is
// "directory".
func isDirectory(provider string) bool { return provider == "directory" }

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	return paths
}

func read(t *testing.T, path string) map[string]string {
	t.Helper()
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range archive.Files {
		files[f.Name] = string(f.Data)
	}
	return files
}

func rules(t *testing.T, text string) []policy.Rule {
	t.Helper()
	var file struct {
		Rule []policy.Rule `toml:"rule"`
	}
	decode(t, text, &file)
	return file.Rule
}

func cases(t *testing.T, text string) []policy.Case {
	t.Helper()
	var file struct {
		Case []policy.Case `toml:"case"`
	}
	decode(t, text, &file)
	return file.Case
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := toml.NewDecoder(strings.NewReader(text)).DisallowUnknownFields().Decode(into); err != nil {
		t.Fatal(err)
	}
}
