package packaging

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLintian: the Debian packages of both architectures have no error and no warning but
// those in lintian-overrides, each with its reason.
func TestLintian(t *testing.T) {
	t.Parallel()
	need(t, "nfpm", "lintian")
	command(t, "lintian", "--allow-root", "--fail-on", "error,warning", first.deb(t), first.file(t, "shorepass_%s_arm64.deb"))
}

// TestArchitectures: each package has the binary of its architecture.
func TestArchitectures(t *testing.T) {
	t.Parallel()
	need(t, "nfpm", "dpkg-deb", "rpm")
	for arch, machine := range map[string]string{"amd64": "x86_64", "arm64": "aarch64"} {
		deb, rpm := first.file(t, "shorepass_%s_"+arch+".deb"), first.file(t, "shorepass-%s."+arch+".rpm")
		if got := strings.TrimSpace(command(t, "dpkg-deb", "--field", deb, "Architecture")); got != arch {
			t.Errorf("%s is of %s", deb, got)
		}
		if got := command(t, "rpm", "-qp", "--queryformat", "%{ARCH}", rpm); got != machine {
			t.Errorf("%s is of %s", rpm, got)
		}
		dir := t.TempDir()
		command(t, "dpkg-deb", "--extract", deb, dir)
		if got := command(t, "go", "version", "-m", filepath.Join(dir, "usr/bin/shorepass")); !strings.Contains(got, "GOARCH="+arch) {
			t.Errorf("%s has another binary:\n%s", deb, got)
		}
	}
}

// TestPages: the package has every page of docs and every file beside them, so that no link
// from one to another is broken there.
func TestPages(t *testing.T) {
	t.Parallel()
	need(t, "nfpm", "dpkg-deb")
	root := t.TempDir()
	command(t, "dpkg-deb", "--extract", first.deb(t), root)
	docs := filepath.Join(top, "docs")
	err := filepath.WalkDir(docs, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(docs, path)
		if err != nil {
			return err
		}
		_, err = os.Stat(filepath.Join(root, "usr/share/doc/shorepass", name))
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestHardening: systemd rates the exposure of the unit at 1.5 of 10 or less.
func TestHardening(t *testing.T) {
	t.Parallel()
	need(t, "nfpm", "dpkg-deb", "systemd-analyze")
	root := t.TempDir()
	command(t, "dpkg-deb", "--extract", first.deb(t), root)
	unit := filepath.Join(root, "usr/lib/systemd/system/shorepass.service")
	if out := command(t, "systemd-analyze", "security", "--offline=true", "--threshold=15", unit); !strings.Contains(out, "1.2 OK") {
		t.Errorf("installing.md says 1.2, and systemd-analyze\n%s", out)
	}
}

// TestManualPages: man reads each page without a warning, and shows what help shows.
func TestManualPages(t *testing.T) {
	t.Parallel()
	need(t, "nfpm", "dpkg-deb", "man")
	root := t.TempDir()
	command(t, "dpkg-deb", "--extract", first.deb(t), root)
	pages, err := filepath.Glob(filepath.Join(root, "usr/share/man/man1/shorepass*.1.gz"))
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	for _, page := range pages {
		man := exec.Command("man", "--local-file", "--warnings", page)
		man.Env = append(os.Environ(), "MANWIDTH=100", "LC_ALL=C.UTF-8", "MAN_KEEP_STDERR=1")
		out, err := man.CombinedOutput()
		if err != nil || strings.Contains(string(out), "warning:") {
			t.Errorf("%s: %v\n%.600s", page, err, out)
		}
		if filepath.Base(page) == "shorepass-sessions-revoke.1.gz" {
			for _, want := range []string{"shorepass-sessions-revoke - ", "--older-than duration\n", "shorepass sessions revoke --user alice"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("%s lacks %q:\n%s", page, want, out)
				}
			}
		}
	}
}

// TestLicences: the package repeats the licence of what is linked into the binary.
func TestLicences(t *testing.T) {
	t.Parallel()
	need(t, "nfpm", "dpkg-deb")
	root := t.TempDir()
	command(t, "dpkg-deb", "--extract", first.deb(t), root)
	licences := command(t, "gzip", "-dc", filepath.Join(root, "usr/share/doc/shorepass/licences.gz"))
	for _, want := range []string{"the Go standard library, go1.", "github.com/go-ldap/ldap/v3 v3.", "Redistribution and use in source and binary forms", "Apache License"} {
		if !strings.Contains(licences, want) {
			t.Errorf("the licences lack %q", want)
		}
	}
}
