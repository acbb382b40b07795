package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	fence    = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	link     = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	inAnchor = regexp.MustCompile(`[^\pL\pN_\- ]`) // what GitHub leaves out of an anchor
)

// TestLinks: every relative link in a page of the repository leads to a file, and its
// anchor to a heading.
func TestLinks(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			checked++
			if err := followLink(page, m[1]); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
	if checked < 100 {
		t.Errorf("only %d links were found", checked)
	}
}

// followLink returns an error if a relative link on a page leads nowhere.
func followLink(page, target string) error {
	name, anchor, _ := strings.Cut(target, "#")
	file := page
	if name != "" {
		file = filepath.Join(filepath.Dir(page), name)
	}
	text, err := os.ReadFile(file)
	if info, statErr := os.Stat(file); statErr == nil && info.IsDir() && anchor == "" {
		return nil
	}
	if err != nil || anchor == "" {
		return err
	}
	seen := make(map[string]int)
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(string(text), ""), -1) {
		slug := strings.ReplaceAll(inAnchor.ReplaceAllString(strings.ToLower(strings.TrimSpace(m[1])), ""), " ", "-")
		full := slug
		if n := seen[slug]; n > 0 {
			full = fmt.Sprintf("%s-%d", slug, n)
		}
		seen[slug]++
		if full == anchor {
			return nil
		}
	}
	return fmt.Errorf("no heading has the anchor %q", anchor)
}

// TestSections: no page has two sections of one name, as a merge leaves them.
func TestSections(t *testing.T) {
	section := regexp.MustCompile(`(?m)^##? .+$`)
	for _, page := range pages(t) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for _, title := range section.FindAllString(fence.ReplaceAllString(string(text), ""), -1) {
			if seen[title] {
				t.Errorf("%s has %q twice", page, title)
			}
			seen[title] = true
		}
	}
}

// pages are the pages of the repository.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "deploy/*/*.md", "deploy/*/*/*.md"} {
		found, err := filepath.Glob("../../" + pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	return all
}
