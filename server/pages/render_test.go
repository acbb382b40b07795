package pages

import (
	"context"
	"io/fs"
	"maps"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each language has every text, with the same verbs.
func TestTexts(t *testing.T) {
	verbs := func(text string) int { return strings.Count(text, "%") - 2*strings.Count(text, "%%") }
	for lang, other := range languages {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(english.all)), slices.Sorted(maps.Keys(other.all))); diff != "" {
			t.Errorf("%s has other texts than English (-en +%s):\n%s", lang, lang, diff)
		}
		for key, text := range other.all {
			if text == "" || verbs(text) != verbs(english.all[key]) {
				t.Errorf("%s: %s is %q, in English %q", lang, key, text, english.all[key])
			}
		}
	}
}

// An unknown path is an error page in the person's language.
func TestProblemPage(t *testing.T) {
	p, err := New(Options{Config: Config{}.WithDefaults(), Origin: &url.URL{Scheme: "https", Host: "auth.corp.example"}, Contact: "the container team"})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/nothing", nil)
	r.Header.Set("Accept-Language", "de-AT, en;q=0.5")
	got := p.Serve(context.Background(), &Visit{Request: r, ID: "R1"})
	for _, want := range []string{`<html lang="de">`, "Hier ist nichts", "the container team", "R1"} {
		if !strings.Contains(string(got.Body), want) {
			t.Errorf("the page lacks %q:\n%s", want, got.Body)
		}
	}
	if got.Status != 404 {
		t.Errorf("status %d", got.Status)
	}
}

// The title of a form that comes back says so first: it is what a screen reader reads first.
func TestTitleOfRefusedForm(t *testing.T) {
	p := newPagesOf(t, Config{Name: "Example"})
	got := p.page(&Visit{text: english}, 401, "signin", view{Title: "Sign in", Data: signInView{}})
	if want := "<title>Error: Sign in · Example</title>"; !strings.Contains(string(got.Body), want) {
		t.Errorf("the page lacks %q:\n%s", want, got.Body)
	}
}

// Whom people ask is in the words of the operator, else of the page's language.
func TestContact(t *testing.T) {
	p := newPagesOf(t, Config{})
	for contact, want := range map[string]string{"das Container-Team": "Bei Fragen: das Container-Team", "": "Bei Fragen: die Betreiber dieser Registry"} {
		p.Contact = contact
		if got := p.signedOutPage(&Visit{text: languages["de"]}, signedOutView{}); !strings.Contains(string(got.Body), want) {
			t.Errorf("the page lacks %q:\n%s", want, got.Body)
		}
	}
}

// Each text is used, and each that is used is there.
func TestTextsAreUsed(t *testing.T) {
	sources := readSources(t)
	for key := range english.all {
		if !isUsed(key, func(text string) bool { return strings.Contains(sources, strconv.Quote(text)) }) {
			t.Errorf("no source has the text %s", key)
		}
	}
	for _, found := range regexp.MustCompile(`(?:\bt|\.get\() ?"([a-z_.]+[a-z_])"`).FindAllStringSubmatch(sources, -1) {
		if english.all[found[1]] == "" {
			t.Errorf("there is no text %s", found[1])
		}
	}
}

// isUsed reports whether the sources write the key of a text: whole, without the .one and
// .many of a number, or as a beginning that ends with a dot, to which code adds the rest.
// Of a problem the name must be there too.
func isUsed(key string, written func(string) bool) bool {
	parts := strings.Split(key, ".")
	if parts[0] == "problem" && len(parts) == 3 {
		return written(parts[1])
	}
	for n := 1; n < len(parts); n++ {
		if written(strings.Join(parts[:n], ".") + ".") {
			return true
		}
	}
	return written(key) || written(strings.TrimSuffix(strings.TrimSuffix(key, ".one"), ".many"))
}

// readSources returns the templates and the Go files of the package, but for tests.
func readSources(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, "_test.go") || (filepath.Ext(path) != ".go" && filepath.Ext(path) != ".html") {
			return err
		}
		content, err := os.ReadFile(path)
		all.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}
