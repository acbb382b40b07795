package dockerauth

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"shorepass/config"
)

var update = flag.Bool("update", false, "write the wanted results of testdata/examples")

// TestExamples imports configurations with the features and the traps of docker_auth's
// own examples. Each file of testdata/examples has the input, the findings, and the
// configuration as far as its rules, unless it is refused. What an ACL becomes is the
// matter of other tests.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("testdata/examples/*.txtar")
	if err != nil || len(files) < 9 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			in := exampleInput(archive)
			text, findings, err := Import(in, testKinds)
			if err != nil {
				t.Fatal(err)
			}
			got := &txtar.Archive{Comment: archive.Comment}
			for _, f := range archive.Files {
				if f.Name != "findings" && f.Name != "shorepass.toml" {
					got.Files = append(got.Files, f)
				}
			}
			if isRefused(findings) {
				findings = slices.DeleteFunc(findings, func(f Finding) bool { return f.Severity != Refused })
			}
			got.Files = append(got.Files, txtar.File{Name: "findings", Data: []byte(formatFindings(findings))})
			if text != "" {
				tables, _, _ := strings.Cut(text, "\n# The acl. ")
				got.Files = append(got.Files, txtar.File{Name: "shorepass.toml", Data: []byte(tables)})
			}
			formatted := txtar.Format(got)
			if *update {
				if err := os.WriteFile(name, formatted, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(txtar.Format(archive)), string(formatted)); diff != "" && !*update {
				t.Errorf("%s; run with -update if it is right (-want +got):\n%s", name, diff)
			}
		})
	}
}

// exampleInput returns what an archive imports.
func exampleInput(archive *txtar.Archive) (in Input) {
	for _, f := range archive.Files {
		source := Source{f.Name, f.Data}
		switch f.Name {
		case "auth_config.yml":
			in.Source = source
		case "acl.json":
			in.ACL = &source
		case "users.json":
			in.Users = &source
		}
	}
	return in
}

func formatFindings(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "%s%s: %s\n", f.place(), f.Severity, f.Text)
	}
	return b.String()
}

// TestRecordedReports: what must be said of the recorded configurations is said, and what
// must be refused is refused, each by its line.
func TestRecordedReports(t *testing.T) {
	for name, want := range map[string]struct {
		refused bool
		lines   []int // but for those that are about the ACL
	}{
		"01-users.yml":              {false, []int{19, 20, 21}},
		"13-duplicates-anchors.yml": {false, []int{4, 11, 18, 21, 29, 30, 33, 37, 38, 44}},
		"14-unknown-keys.yml":       {false, []int{2, 5, 6, 10, 14, 18, 19, 20, 22, 28, 29, 32, 33, 36, 37}},
		"15-unknown-match-key.yml":  {true, []int{17, 19}},
		"16-no-password.yml":        {true, []int{11, 12, 13, 16}},
		"19-chart-values.yaml":      {false, []int{16, 17, 18}},
	} {
		text, err := os.ReadFile("testdata/recorded/" + name)
		if err != nil {
			t.Fatal(err)
		}
		configuration, findings, err := Import(Input{Source: Source{name, text}}, testKinds)
		if err != nil || (configuration == "") != want.refused {
			t.Errorf("%s: refused = %t, %v, want %t", name, configuration == "", err, want.refused)
		}
		for _, line := range want.lines {
			if !slices.ContainsFunc(findings, func(f Finding) bool { return f.Line == line && (!want.refused || f.Severity == Refused) }) {
				t.Errorf("%s: nothing is said of line %d", name, line)
			}
		}
	}
}

// TestRecordedLoad: every recorded configuration that need not be refused is one of ours.
func TestRecordedLoad(t *testing.T) {
	files, _ := filepath.Glob("testdata/recorded/*.y*ml")
	if len(files) != 19 {
		t.Fatalf("%d recorded configurations, want 19", len(files))
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		refused := strings.Contains(name, "/15-") || strings.Contains(name, "/16-")
		text, findings, err := Import(Input{Source: Source{filepath.Base(name), data}, Services: []string{"registry.example"}}, testKinds)
		if err != nil || (text == "") != refused {
			t.Errorf("%s: %v, %s", name, err, formatFindings(findings))
		}
	}
}

// FuzzImport: no text makes Import panic. The result is a configuration that loads, or a
// refusal, and always the same; what it prints has nothing that a terminal interprets.
func FuzzImport(f *testing.F) {
	for _, pattern := range []string{"testdata/examples/*.txtar", "testdata/recorded/*.y*ml"} {
		files, _ := filepath.Glob(pattern)
		for _, name := range files {
			data, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			if archive := txtar.Parse(data); len(archive.Files) > 0 {
				data = archive.Files[0].Data
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		in := Input{Source: Source{"auth_config.yml", data}, Services: []string{"registry.example"}}
		text, findings, err := Import(in, testKinds)
		if err != nil {
			return
		}
		if (text == "") != isRefused(findings) {
			t.Errorf("Import returned a text: %t, and a refusal: %t", text != "", isRefused(findings))
		}
		if _, err := config.Parse("fuzz.toml", []byte(text), testKinds, config.OnlySecrets()); text != "" && err != nil {
			t.Errorf("Import returned a configuration that is none: %v", err)
		}
		unsafe := func(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }
		if strings.ContainsFunc(text, unsafe) {
			t.Errorf("the configuration has a control character: %q", text)
		}
		for _, finding := range findings {
			if finding.Text == "" || finding.Line < 0 || strings.ContainsFunc(finding.Text, func(r rune) bool { return unsafe(r) || r == '\n' }) {
				t.Errorf("finding %+v", finding)
			}
		}
		if again, _, _ := Import(in, testKinds); again != text {
			t.Error("the second result differs from the first")
		}
	})
}
