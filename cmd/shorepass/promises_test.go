package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPromises compares the table of promises at the end of docs/architecture.md with the
// pages that make them: each promise is on its page in the same words, and has a test.
// TestArchitecture checks that these tests exist.
func TestPromises(t *testing.T) {
	_, table, ok := strings.Cut(readPage(t, "docs/architecture.md"), "\n## Promises\n")
	if !ok {
		t.Fatal("docs/architecture.md has no table of promises")
	}
	rows := regexp.MustCompile(`(?m)^\| \[[^]]*\]\(([^)]*)\) \| (.*) \| ([^|]*) \|$`).FindAllStringSubmatch(table, -1)
	if lines := strings.Count(table, "\n|") - 2; len(rows) != lines || lines < 1 {
		t.Errorf("%d of the %d rows are not | [page](path) | promise | tests |", lines-len(rows), lines)
	}
	for _, row := range rows {
		page, promise, tests := row[1], row[2], row[3]
		if !strings.Contains(readPage(t, filepath.Join("docs", page)), promise) {
			t.Errorf("%s does not say %q", page, promise)
		}
		if !strings.Contains(tests, "`Test") && !strings.Contains(tests, "`Fuzz") {
			t.Errorf("the promise %q has no test", promise)
		}
	}
}

// TestOperationsQuotes compares the quotations in docs/operations.md with the code: the
// messages of answers, and the names of metrics.
func TestOperationsQuotes(t *testing.T) {
	page := readPage(t, "docs/operations.md")
	_, rest, _ := strings.Cut(page, "| sentence |")
	sentences, _, _ := strings.Cut(rest, "\n\n")
	code := productionCode(t)
	quoted := 0
	for _, row := range regexp.MustCompile("(?m)^ *\\| `([^`]+)`").FindAllStringSubmatch(sentences, -1) {
		for part := range strings.SplitSeq(row[1], "…") {
			quoted++
			if !strings.Contains(code, strings.TrimSpace(part)) {
				t.Errorf("no answer has the message %q", part)
			}
		}
	}
	for _, metric := range regexp.MustCompile(`shorepass_[a-z_]+`).FindAllString(page, -1) {
		quoted++
		if !strings.Contains(code, `"`+metric+`"`) {
			t.Errorf("there is no metric %s", metric)
		}
	}
	if quoted < 10 {
		t.Errorf("only %d quotes were found", quoted)
	}
}

// TestOperationsQuotesPages: the pages of errors that docs/operations.md names have these
// titles.
func TestOperationsQuotesPages(t *testing.T) {
	_, rest, _ := strings.Cut(readPage(t, "docs/operations.md"), "### A sign-in with a browser fails\n")
	section, _, _ := strings.Cut(rest, "\n### ")
	texts, titles := readPage(t, "server/pages/texts/en.json"), regexp.MustCompile(`(?m)^\| \*\*([^*]+)\*\*`).FindAllStringSubmatch(section, -1)
	if len(titles) < 4 {
		t.Errorf("only %d pages are named", len(titles))
	}
	for _, title := range titles {
		if !strings.Contains(texts, `.title": "`+title[1]+`"`) {
			t.Errorf("no page of an error is called %q", title[1])
		}
	}
}

// readPage reads a page by its path from the root of the tree.
func readPage(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../..", path))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// productionCode returns the code of the server and of this package.
func productionCode(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range []string{"server", "cmd/shorepass"} {
		files, err := filepath.Glob(filepath.Join("../..", folder, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				all.Write(text)
			}
		}
	}
	return all.String()
}
