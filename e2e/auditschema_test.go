package e2e

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// auditSchema returns the schema of audit lines, which must be a valid schema.
func auditSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	schema, err := c.Compile("../docs/audit.schema.json")
	must(t, err)
	return schema
}

// validateLine returns the faults of an audit line.
func validateLine(t *testing.T, schema *jsonschema.Schema, line string) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// unsteady are placeholders in the golden file of audit lines.
var unsteady = strings.NewReplacer(`"time":"TIME"`, `"time":"2026-11-27T09:00:00Z"`, `"duration":DURATION`, `"duration":0.001`)

// TestAuditSchema: the lines of every kind that server/testdata/audit.golden has, and those
// on the page, are valid.
func TestAuditSchema(t *testing.T) {
	t.Parallel()
	schema := auditSchema(t)
	for file, least := range map[string]int{"../server/testdata/audit.golden": 20, "../docs/audit.md": 7} {
		text, err := os.ReadFile(file)
		must(t, err)
		lines := regexp.MustCompile(`(?m)^\{"time".*$`).FindAllString(string(text), -1)
		for _, line := range lines {
			if err := validateLine(t, schema, unsteady.Replace(line)); err != nil {
				t.Errorf("%s: %v\n%s", file, err, line)
			}
		}
		if len(lines) < least {
			t.Errorf("%s has only %d lines", file, len(lines))
		}
	}
	for _, wrong := range []string{
		`{}`,
		`{"time":"2026-11-27T09:00:00Z","request":"a","status":200,"user":"","address":"","duration":0,"password":"x"}`,
		`{"time":"yesterday","request":"a","status":200,"user":"","address":"","duration":0}`,
		`{"time":"2026-11-27T09:00:00Z","request":"a","status":"200","user":"","address":"","duration":0}`,
	} {
		if err := validateLine(t, schema, wrong); err == nil {
			t.Errorf("the schema takes %s", wrong)
		}
	}
}

// TestHostileAuditLines: what a running server writes about long and odd requests is valid
// and bounded.
func TestHostileAuditLines(t *testing.T) {
	t.Parallel()
	schema := auditSchema(t)
	path := filepath.Join(logDir, fmt.Sprintf("shorepass-audit-%d.log", logNumber.Add(1)))
	s := newServer(t, options{more: fmt.Sprintf("[audit]\nto = %q\ngroups = \"all\"\n", "file:"+path)})
	alice := basic("alice", testUsers()["alice"].password)
	scope := func(n, length int) string {
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, "&scope=repository:team-blue/%s%d:pull,push,delete", strings.Repeat("a", length), i)
		}
		return all.String()
	}
	for _, query := range []string{
		"", "service=" + service, "service=" + service + scope(1, 1), "service=" + service + scope(256, 10), "service=" + service + scope(200, 200),
		"service=" + strings.Repeat("x", 2000), "service=" + service + "&client_id=" + url.QueryEscape(strings.Repeat("ä\x01", 500)), "service=" + service + "&account=%ff",
	} {
		s.get(t, query, alice)
		s.get(t, query, basic(strings.Repeat("ö", 1000), "no-such-canary-pass"))
		s.get(t, query, "")
	}
	text, _ := readAudit(t, path)
	longest, truncated := 0, 0
	for line := range strings.Lines(text) {
		if err := validateLine(t, schema, line); err != nil {
			t.Errorf("%v\n%.1000s", err, line)
		}
		longest = max(longest, len(line))
		if strings.Contains(line, `"truncated":`) {
			truncated++
		}
	}
	if longest > 64<<10 || truncated == 0 {
		t.Errorf("the longest line has %d bytes, and %d are truncated; want at most 64 KiB, and one at least", longest, truncated)
	}
}
