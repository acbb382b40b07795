package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSignInPage: what docs/signin.md shows in bold are words of the pages. Steps are bold
// too, each at the begin of an item.
func TestSignInPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "signin.md"))
	must(t, err)
	var all strings.Builder
	for _, text := range pageTexts() {
		all.WriteString(text + "\n")
	}
	quoted := 0
	prose := regexp.MustCompile("`[^`]*`").ReplaceAllString(string(page), "")
	for _, found := range regexp.MustCompile(`(.?.?.?)\*\*([^*]+)\*\*`).FindAllStringSubmatch(prose, -1) {
		if strings.HasSuffix(found[1], ". ") && found[1] >= "0" && found[1] < ":" {
			continue // a step
		}
		quoted++
		for _, part := range strings.SplitAfter(strings.ReplaceAll(found[2], "at …", "at %s"), "%s") {
			if !strings.Contains(all.String(), part) {
				t.Errorf("docs/signin.md says that a page shows %q, which is no text of server/pages/texts/en.json", found[2])
			}
		}
	}
	if quoted < 20 {
		t.Errorf("only %d words of the pages were found", quoted)
	}
}
