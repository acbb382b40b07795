package release

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRelease: make release makes these files, with sums that sha256sum accepts, and each
// that the workflow names. The binary, the image and the chart know their version.
func TestRelease(t *testing.T) {
	t.Setenv("PATH", absolute(t, "../../.tools/bin")+":"+os.Getenv("PATH"))
	need(t, "helm", "nfpm", "skopeo")
	folder, version := makeRelease(t)
	chart := "shorepass-" + version[1:] + ".tgz"
	want := []string{
		"SHA256SUMS",
		chart,
		"shorepass-darwin-amd64", "shorepass-darwin-amd64.spdx.json",
		"shorepass-darwin-arm64", "shorepass-darwin-arm64.spdx.json",
		"shorepass-image.tar",
		"shorepass-linux-amd64", "shorepass-linux-amd64.spdx.json",
		"shorepass-linux-arm64", "shorepass-linux-arm64.spdx.json",
		"shorepass-windows-amd64.exe", "shorepass-windows-amd64.exe.spdx.json",
		"shorepass-windows-arm64.exe", "shorepass-windows-arm64.exe.spdx.json",
	}
	all := names(t, folder)
	packages := slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return !strings.HasSuffix(name, ".deb") && !strings.HasSuffix(name, ".rpm")
	})
	if len(packages) != 4 {
		t.Errorf("bin/release has the packages %v, want a .deb and a .rpm for amd64 and arm64", packages)
	}
	want = append(want, packages...)
	slices.Sort(want)
	if !slices.Equal(all, want) {
		t.Errorf("bin/release has\n%s\nwant\n%s", strings.Join(all, "\n"), strings.Join(want, "\n"))
	}
	out, err := in(folder, "sha256sum", "--check", "--strict", "SHA256SUMS")
	if err != nil || strings.Count(out, ": OK\n") != len(all)-1 {
		t.Errorf("sha256sum --check: %v\n%s", err, out)
	}
	_, text := readWorkflow(t, "release.yml")
	for _, pattern := range regexp.MustCompile(`\bshorepass-[\w.*\[\]-]+\.\w+`).FindAllString(text, -1) {
		found, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(found) != 1 {
			t.Errorf("the workflow publishes %s, which is %d files of make release: %v", pattern, len(found), err)
		}
	}
	followPage(t, folder, version)
	out, err = in(folder, "skopeo", "inspect", "--format", `{{index .Labels "org.opencontainers.image.version"}}`, "oci-archive:shorepass-image.tar")
	if err != nil || strings.TrimSpace(out) != version {
		t.Errorf("skopeo inspect of the image: %v, version %q, want %s", err, out, version)
	}
	out, err = in(folder, "helm", "show", "chart", chart)
	if err != nil || !strings.Contains(out, "\nappVersion: "+strings.ReplaceAll(version, "+", "_")+"\n") || !strings.Contains(out, "\nversion: "+version[1:]+"\n") {
		t.Errorf("helm show chart: %v\n%s\nwant the version %s", err, out, version)
	}
}

// makeRelease makes a release of the checkout, and returns its folder and its version. It
// begins with copies of what make cross has linked, so that Go need not link them again.
func makeRelease(t *testing.T) (folder, version string) {
	t.Helper()
	bin := t.TempDir()
	linked, err := filepath.Glob("../../bin/shorepass-*")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range linked {
		if out, err := in(".", "cp", "--preserve", name, bin); err != nil {
			t.Fatalf("cp: %v\n%s", err, out)
		}
	}
	version, err = in(".", "../version")
	if version = strings.TrimSpace(version); err != nil || version == "" {
		t.Fatalf("deploy/version: %v, %q", err, version)
	}
	if out, err := in(".", "make", "-s", "-C", "../..", "release", "BIN="+bin, "VERSION="+version); err != nil {
		t.Fatalf("make release: %v\n%s", err, out)
	}
	return filepath.Join(bin, "release"), version
}

// followPage runs the commands with which the page installs a binary, and compares the
// size that it names.
func followPage(t *testing.T, folder, version string) {
	t.Helper()
	const page = "../../docs/installing.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?m)^ {4}sha256sum .*\n( {4}.*\n)+`).FindString(string(text))
	to := t.TempDir()
	commands := strings.NewReplacer("sudo ", "", "/usr/local/bin", to, "linux-amd64", "linux-"+runtime.GOARCH).Replace(block)
	out, err := in(folder, "sh", "-euc", "PATH="+to+":$PATH\n"+commands)
	if err != nil || !strings.Contains(out, "shorepass "+version+" ") {
		t.Errorf("the commands of %s: %v\n%s", page, err, out)
	}
	info, err := os.Stat(filepath.Join(folder, "shorepass-linux-amd64"))
	if err != nil {
		t.Fatal(err)
	}
	size := regexp.MustCompile(`(?m)^(\d+) MB, of which`).FindStringSubmatch(string(text))
	if size == nil {
		t.Fatalf("%s does not say what the binary weighs", page)
	}
	if said, _ := strconv.Atoi(size[1]); math.Abs(float64(said)-float64(info.Size())/1e6) > 1.5 {
		t.Errorf("%s says that the binary has %d MB; it has %d bytes", page, said, info.Size())
	}
}

// in runs a program in a folder, and returns what it prints.
func in(folder, name string, args ...string) (string, error) {
	program := exec.Command(name, args...)
	program.Dir = folder
	out, err := program.CombinedOutput()
	return string(out), err
}

// need skips a test whose program is missing; in CI the test fails.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: run e2e/install", program)
		}
		t.Skipf("%s is missing: run e2e/install", program)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return full
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}
