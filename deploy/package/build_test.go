package packaging

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// top is the top of the sources.
var top = func() string {
	path, err := filepath.Abs("../..")
	if err != nil {
		panic(err)
	}
	return path
}()

// need skips a test that needs root and these programs if one is missing; in CI it fails.
func need(t *testing.T, programs ...string) {
	t.Helper()
	var missing []string
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			missing = append(missing, program)
		}
	}
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	if len(missing) == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("missing: %v; run e2e/install", missing)
	}
	t.Skipf("missing: %v; run e2e/install", missing)
}

// command runs a program for ten minutes at most, and returns what it prints.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// release is packages of one version, which are built once.
type release struct {
	version string
	archs   []string
	overlay map[string]string // of the sources: replacements in a file, by its path and the old text
	folder  string
	once    sync.Once
	failed  error
}

var (
	first  = release{version: "1.2.0", archs: []string{"amd64", "arm64"}}
	second = release{version: "1.3.0", archs: []string{"amd64"}}
	// strict is a version that refuses a configuration with the key server.contact.
	strict = release{version: "2.0.0", archs: []string{"amd64"}, overlay: map[string]string{
		"server/config.go:toml:\"contact\"": "toml:\"ask\"",
	}}
)

func TestMain(m *testing.M) {
	os.Setenv("PATH", filepath.Join(top, ".tools/bin")+":"+os.Getenv("PATH")+":/usr/sbin:/sbin")
	status := m.Run()
	for _, r := range []*release{&first, &second, &strict} {
		os.RemoveAll(r.folder)
	}
	os.Exit(status)
}

// deb and rpm return the path of a package.
func (r *release) deb(t *testing.T) string { return r.file(t, "shorepass_%s_amd64.deb") }
func (r *release) rpm(t *testing.T) string { return r.file(t, "shorepass-%s.amd64.rpm") }

func (r *release) file(t *testing.T, format string) string {
	t.Helper()
	r.once.Do(func() {
		if r.folder, r.failed = os.MkdirTemp("", "packages"); r.failed == nil {
			r.failed = r.build(t, r.folder)
		}
	})
	if r.failed != nil {
		t.Fatal(r.failed)
	}
	return filepath.Join(r.folder, fmt.Sprintf(format, r.version))
}

func (r *release) build(t *testing.T, folder string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	build := exec.CommandContext(ctx, "./build", append([]string{folder}, r.archs...)...)
	build.Env = append(os.Environ(), "VERSION=v"+r.version, "SOURCE_DATE_EPOCH=1767225600")
	if r.overlay != nil {
		overlay, err := r.writeOverlay(t)
		if err != nil {
			return err
		}
		build.Env = append(build.Env, "GOFLAGS=-overlay="+overlay)
	}
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", r.version, err, out)
	}
	return nil
}

// writeOverlay writes the changed sources, and a file for "go build -overlay".
func (r *release) writeOverlay(t *testing.T) (string, error) {
	dir, replace := t.TempDir(), map[string]string{}
	for at, text := range r.overlay {
		name, old, _ := strings.Cut(at, ":")
		source, err := os.ReadFile(filepath.Join(top, name))
		if err != nil {
			return "", err
		}
		if strings.Count(string(source), old) != 1 {
			return "", fmt.Errorf("%s does not have %q once", name, old)
		}
		changed := filepath.Join(dir, filepath.Base(name))
		if err := os.WriteFile(changed, []byte(strings.Replace(string(source), old, text, 1)), 0o600); err != nil {
			return "", err
		}
		replace[filepath.Join(top, name)] = changed
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, overlay, 0o600)
}

// TestReproducible: the same sources give the same packages, byte for byte.
func TestReproducible(t *testing.T) {
	t.Parallel()
	need(t, "nfpm")
	again := release{version: first.version, archs: []string{"amd64"}}
	t.Cleanup(func() { os.RemoveAll(again.folder) })
	for name, files := range map[string][2]string{"deb": {first.deb(t), again.deb(t)}, "rpm": {first.rpm(t), again.rpm(t)}} {
		if a, b := checksum(t, files[0]), checksum(t, files[1]); a != b {
			t.Errorf("two builds of the %s differ: %x and %x", name, a, b)
		}
	}
}

func checksum(t *testing.T, name string) [sha256.Size]byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(data)
}
