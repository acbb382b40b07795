package pages

import (
	"context"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// get serves a GET of a path.
func get(p *Pages, path string) *Response {
	return p.Serve(context.Background(), &Visit{Request: httptest.NewRequest("GET", path, nil), ID: "R1"})
}

// newPagesOf builds pages of a configuration.
func newPagesOf(t *testing.T, c Config) *Pages {
	t.Helper()
	p, err := New(Options{Origin: &url.URL{Scheme: "http", Host: "127.0.0.1:5001"}, Config: c.WithDefaults(), Contact: "the container team"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A page refers to files under the hash of their content. A page of a replica of another
// version gets them too, but may not keep them.
func TestAssets(t *testing.T) {
	p := newPagesOf(t, Config{})
	refs := regexp.MustCompile(`(?:src|href)="(/login/[^"]*)"`).FindAllStringSubmatch(string(get(p, "/nothing").Body), -1)
	if len(refs) != 4 {
		t.Fatalf("the page refers to %v, want the stylesheet, the script and twice the logo", refs)
	}
	hash := regexp.MustCompile(`-[0-9a-f]{16}\.`)
	for _, ref := range refs {
		got := get(p, ref[1])
		if got.Status != 200 || got.Header.Get("Cache-Control") != "public, max-age=31536000, immutable" || !p.Has(ref[1]) || len(got.Body) == 0 {
			t.Errorf("%s: status %d, %v", ref[1], got.Status, got.Header)
		}
		other := hash.ReplaceAllString(ref[1], "-0123456789abcdef.")
		if got := get(p, other); got.Status != 200 || got.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, %v", other, got.Status, got.Header)
		}
	}
	for _, path := range []string{"/login/style-", "/login/style-a/b.css", "/login/style.css"} {
		if got := get(p, path); got.Status != 404 {
			t.Errorf("%s: status %d", path, got.Status)
		}
	}
	if other := newPagesOf(t, Config{Color: "#ffd400"}); other.brand.Style == p.brand.Style || other.brand.Logo == p.brand.Logo {
		t.Error("another color has the path of the first one")
	}
}

// Small files: a sign-in on a slow line waits for them.
func TestAssetSizes(t *testing.T) {
	p := newPagesOf(t, Config{})
	for path, limit := range map[string]int{p.brand.Style: 12 << 10, p.brand.Script: 2 << 10, p.brand.Logo: 1 << 10} {
		if size := len(get(p, path).Body); size > limit {
			t.Errorf("%s has %d bytes, more than %d", path, size, limit)
		}
	}
}

func TestLogo(t *testing.T) {
	const png = "\x89PNG\r\n\x1a\n"
	for _, test := range []struct{ name, content, contentType, fault string }{
		{"png", png + "IHDR", "image/png", ""},
		{"svg", `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>`, "image/svg+xml", ""},
		{"svg of an editor", "<?xml version=\"1.0\"?>\n<!-- made by -->\n<!DOCTYPE svg>\n<s:svg xmlns:s=\"http://www.w3.org/2000/svg\"></s:svg>", "image/svg+xml", ""},
		{"svg without namespace", `<svg viewBox="0 0 1 1"/>`, "", "is neither PNG nor SVG"},
		{"html", `<html xmlns="http://www.w3.org/1999/xhtml"><svg xmlns="http://www.w3.org/2000/svg"/></html>`, "", "is neither PNG nor SVG"},
		{"jpeg", "\xff\xd8\xff\xe0", "", "is neither PNG nor SVG"},
		{"empty", "", "", "is neither PNG nor SVG"},
		{"large", png + strings.Repeat("x", maxLogo), "", "is larger than 32768 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "logo")
			if err := os.WriteFile(file, []byte(test.content), 0o644); err != nil {
				t.Fatal(err)
			}
			p, err := New(Options{Origin: &url.URL{Scheme: "http", Host: "127.0.0.1:5001"}, Config: Config{Logo: file}.WithDefaults()})
			if test.fault != "" {
				if err == nil || !strings.Contains(err.Error(), test.fault) || !strings.HasPrefix(err.Error(), "pages.logo: ") {
					t.Errorf("error %v, want %q", err, test.fault)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := get(p, p.brand.Logo)
			if string(got.Body) != test.content || got.Header.Get("Content-Type") != test.contentType || !strings.Contains(got.Header.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("%v: %q", got.Header, got.Body)
			}
		})
	}
}

// Each class of the stylesheet is one of a template.
func TestClassesAreUsed(t *testing.T) {
	templates := readSources(t)
	for _, found := range regexp.MustCompile(`\.([a-z][a-z-]+)[^{};]*\{`).FindAllStringSubmatch(styleSource, -1) {
		if !regexp.MustCompile(`[" }]` + found[1] + `[" {]`).MatchString(templates) {
			t.Errorf("no template has the class %s", found[1])
		}
	}
}
