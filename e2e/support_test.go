package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestSupport: the text for a bug report has what the server is, does and misses. Like
// the logs it is searched for every secret of the run.
func TestSupport(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{providers: testUsers().toml() + lostDirectory(unusedAddress(t))})
	alice := testUsers()["alice"]
	s.get(t, "service="+service+"&offline_token=true", basic("alice", alice.password))
	s.get(t, "service="+service, basic("alice", secrets.newPassword("alice")))

	bundle := filepath.Join(logDir, fmt.Sprintf("shorepass-support-%d.log", logNumber.Add(1)))
	cmd := exec.Command(binary, "support", "--config", s.config)
	text, err := cmd.CombinedOutput()
	must(t, err)
	must(t, os.WriteFile(bundle, text, 0o600))
	for _, want := range []string{
		"=== version\n\nshorepass ",
		"=== configuration\n\n[server]\n",
		`password = "[redacted]"`,
		"=== check --live\n\n",
		"corp (ldap)",
		"=== GET /readyz?all\n\n200 OK\n",
		"=== GET /metrics\n\n200 OK\n",
		"shorepass_token_requests_total{",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("support does not print %q", want)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}

	// Without a server, and with a faulty configuration, it prints what it can.
	s.stop(t)
	faulty := filepath.Join(t.TempDir(), "shorepass.toml")
	must(t, os.WriteFile(faulty, []byte("[server]\nlisen = \"x\"\n"), 0o600))
	text, err = exec.Command(binary, "support", "--config", faulty).CombinedOutput()
	if must(t, err); !strings.Contains(string(text), `did you mean "listen"?`) {
		t.Errorf("support of a faulty configuration prints\n%s", text)
	}
	text, err = exec.Command(binary, "support", "--config", s.config).CombinedOutput()
	if must(t, err); !strings.Contains(string(text), "no server answers at server.listen on this machine") {
		t.Errorf("support without a server prints\n%s", text)
	}
}
