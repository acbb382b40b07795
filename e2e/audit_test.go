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

// auditLine has the keys of an audit line that the test reads.
type auditLine struct {
	Request, Account, Reason string
	Status                   int
}

// readAudit returns the content of an audit file, and its lines decoded.
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

// TestAuditFile writes audit lines to a file over a restart of the server: only
// its owner can read the file, no line is lost, and each audit line, with its
// log line if there is one, has the request ID that the client received.
func TestAuditFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(logDir, fmt.Sprintf("shorepass-audit-%d.log", logNumber.Add(1))) // searched for secrets like the rest
	s := newServer(t, options{
		providers: testUsers().toml() + lostDirectory(unusedAddress(t)),
		more:      fmt.Sprintf("[audit]\nto = %q\n", "file:"+path),
	})
	alice := testUsers()["alice"]
	var before string
	for restarts := range 2 {
		if restarts > 0 {
			s.stop(t)
			before, _ = readAudit(t, path)
			s.start(t)
		}
		for _, tc := range []struct {
			name, account, password string
			status                  int
			logged                  string // the level of the log line
		}{
			{"the right password", "alice", alice.password, http.StatusOK, ""},
			{"a wrong password", "alice", fmt.Sprintf("wrong-password-%d", restarts), http.StatusUnauthorized, "DEBUG"},
			{"a user of a directory that is down", "carol", "carol-canary-pass", http.StatusServiceUnavailable, "DEBUG"},
		} {
			a := s.get(t, "service="+service, basic(tc.account, tc.password))
			id := a.Header.Get("X-Request-Id")
			if a.Status != tc.status || id == "" {
				t.Fatalf("%s: answer = %v with the request ID %q, want %d and an ID", tc.name, a, id, tc.status)
			}
			_, lines := readAudit(t, path)
			last := lines[len(lines)-1]
			if last.Request != id || last.Status != tc.status || last.Account != tc.account || (last.Reason == "") != (tc.status == http.StatusOK) {
				t.Errorf("%s: the last audit line = %+v, want status %d, account %s and request ID %s, with a reason unless it is 200", tc.name, last, tc.status, tc.account, id)
			}
			logged := s.logLines(`"request":"`+id+`"`, `"level":"`+tc.logged+`"`, fmt.Sprintf(`"status":%d`, tc.status))
			if all := s.logLines(id); len(all) != len(logged) || len(logged) != map[bool]int{false: 0, true: 1}[tc.logged != ""] {
				t.Errorf("%s: the log has %q of the request %s, want one line of level %q, or none if it is empty", tc.name, all, id, tc.logged)
			}
		}
		after, lines := readAudit(t, path)
		if !strings.HasPrefix(after, before) || !strings.HasSuffix(after, "\n") || len(lines) != 3*(restarts+1) {
			t.Errorf("after %d restarts the audit file is %q, want three whole lines after %q", restarts, after, before)
		}
		info, err := os.Stat(path)
		must(t, err)
		if mode := info.Mode(); mode != 0o600 {
			t.Errorf("the audit file has the mode %v, want -rw-------", mode)
		}
	}
}
