package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestQuickstart walks docs/quickstart.md in a fresh Debian.
func TestQuickstart(t *testing.T) {
	t.Parallel()
	need(t, "nfpm")
	page, err := os.ReadFile(filepath.Join(top, "docs/quickstart.md"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWalk(t, map[string]string{"[Y/n]": "y", "assword": "correct horse"})
	w.give(t, first.deb(t))
	w.give(t, releaseImage(t))
	for _, b := range blocks(t, string(page)) {
		if strings.Contains(b.text, "shorepass check --registry") {
			w.m.until(t, "curl --silent --include https://registry.corp.example:5000/v2/ || true", " 401 ") // it has just been restarted
		}
		w.do(t, b)
	}
}

// releaseImage returns the image that a release has as one file, for the machine's own
// architecture.
func releaseImage(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	command(t, "dpkg-deb", "--extract", first.deb(t), filepath.Join(dir, "deb"))
	program, layout, archive := filepath.Join(dir, "shorepass-linux-amd64"), filepath.Join(dir, "image"), filepath.Join(dir, "shorepass-image.tar")
	if err := os.Rename(filepath.Join(dir, "deb/usr/bin/shorepass"), program); err != nil {
		t.Fatal(err)
	}
	command(t, "env", "SOURCE_DATE_EPOCH=1767225600", "go", "run", "../image", "-version", "v"+first.version, "-o", layout, program)
	command(t, "tar", "-C", layout, "-cf", archive, ".")
	return archive
}
