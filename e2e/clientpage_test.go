package e2e

import (
	"flag"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
)

var update = flag.Bool("update", false, "write what the clients print into docs/clients.md")

// clientsPage has a table for each situation: what each client prints there.
var clientsPage = filepath.Join("..", "docs", "clients.md")

// messages are what the clients print: by heading and client, rows of a table.
type messages struct {
	mu   sync.Mutex
	rows map[string]map[string][]string // guarded by mu
}

// add adds a row, or at to the row of the client that has the same text.
func (m *messages) add(heading, client, at, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows[heading] == nil {
		m.rows[heading] = map[string][]string{}
	}
	rows := m.rows[heading][client]
	cell := " | `" + strings.ReplaceAll(text, "|", `\|`) + "` |"
	for i, row := range rows {
		if before, same := strings.CutSuffix(row, cell); same {
			rows[i] = before + ", " + at + cell
			return
		}
	}
	m.rows[heading][client] = append(rows, "| "+client+" | "+at+cell)
}

// has reports whether the client printed anything.
func (m *messages) has(client string) bool {
	for _, rows := range m.rows {
		if len(rows[client]) > 0 {
			return true
		}
	}
	return false
}

// progress matches lines that a client prints on its way.
var progress = regexp.MustCompile(`^(Getting image source|Copying (blob|config)|Writing manifest|Storing signatures|Trying to pull|The push refers to|` +
	`[0-9a-f]{12}: |sha256:[0-9a-f]{64}|WARNING! |Configure a credential|credential-stores|https://docs.docker.com/|` +
	`unpacking |\S+:\s+(waiting|resolving|done|exists|unpacking)|elapsed: |manifest-sha256|config-sha256|layer-sha256|` +
	`\d{4}/\d\d/\d\d \S+ (retrying|No matching credentials)|time="?\S+ level=(WARN|info|warning|error msg="active check failed")|Copying \d+ |Exists |Copied |Skipped |Pushed |Uploading |Copying |Getting )|^\s*$`)

// normalize returns a client's output without its progress, in one line, with names in
// the place of addresses, times and digests.
func normalize(text, registry string) string {
	text = strings.ReplaceAll(text, "\r", "\n")
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !progress.MatchString(line) {
			lines = append(lines, line)
		}
	}
	text = strings.Join(lines, " ⏎ ")
	text = strings.ReplaceAll(text, "http://"+registry, "https://registry.corp.example")
	text = strings.ReplaceAll(text, registry, "registry.corp.example")
	for _, rule := range []struct{ pattern, with string }{
		{`http://localhost:\d+`, "https://shorepass.corp.example"},
		{`localhost:\d+`, "shorepass.corp.example"},
		{`time="[^"]*" `, ""},
		{`\b[0-9a-f]{64}\b`, "…"},
		{`\d+ minutes`, "… minutes"},
		{`/tmp/\S*/`, "~/"},
	} {
		text = regexp.MustCompile(rule.pattern).ReplaceAllString(text, rule.with)
	}
	return text
}

// replaceTable returns the page with the rows of the clients that ran in place of their
// old ones, in the table after a heading.
func replaceTable(page, heading string, rows map[string][]string, ran []client) (string, error) {
	before, after, found := strings.Cut(page, "\n## "+heading+"\n")
	head, table, hasTable := strings.Cut(after, "|---|---|---|\n")
	if !found || !hasTable || strings.Contains(head, "\n## ") {
		return "", fmt.Errorf("docs/clients.md has no table under the heading %q", heading)
	}
	end := 0
	var old []string
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		old, end = append(old, strings.TrimSpace(line)), end+len(line)
	}
	var all []string
	names := []string{"docker 20.10", "docker 28", "docker 28, containerd store", "podman", "buildah", "skopeo", "crane", "oras", "regctl", "ctr", "containerd"}
	for _, name := range names {
		if slices.ContainsFunc(ran, func(c client) bool { return c.name == name }) {
			all = append(all, rows[name]...)
			continue
		}
		for _, row := range old {
			if strings.HasPrefix(row, "| "+name+" |") {
				all = append(all, row)
			}
		}
	}
	return before + "\n## " + heading + "\n" + head + "|---|---|---|\n" + strings.Join(all, "\n") + "\n" + table[end:], nil
}

// difference returns the lines of two texts that the other does not have.
func difference(a, b string) string {
	var out []string
	for _, side := range []struct{ sign, of, from string }{{"-", a, b}, {"+", b, a}} {
		for line := range strings.Lines(side.of) {
			if !strings.Contains(side.from, line) {
				out = append(out, side.sign+strings.TrimSpace(line))
			}
		}
	}
	return strings.Join(out, "\n")
}
