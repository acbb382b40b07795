package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// auditLine is what an audit line says, as far as the test reads it.
type auditLine struct {
	Request, Account, Reason string
	Status                   int
}

// readAudit returns the file as it is, and its lines.
func readAudit(t *testing.T, path string) (string, []auditLine) {
	t.Helper()
	text, err := os.ReadFile(path)
	must(t, err)
	var lines []auditLine
	for line := range strings.Lines(string(text)) {
		var l auditLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("an audit line is not JSON: %v\n%s", err, line)
		}
		lines = append(lines, l)
	}
	return string(text), lines
}

// TestAuditFile audits to a file, over a restart: nobody else may read it,
// nothing in it is lost, and each line, and the log's where there is one, is
// found by what the client was told of the request.
func TestAuditFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(logDir, fmt.Sprintf("shorepass-audit-%d.log", logNumber.Add(1))) // searched for secrets like the rest
	s := newServer(t, options{
		providers: testUsers().toml() + lostDirectory(unusedAddress(t)),
		more:      fmt.Sprintf("[audit]\nto = %q\n", "file:"+path),
	})
	alice := testUsers()["alice"]
	var before string
	for life := range 2 {
		if life > 0 {
			s.stop(t)
			before, _ = readAudit(t, path)
			s.start(t)
		}
		for _, tc := range []struct {
			name, account, password string
			status                  int
			logged                  string // the level of the log line
		}{
			{"a right password", "alice", alice.password, http.StatusOK, ""},
			{"a wrong one", "alice", fmt.Sprintf("wrong-in-life-%d", life), http.StatusUnauthorized, "DEBUG"},
			{"of somebody in a directory that is down", "carol", "carol-canary-pass", http.StatusServiceUnavailable, "DEBUG"},
		} {
			a := s.get(t, "service="+service, basic(tc.account, tc.password))
			id := a.Header.Get("X-Request-Id")
			if a.Status != tc.status || id == "" {
				t.Fatalf("%s: answer = %v with the request id %q, want %d and one", tc.name, a, id, tc.status)
			}
			_, lines := readAudit(t, path)
			last := lines[len(lines)-1]
			if last.Request != id || last.Status != tc.status || last.Account != tc.account || (last.Reason == "") != (tc.status == http.StatusOK) {
				t.Errorf("%s: the last audit line = %+v, want %d of %s as the request %s, with a reason unless it is 200", tc.name, last, tc.status, tc.account, id)
			}
			logged := s.logLines(`"request":"`+id+`"`, `"level":"`+tc.logged+`"`, fmt.Sprintf(`"status":%d`, tc.status))
			if all := s.logLines(id); len(all) != len(logged) || len(logged) != map[bool]int{false: 0, true: 1}[tc.logged != ""] {
				t.Errorf("%s: the log has %q of the request %s, want one line of level %q if any", tc.name, all, id, tc.logged)
			}
		}
		after, lines := readAudit(t, path)
		if !strings.HasPrefix(after, before) || !strings.HasSuffix(after, "\n") || len(lines) != 3*(life+1) {
			t.Errorf("in life %d the audit file is %q, want three whole lines behind %q", life+1, after, before)
		}
		info, err := os.Stat(path)
		must(t, err)
		if mode := info.Mode(); mode != 0o600 {
			t.Errorf("the audit file has the mode %v, want -rw-------", mode)
		}
	}
}
