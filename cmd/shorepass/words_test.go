package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestWords keeps words out of comments and pages that hide the subject of a
// sentence, or name twice what the glossary in docs/architecture.md names once.
func TestWords(t *testing.T) {
	instead := map[string]string{
		"whoever":      "the caller, the client, the person, the operator",
		"somebody":     "the caller, the client, the person, the operator",
		"nobody":       "no caller, no client, no person, no provider",
		"under way":    "in progress, in flight",
		"at once":      "immediately, or concurrently",
		"all the same": "still, nevertheless",
		"renewal":      "a provider's refresh token",
		"upstream":     "a provider",
	}
	expressions := make(map[string]*regexp.Regexp)
	for word := range instead {
		expressions[word] = regexp.MustCompile(`(?i)\b` + strings.ReplaceAll(word, " ", `\s+`) + `\b`)
	}
	read := 0
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			if name := entry.Name(); name == "node_modules" || name == "testdata" || strings.HasPrefix(name, ".") && name != ".." {
				return filepath.SkipDir
			}
			return nil
		}
		text, err := proseOf(path)
		if err != nil || text == "" {
			return err
		}
		read++
		for word, better := range instead {
			if found := expressions[word].FindString(text); found != "" {
				t.Errorf("%s says %q; name it: %s", path, found, better)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if read < 300 {
		t.Errorf("only %d files were read", read)
	}
}

// proseOf returns the comments of a Go file, and the text of a page without what
// it quotes as code; of any other file "".
func proseOf(path string) (string, error) {
	switch filepath.Ext(path) {
	case ".go":
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return "", err
		}
		var all strings.Builder
		for _, group := range file.Comments {
			all.WriteString(group.Text())
		}
		return all.String(), nil
	case ".md":
		text, err := os.ReadFile(path)
		return regexp.MustCompile("`[^`]*`").ReplaceAllString(string(text), ""), err
	}
	return "", nil
}
