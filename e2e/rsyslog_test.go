package e2e

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// rsyslog is a collector that writes the text of each message, parsed as JSON, to a file.
type rsyslog struct {
	port    int
	secure  bool // TLS, and clients must present a certificate
	dir     string
	process *process
}

// start starts rsyslogd as e2e/install unpacks it.
func (r *rsyslog) start(t *testing.T) {
	t.Helper()
	tools, err := filepath.Abs(filepath.Join("..", ".tools", "rsyslog"))
	must(t, err)
	need(t, filepath.Join(tools, "rsyslogd"))
	input := `module(load="imtcp")`
	if r.secure {
		input = fmt.Sprintf(`global(defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile=%[1]q defaultNetstreamDriverCertFile=%[1]q defaultNetstreamDriverKeyFile=%[2]q)
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")`,
			filepath.Join(runDir, "localhost.crt"), filepath.Join(runDir, "localhost.key"))
	}
	config := filepath.Join(r.dir, "rsyslog.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `global(maxMessageSize="64k" workDirectory=%q)
%s
module(load="mmjsonparse")
template(name="line" type="string" string="%%pri%% %%app-name%% %%msgid%% %%parsesuccess%% %%$!account%% %%msg%%\n")
input(type="imtcp" port="%d" address="127.0.0.1")
action(type="mmjsonparse" cookie="")
action(type="omfile" file=%q template="line")
`, r.dir, input, r.port, filepath.Join(r.dir, "messages")), 0o600))
	cmd := exec.Command(filepath.Join(tools, "rsyslogd"), "-n", "-f", config, "-M", tools, "-i", filepath.Join(r.dir, "pid"))
	cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+tools)
	r.process = start(t, "rsyslog", cmd)
}

// messages returns the lines of the file.
func (r *rsyslog) messages() string {
	text, _ := os.ReadFile(filepath.Join(r.dir, "messages"))
	return string(text)
}

// TestRsyslog sends audit lines to a real collector, by TCP and by TLS with a client
// certificate: each arrives as one message whose text is the line, also one as long as a
// line may be. While the collector is away a required line is 503, and no request waits; after
// it is back, so are the lines.
func TestRsyslog(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls=%v", secure), func(t *testing.T) {
			t.Parallel()
			r := &rsyslog{port: freePort(t), secure: secure, dir: t.TempDir()}
			more := fmt.Sprintf("[audit]\nto = \"syslog+tcp://127.0.0.1:%d\"\nrequired = true\n", r.port)
			if secure {
				more = fmt.Sprintf("[audit]\nto = \"syslog+tls://localhost:%d\"\nrequired = true\ntls = { ca = %[2]q, certificate = %[2]q, key = %q }\n",
					r.port, filepath.Join(runDir, "localhost.crt"), filepath.Join(runDir, "localhost.key"))
			}
			schema := auditSchema(t)
			s := newServer(t, options{more: more}) // it starts without the collector
			alice := basic("alice", testUsers()["alice"].password)
			status := func(query, who string) int { return s.get(t, query, who).Status }
			if got := status("service="+service, alice); got != http.StatusServiceUnavailable {
				t.Errorf("a login without the collector: %d, want 503", got)
			}
			if check := s.cli(t, "", "check", "--live"); check.ok || !strings.Contains(check.text, "audit.to") {
				t.Errorf("check --live without the collector: %v\n%s", check.ok, check.text)
			}
			r.start(t)
			s.process.await(t, 30*time.Second, func() error {
				if got := status("service="+service, alice); got != http.StatusOK {
					return fmt.Errorf("a login: %d", got)
				}
				return nil
			})
			if check := s.cli(t, "", "check", "--live"); !check.ok || !strings.Contains(check.text, "the collector takes connections") {
				t.Errorf("check --live with the collector: %v\n%s", check.ok, check.text)
			}
			long := "service=" + service
			for i := range 200 {
				long += fmt.Sprintf("&scope=repository:team-other/%s%d:pull,push,delete", strings.Repeat("a", 180), i)
			}
			if a := s.get(t, long, alice); a.Status != http.StatusForbidden {
				t.Errorf("a login with long scopes: %v, want a denial", a)
			}
			status("service="+service, basic("jörg", "no-such-canary-pass"))

			var lines []string
			r.process.await(t, 20*time.Second, func() error {
				lines = strings.Split(strings.TrimSpace(r.messages()), "\n")
				if len(lines) < 3 {
					return fmt.Errorf("%d messages", len(lines))
				}
				return nil
			})
			longest := 0
			for _, line := range lines {
				parts := strings.SplitN(line, " ", 6)
				if len(parts) != 6 || strings.Join(parts[:4], " ") != "86 shorepass audit OK" {
					t.Fatalf("a message is %.300q", line)
				}
				if err := validateLine(t, schema, parts[5]); err != nil {
					t.Errorf("%v\n%.300s", err, parts[5])
				}
				longest = max(longest, len(parts[5]))
			}
			if longest < 60_000 || longest > 64<<10 || !strings.Contains(r.messages(), "OK jörg {") {
				t.Errorf("the longest text has %d bytes; and jörg must be among\n%.3000s", longest, r.messages())
			}

			r.process.stop()
			s.process.await(t, 30*time.Second, func() error {
				if got := status("service="+service, alice); got != http.StatusServiceUnavailable {
					return fmt.Errorf("a login while the collector is away: %d", got)
				}
				return nil
			})
			begin := time.Now()
			status("service="+service, alice)
			if took := time.Since(begin); took > 3*time.Second {
				t.Errorf("a request while the collector is away took %v", took)
			}
			r.start(t)
			s.process.await(t, 30*time.Second, func() error {
				if got := status("service="+service, alice); got != http.StatusOK {
					return fmt.Errorf("a login after the collector is back: %d", got)
				}
				return nil
			})
			if got := s.logLines("audit lines are written again"); len(got) == 0 {
				t.Error("the log does not say that lines are written again")
			}
		})
	}
}
