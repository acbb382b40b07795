// Package chart tests the Helm chart of shorepass: it is rendered by helm over a matrix
// of values, each document is decoded strictly into the types of its API, and the
// configuration in it is loaded by shorepass itself.
package chart

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

var update = flag.Bool("update", false, "write the golden file and the table of values in the README")

const (
	sqliteExample   = "shorepass/examples/sqlite.yaml"
	postgresExample = "shorepass/examples/postgres.yaml"
)

// examples are the values files that the chart comes with.
var examples = []string{sqliteExample, postgresExample}

// helm runs helm and returns its standard output. The error has its standard error.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if _, err := exec.LookPath("helm"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("helm is missing: run e2e/install")
		}
		t.Skip("helm is missing: run e2e/install")
	}
	cmd := exec.CommandContext(t.Context(), "helm", args...)
	cmd.Env = append(os.Environ(), "SOURCE_DATE_EPOCH=1")
	out, err := cmd.Output()
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("helm %s: %s\n%s", args[0], failed.Stderr, out)
	}
	return string(out), err
}

// render returns the documents of the chart with these values as helm renders them.
func render(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return helm(t, append([]string{"template", "registry-auth", "shorepass", "--namespace", "registry"}, args...)...)
}

// mustRender is render for values that the chart must take.
func mustRender(t *testing.T, args ...string) string {
	t.Helper()
	out, err := render(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// binaryDir is the folder of the program under test. TestMain makes it.
var binaryDir string

// buildShorepass builds the program once.
var buildShorepass = sync.OnceValues(func() (string, error) {
	binary := filepath.Join(binaryDir, "shorepass")
	cmd := exec.Command("go", "build", "-o", binary, "./cmd/shorepass")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build shorepass: %w\n%s", err, out)
	}
	return binary, nil
})

// shorepass runs a subcommand in a folder and returns all that it prints.
func shorepass(t *testing.T, folder string, args ...string) (string, error) {
	t.Helper()
	binary, err := buildShorepass()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if binaryDir, err = os.MkdirTemp("", "shorepass-chart-"); err != nil {
		fmt.Fprintf(os.Stderr, "make the folder of the binary: %v\n", err)
		return 1
	}
	defer os.RemoveAll(binaryDir)
	return m.Run()
}

func TestLint(t *testing.T) {
	t.Parallel()
	for _, example := range examples {
		if out, err := helm(t, "lint", "--strict", "shorepass", "-f", example); err != nil {
			t.Errorf("%s: %v\n%s", example, err, out)
		}
	}
}

// TestGolden shows one whole installation as it is sent to the cluster, without the alerts.
func TestGolden(t *testing.T) {
	t.Parallel()
	compareGolden(t, "testdata/postgres.golden.yaml", mustRender(t, "-f", postgresExample, "--set", "prometheusRule.enabled=false"))
}

func compareGolden(t *testing.T, name, got string) {
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
	if got != string(want) {
		t.Errorf("it differs from %s; see the difference after: go test ./chart -update", name)
	}
}

// TestPackage packs the chart twice as "make chart" does: with SOURCE_DATE_EPOCH both
// files are equal. A pod has the image of that version; neither a tag nor a label can
// have a "+".
func TestPackage(t *testing.T) {
	t.Parallel()
	var files [2]string
	var contents [2][]byte
	for i := range files {
		folder := t.TempDir()
		if _, err := helm(t, "package", "shorepass", "--version", "1.2.0+dirty", "--app-version", "v1.2.0+dirty", "--destination", folder); err != nil {
			t.Fatal(err)
		}
		files[i] = filepath.Join(folder, "shorepass-1.2.0+dirty.tgz")
		var err error
		if contents[i], err = os.ReadFile(files[i]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(contents[0], contents[1]) {
		t.Error("two packages of the same chart differ")
	}
	out, err := helm(t, "template", "registry-auth", files[0], "-f", sqliteExample)
	if err != nil {
		t.Fatal(err)
	}
	o := decode(t, out)
	if _, container := o.serverPod(t); container.Image != "registry.corp.example/tools/shorepass:v1.2.0_dirty" {
		t.Errorf("the image is %s", container.Image)
	}
	for name, value := range o["Service"].(metav1.Object).GetLabels() {
		if problems := validation.IsValidLabelValue(value); len(problems) > 0 {
			t.Errorf("the label %s is %q: %v", name, value, problems)
		}
	}
}

// TestNumberAsReleaseName: a label's value is text.
func TestNumberAsReleaseName(t *testing.T) {
	t.Parallel()
	out, err := helm(t, "template", "123", "shorepass", "-f", postgresExample)
	if err != nil {
		t.Fatal(err)
	}
	decode(t, out)
}

// notes returns what helm prints after an installation.
func notes(t *testing.T, args ...string) string {
	t.Helper()
	out, err := helm(t, append([]string{"install", "registry-auth", "shorepass", "--namespace", "registry", "--dry-run=client"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(out, "\nNOTES:\n")
	return text
}
