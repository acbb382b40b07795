package main

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestArchitecture compares docs/architecture.md with the tree: the diagram has exactly
// the imports of the code, the table has every package, and every test that this page or
// docs/providers.md names exists.
func TestArchitecture(t *testing.T) {
	data, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	imports := productionImports(t)

	drawn := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^  (\S+) --> (\S+)$`).FindAllStringSubmatch(page, -1) {
		from, _, _ := strings.Cut(m[1], "[")
		drawn[strings.Replace(from, "cmd", "cmd/shorepass", 1)+" --> "+m[2]] = true
	}
	actual := map[string]bool{"cmd/shorepass --> config": true} // it imports all packages; the diagram has one arrow
	for from, all := range imports {
		for _, to := range all {
			if from != "cmd/shorepass" && !strings.HasPrefix(to, "internal/") {
				actual[from+" --> "+to] = true
			}
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(actual)), slices.Sorted(maps.Keys(drawn))); diff != "" {
		t.Errorf("the diagram of docs/architecture.md differs from the imports (-imports +diagram):\n%s", diff)
	}
	for from := range imports {
		if !strings.Contains(page, "`"+from+"`") {
			t.Errorf("docs/architecture.md does not describe the package %s", from)
		}
	}

	tests := testNames(t)
	for _, name := range []string{"docs/architecture.md", "docs/providers.md"} {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w*)`").FindAllStringSubmatch(readPage(t, name), -1) {
			if !tests[m[1]] {
				t.Errorf("%s names %s, which does not exist", name, m[1])
			}
		}
	}
}

// productionImports returns for each package the packages of ours that it imports. It
// leaves out packages that only tests and benchmarks use.
func productionImports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}}: {{join .Imports " "}}`, "shorepass/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	imports := make(map[string][]string)
	for line := range strings.Lines(string(out)) {
		path, all, _ := strings.Cut(strings.TrimSpace(line), ": ")
		importer := strings.TrimPrefix(path, "shorepass/")
		if strings.HasSuffix(path, "test") || strings.Contains(path, "test/") || importer == "bench" {
			continue
		}
		imports[importer] = nil
		for imported := range strings.FieldsSeq(all) {
			if ours, ok := strings.CutPrefix(imported, "shorepass/"); ok {
				imports[importer] = append(imports[importer], ours)
			}
		}
	}
	return imports
}

// testNames returns the names of all tests and fuzz targets of both modules.
func testNames(t *testing.T) map[string]bool {
	t.Helper()
	function := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
	names := make(map[string]bool)
	err := filepath.WalkDir("../..", func(path string, _ os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range function.FindAllStringSubmatch(string(text), -1) {
			names[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
