package main

import (
	"archive/tar"
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

const testVersion, testRevision = "v1.2.3+dirty", "0123456789abcdef0123456789abcdef01234567"

// bin is the folder of the binaries and the image that "make image" made for the tests.
var bin string

func TestMain(m *testing.M) { os.Exit(runTests(m)) }

func runTests(m *testing.M) int {
	folder, err := os.MkdirTemp("", "shorepass-image-")
	if err != nil {
		log.Print(err)
		return 1
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o755); err != nil { // the image's user enters it
		log.Print(err)
		return 1
	}
	bin = folder
	cmd := exec.Command("make", "-s", "-C", "../..", "image", "BIN="+bin, "VERSION="+testVersion, "REVISION="+testRevision, "SOURCE_DATE_EPOCH=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		log.Printf("make image: %v\n%s", err, out)
		return 1
	}
	os.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	return m.Run()
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

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// madeIndex returns the one index in a layout.
func madeIndex(t *testing.T, folder string) (v1.Descriptor, v1.ImageIndex) {
	t.Helper()
	index, err := layout.ImageIndexFromPath(folder)
	must(t, err)
	manifest, err := index.IndexManifest()
	must(t, err)
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the layout has %d manifests, want the index alone", len(manifest.Manifests))
	}
	images, err := index.ImageIndex(manifest.Manifests[0].Digest)
	must(t, err)
	return manifest.Manifests[0], images
}

// madeImage returns the image of "make image" for a processor.
func madeImage(t *testing.T, architecture string) v1.Image {
	t.Helper()
	_, index := madeIndex(t, filepath.Join(bin, "image"))
	manifest, err := index.IndexManifest()
	must(t, err)
	for _, d := range manifest.Manifests {
		if d.Platform.OS == "linux" && d.Platform.Architecture == architecture {
			image, err := index.Image(d.Digest)
			must(t, err)
			return image
		}
	}
	t.Fatalf("the index has no image for linux/%s", architecture)
	return nil
}

// eachFile calls do with each entry of the image's layers.
func eachFile(t *testing.T, image v1.Image, do func(*tar.Header, []byte)) {
	t.Helper()
	layers, err := image.Layers()
	must(t, err)
	for _, layer := range layers {
		content, err := layer.Uncompressed()
		must(t, err)
		defer content.Close()
		for r := tar.NewReader(content); ; {
			header, err := r.Next()
			if err == io.EOF {
				break
			}
			must(t, err)
			data, err := io.ReadAll(r)
			must(t, err)
			do(header, data)
		}
	}
}

// TestSameDigest: two builds of the same binaries give the same index, under the tag.
func TestSameDigest(t *testing.T) {
	t.Parallel()
	again := filepath.Join(t.TempDir(), "image")
	must(t, run(build{version: testVersion, revision: testRevision}, again,
		[]string{filepath.Join(bin, "shorepass-linux-amd64"), filepath.Join(bin, "shorepass-linux-arm64")}))
	first, _ := madeIndex(t, filepath.Join(bin, "image"))
	second, _ := madeIndex(t, again)
	if first.Digest != second.Digest {
		t.Errorf("built twice: %s and %s, want the same", first.Digest, second.Digest)
	}
	if got, want := first.Annotations["org.opencontainers.image.ref.name"], "v1.2.3_dirty"; got != want {
		t.Errorf("the tag is %q, want %q: it cannot contain +", got, want)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	for _, architecture := range []string{"amd64", "arm64"} {
		var got []string
		eachFile(t, madeImage(t, architecture), func(h *tar.Header, _ []byte) {
			got = append(got, fmt.Sprintf("%s %d:%d %s", h.FileInfo().Mode(), h.Uid, h.Gid, h.Name))
			if h.ModTime.Unix() != 1700000000 {
				t.Errorf("%s is of %v, want the time of the commit", h.Name, h.ModTime)
			}
		})
		want := []string{
			"drwxr-xr-x 0:0 etc/",
			"-rw-r--r-- 0:0 etc/group",
			"-rw-r--r-- 0:0 etc/passwd",
			"drwxr-xr-x 0:0 etc/shorepass/",
			"drwxr-xr-x 0:0 etc/ssl/",
			"drwxr-xr-x 0:0 etc/ssl/certs/",
			"-rw-r--r-- 0:0 etc/ssl/certs/ca-certificates.crt",
			"drwxr-xr-x 0:0 usr/",
			"drwxr-xr-x 0:0 usr/bin/",
			"-rwxr-xr-x 0:0 usr/bin/shorepass",
			"drwxr-xr-x 0:0 var/",
			"drwxr-xr-x 0:0 var/lib/",
			"drwxr-xr-x 0:0 var/lib/db/",
			"drwxr-xr-x 0:0 var/lib/db/sbom/",
			"-rw-r--r-- 0:0 var/lib/db/sbom/shorepass.spdx.json",
			"drwx------ 65532:65532 var/lib/shorepass/",
		}
		if !slices.Equal(got, want) {
			t.Errorf("linux/%s has\n%s\nwant\n%s", architecture, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestBillOfMaterials: it names every module that "go version -m" shows for the binary,
// the standard library and the certificate authorities, each with an identifier of its own.
func TestBillOfMaterials(t *testing.T) {
	t.Parallel()
	var document struct {
		SPDXVersion string `json:"spdxVersion"`
		Packages    []struct {
			SPDXID, Name string
			Version      string `json:"versionInfo"`
			ExternalRefs []struct {
				Locator string `json:"referenceLocator"`
			}
		}
		Relationships []struct{ RelatedSPDXElement string }
	}
	eachFile(t, madeImage(t, "arm64"), func(h *tar.Header, data []byte) {
		if strings.HasSuffix(h.Name, ".spdx.json") {
			must(t, json.Unmarshal(data, &document))
		}
	})
	info, err := buildinfo.ReadFile(filepath.Join(bin, "shorepass-linux-arm64"))
	must(t, err)
	want := []string{"shorepass@" + testVersion, "stdlib@" + strings.TrimPrefix(info.GoVersion, "go")}
	for _, m := range info.Deps {
		want = append(want, m.Path+"@"+m.Version)
	}
	var got, ids []string
	for _, p := range document.Packages {
		got, ids = append(got, p.Name+"@"+p.Version), append(ids, p.SPDXID)
		if purl := "pkg:golang/" + p.Name + "@" + strings.ReplaceAll(p.Version, "+", "%2B"); len(p.ExternalRefs) != 1 || p.ExternalRefs[0].Locator != purl {
			t.Errorf("%s has the references %v, want %s", p.Name, p.ExternalRefs, purl)
		}
	}
	if document.SPDXVersion != "SPDX-2.3" || len(got) != len(want)+1 || !slices.Equal(got[:len(want)], want) || !strings.HasPrefix(got[len(want)], rootsModule+"@v0.0.0-") {
		t.Errorf("%s of %v\nwant SPDX-2.3 of %v and %s", document.SPDXVersion, got, want, rootsModule)
	}
	for _, r := range document.Relationships {
		if !slices.Contains(ids, r.RelatedSPDXElement) {
			t.Errorf("a relationship leads to %s, which is no package", r.RelatedSPDXElement)
		}
	}
	slices.Sort(ids)
	if unique := slices.Compact(slices.Clone(ids)); len(unique) != len(ids) {
		t.Errorf("%d packages have %d identifiers", len(ids), len(unique))
	}
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	linux := filepath.Join(bin, "shorepass-linux-amd64")
	text := filepath.Join(t.TempDir(), "text")
	must(t, os.WriteFile(text, []byte("text"), 0o644))
	darwin := filepath.Join(t.TempDir(), "darwin")
	hello := filepath.Join(t.TempDir(), "main.go")
	must(t, os.WriteFile(hello, []byte("package main\nfunc main() {}\n"), 0o644))
	compile := exec.Command("go", "build", "-o", darwin, hello)
	compile.Env = append(os.Environ(), "GOOS=darwin", "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("compile for darwin: %v\n%s", err, out)
	}
	for _, tt := range []struct {
		name, version, out string
		binaries           []string
		want               string
	}{
		{"no version", "", "", []string{linux}, "write make image VERSION=v1.2.0"},
		{"no binary", "v1", "", nil, "name a binary for each platform"},
		{"a folder that exists", "v1", t.TempDir(), []string{linux}, "file exists"},
		{"a binary for macOS", "v1", "", []string{darwin}, "is for darwin; an image needs a binary for linux"},
		{"a text", "v1", "", []string{text}, "read the build information of " + text},
	} {
		if tt.out == "" {
			tt.out = filepath.Join(t.TempDir(), "image")
		}
		if err := run(build{version: tt.version}, tt.out, tt.binaries); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

// TestSameBinary: a copy of the source in another folder compiles to the same bytes.
func TestSameBinary(t *testing.T) {
	t.Parallel()
	copied := t.TempDir()
	files, err := exec.Command("git", "-C", "../..", "ls-files", "-z", "--cached", "--others", "--exclude-standard").Output()
	must(t, err)
	for name := range strings.SplitSeq(strings.Trim(string(files), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join("../..", name))
		if os.IsNotExist(err) {
			continue // deleted, and not committed
		}
		must(t, err)
		must(t, os.MkdirAll(filepath.Join(copied, filepath.Dir(name)), 0o755))
		must(t, os.WriteFile(filepath.Join(copied, name), data, 0o755))
	}
	other := filepath.Join(copied, "elsewhere")
	out, err := exec.Command("make", "-s", "-C", copied, "cross-linux-amd64", "BIN="+other, "VERSION="+testVersion, "REVISION="+testRevision).CombinedOutput()
	if err != nil {
		t.Fatalf("make cross-linux-amd64 of the copy: %v\n%s", err, out)
	}
	first, err := os.ReadFile(filepath.Join(bin, "shorepass-linux-amd64"))
	must(t, err)
	second, err := os.ReadFile(filepath.Join(other, "shorepass-linux-amd64"))
	must(t, err)
	if !bytes.Equal(first, second) {
		t.Errorf("the source compiles to %d bytes here and to %d others in another folder", len(first), len(second))
	}
}
