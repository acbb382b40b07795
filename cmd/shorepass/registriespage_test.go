package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRegistriesPage runs the commands of docs/registries.md, in a configuration with the
// page's own [[service]] table: each block that follows one is what it prints, without
// comments.
func TestRegistriesPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/registries.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := indentedBlocks(string(page))
	dir, config := t.TempDir(), `
[server]
public_urls = ["https://registry-auth.corp.example:5001"]
[token]
issuer = "shorepass"
services = ["registry.corp.example", "zot.corp.example"]
[[provider]]
name = "local"
kind = "file"
htpasswd = "htpasswd"
`
	for _, block := range blocks {
		if strings.HasPrefix(block, "[[service]]") {
			config += block
		}
	}
	for name, text := range map[string]string{"shorepass.toml": config, "htpasswd": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(line string) string {
		t.Helper()
		line, _, _ = strings.Cut(line, " > ")
		argv := strings.Fields(line)
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir = dir
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		return string(out)
	}
	run("shorepass keys init")
	run("shorepass keys init --certificate zot.crt --key zot.key")
	var printed string
	compared := 0
	for _, block := range blocks {
		switch first, _, _ := strings.Cut(block, "\n"); {
		case strings.HasPrefix(first, "shorepass "):
			printed = withoutComments(run(first))
			for line := range strings.Lines(block) {
				run(line)
			}
		case strings.HasPrefix(first, "[[service]]"):
		default:
			compared++
			if block != printed {
				t.Errorf("the page has\n%swhere the command prints\n%s", block, printed)
			}
		}
	}
	if compared != 2 {
		t.Errorf("the page has %d blocks of registries, want 2", compared)
	}
}

// indentedBlocks returns the indented blocks of a page, without their indentation.
func indentedBlocks(page string) (blocks []string) {
	within := false
	for line := range strings.Lines(page) {
		text, indented := strings.CutPrefix(line, "    ")
		switch {
		case indented && within:
			blocks[len(blocks)-1] += text
		case indented:
			blocks = append(blocks, text)
		}
		within = indented
	}
	return blocks
}

// withoutComments returns a text without the lines that begin with "#".
func withoutComments(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") {
			out.WriteString(line)
		}
	}
	return out.String()
}
