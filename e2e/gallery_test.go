package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"shorepass/e2e/browser"
)

// TestGallery inspects every page with the data that is hardest on its layout: long names,
// full lists, a fault in every field. It is in German, whose words are longer; stories
// inspect pages in English.
func TestGallery(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	render := exec.Command("go", "test", "-count=1", "-run", "^TestSamples$", "./server/pages")
	render.Dir, render.Env = "..", append(os.Environ(), "SAMPLES="+folder)
	if out, err := render.CombinedOutput(); err != nil {
		t.Fatalf("render the samples: %v\n%s", err, out)
	}
	site := httptest.NewServer(http.FileServer(http.Dir(folder)))
	t.Cleanup(site.Close)
	samples, err := filepath.Glob(filepath.Join(folder, "*-de.html"))
	if err != nil || len(samples) == 0 {
		t.Fatalf("there are no samples: %v", err)
	}
	p := browser.Start(t, browser.Options{}).Open(t)
	for _, sample := range samples {
		name := filepath.Base(sample)
		if name == "forward-de.html" {
			continue // the browser would leave it for the provider
		}
		p.Visit(site.URL + "/" + name)
		p.Inspect("sample-" + strings.TrimSuffix(name, "-de.html"))
	}

	// Without its script a page has no button that would do nothing.
	for _, on := range []bool{true, false} {
		p.Scripts(on)
		p.Visit(site.URL + "/onetime-de.html")
		if p.Has("Kopieren") != on {
			t.Errorf("with scripts %v, a button that copies: %v", on, !on)
		}
	}
}
