package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

// firstHour is the installation of README.md's five minutes, with an OpenLDAP
// and a registry of its own. A mistake changes its configuration or its files.
type firstHour struct {
	dir      string // of shorepass.toml
	port     int
	config   string                    // shorepass.toml
	registry func(block string) string // changes the block that registry-config prints; nil for no change
	ldap     *ldaptest.Slapd
	password string            // of alice, as she types it
	names    map[string]string // what differs from run to run, with the word that the golden files have for it
}

// mistake is one mistake of the first hour. Its name is the golden file's.
type mistake struct {
	name   string
	key    string // the word that the output must have: the key to change, or the command that is right
	change func(t *testing.T, h *firstHour)
	run    func(t *testing.T, h *firstHour) string // what the person runs, and what is printed; default: checkAndLogin
}

// firstHourConfig is the configuration of README.md's five minutes with the
// names of the test's directory.
func firstHourConfig(d *ldaptest.Slapd, port int) string {
	return fmt.Sprintf(`[server]
listen      = ":%[1]d"
public_urls = ["https://localhost:%[1]d"]
tls         = { certificate = "server.crt", key = "server.key" }

[token]
issuer   = "shorepass"
services = ["registry.corp.example"]

[[provider]]
name   = "corp"
kind   = "ldap"
preset = "openldap"
urls   = [%[2]q]
tls    = { ca = %[3]q }
bind_dn       = %[4]q
bind_password = { env = "LDAP_PASSWORD" }
users  = { base = %[5]q }
groups = { base = %[6]q }

[[rule]]
name         = "a team owns its folder"
groups       = ["devs"]
repositories = ["{group}/**"]
actions      = ["pull", "push", "delete"]
`, port, d.LDAPS, d.CA, d.BindDN, d.People, d.Groups)
}

// newFirstHour writes the installation without a mistake.
func newFirstHour(t *testing.T, d *ldaptest.Slapd) *firstHour {
	t.Helper()
	h := &firstHour{dir: t.TempDir(), port: freePort(t), ldap: d}
	_, h.password = loginOf("alice")
	h.config = firstHourConfig(d, h.port)
	for _, name := range []string{"crt", "key"} {
		text, err := os.ReadFile(filepath.Join(runDir, "localhost."+name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(h.dir, "server."+name), text, 0o600))
	}
	h.names = map[string]string{
		h.dir: "DIR", runDir: "RUN", fmt.Sprint(h.port): "PORT", d.CA: "CA",
		strings.TrimPrefix(d.LDAPS, "ldaps://"): "DIRECTORY", strings.TrimPrefix(d.URL, "ldap://"): "PLAINDIRECTORY",
	}
	return h
}

// replace changes the configuration. The old text must be in it.
func (h *firstHour) replace(t *testing.T, old, new string) {
	t.Helper()
	if !strings.Contains(h.config, old) {
		t.Fatalf("the configuration has no %q", old)
	}
	h.config = strings.ReplaceAll(h.config, old, new)
}

// replacing is a change of the configuration.
func replacing(old, new string) func(*testing.T, *firstHour) {
	return func(t *testing.T, h *firstHour) {
		t.Helper()
		h.replace(t, old, new)
	}
}

// shorepass runs a command line, such as "check --live", in the installation's folder.
// It returns what the golden files have of it: the command, the output, the exit code.
func (h *firstHour) shorepass(t *testing.T, line string) string {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(h.dir, "shorepass.toml"), []byte(h.config), 0o600))
	cmd := exec.CommandContext(t.Context(), binary, strings.Fields(line)...)
	cmd.Dir, cmd.Env = h.dir, h.env()
	cmd.WaitDelay = time.Minute
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatalf("shorepass %s: %v", line, err)
	}
	return transcript("shorepass "+line, string(out), cmd.ProcessState.ExitCode())
}

func (h *firstHour) env() []string {
	return append(os.Environ(), "LDAP_PASSWORD="+h.ldap.Password)
}

// transcript is one command of a golden file.
func transcript(command, output string, exit int) string {
	text := "$ " + command + "\n"
	if output = strings.TrimRight(output, "\n"); output != "" {
		text += output + "\n"
	}
	return fmt.Sprintf("%sexit %d\n\n", text, exit)
}

// checkAndLogin runs check, then check --live, then starts the server and logs in as
// alice at it, as README.md says. What follows a failure of check would fail likewise.
func checkAndLogin(t *testing.T, h *firstHour) string {
	t.Helper()
	all := h.shorepass(t, "check")
	if !strings.HasSuffix(all, "exit 0\n\n") {
		return all
	}
	all += h.shorepass(t, "check --live")
	all += h.serve(t, func() string { return h.login(t) })
	return all
}

// pullAtRegistry starts the server and a registry with the block that registry-config
// prints, as h.registry changes it. It asks check --registry, logs in at the registry
// and pulls.
func pullAtRegistry(t *testing.T, h *firstHour) string {
	t.Helper()
	return h.serve(t, func() string {
		block := strings.SplitN(h.shorepass(t, "registry-config"), "\n", 2)[1]
		block, _, _ = strings.Cut(block, "\nexit 0")
		if h.registry != nil {
			block = h.registry(block)
		}
		r := (&server{}).registryWith(t, distributions[1], block)
		h.names[strings.TrimPrefix(r.host, "localhost:")] = "REGISTRYPORT"
		home := newHome(t)
		all := h.shorepass(t, "check --registry http://"+r.host) + h.loginAt(t, home, r.host)
		out := crane().pull(t, home, r.host+"/devs/app:1")
		exit := 0
		if !out.ok {
			exit = 1
		}
		return all + transcript("crane pull "+r.host+"/devs/app:1", out.text, exit)
	})
}

// serve starts the server, calls do and stops the server. It returns what do returns,
// and what the log and the audit log say at the level that an operator looks at.
func (h *firstHour) serve(t *testing.T, do func() string) string {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(h.dir, "shorepass.toml"), []byte(h.config), 0o600))
	cmd := exec.Command(binary, "serve")
	cmd.Dir, cmd.Env = h.dir, h.env()
	p := start(t, "shorepass", cmd)
	scheme := "https"
	if !strings.Contains(h.config, "\ntls         =") {
		scheme = "http"
	}
	(&server{url: fmt.Sprintf("%s://localhost:%d", scheme, h.port), process: p}).awaitOpen(t)
	all := do()
	must(t, p.stop())
	return all + "# log\n" + logExtract(t, p.output())
}

// logExtract returns the warnings and errors of a log, without time and request id, and
// of its audit lines the outcome.
func logExtract(t *testing.T, log string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(log) {
		var fields map[string]any
		must(t, json.Unmarshal([]byte(line), &fields))
		switch level, _ := fields["level"].(string); level {
		case "WARN", "ERROR":
			for _, name := range []string{"time", "request", "duration", "level"} {
				delete(fields, name)
			}
			fmt.Fprintf(&b, "%s %s\n", level, attributes(fields, "msg"))
		case "":
			fmt.Fprintf(&b, "AUDIT %s\n", attributes(fields, "status", "reason", "scope", "granted", "denied", "groups"))
		}
	}
	return b.String()
}

// attributes formats the fields that come first, and where these are one, all others.
func attributes(fields map[string]any, first ...string) string {
	names := first
	if len(first) == 1 {
		names = append(names, slices.Sorted(maps.Keys(fields))...)
	}
	var words []string
	for i, name := range names {
		if value, ok := fields[name]; ok && (i < len(first) || name != first[0]) {
			words = append(words, fmt.Sprintf("%s=%v", name, value))
		}
	}
	return strings.Join(words, " ")
}

// login logs in as alice with docker at shorepass itself.
func (h *firstHour) login(t *testing.T) string {
	t.Helper()
	return h.loginAt(t, newHome(t), fmt.Sprintf("localhost:%d", h.port))
}

// loginAt logs in as alice with docker 20.10.
func (h *firstHour) loginAt(t *testing.T, home home, host string) string {
	t.Helper()
	out := dockers()[0].login(t, home, host, "alice", h.password)
	home.stored(t, host)
	exit := 0
	if !out.ok {
		exit = 1
	}
	var lines []string
	for line := range strings.Lines(out.text) {
		if line = strings.TrimSpace(line); line != "" && !chatter.MatchString(line) {
			lines = append(lines, line)
		}
	}
	return transcript("docker login "+host, strings.Join(lines, "\n"), exit)
}

// chatter is what docker says at every login.
var chatter = regexp.MustCompile(`WARNING!|Configure a credential helper|docs\.docker\.com|trying next endpoint`)

// variable is what differs from run to run beside the names of the installation, and the
// word that the golden files have for it.
var variable = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\b\d{4}[-/]\d\d[-/]\d\d([T ]\d\d:\d\d:\d\d[.\dZ+:-]*)?`), "DATE"},
	{regexp.MustCompile(`\b\d+(\.\d+)?(ms|µs|s)\b`), "TIME"},
	{regexp.MustCompile(`\b(127\.0\.0\.1|localhost|\[::1\]):\d+\b`), "HOST:PORT"},
	{regexp.MustCompile(` on [0-9.]+:53`), ""}, // the resolver
	{regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`), "SUBJECT"},
	{regexp.MustCompile(`\b[0-9A-F]{2}(:[0-9A-F]{2}){31}\b`), "FINGERPRINT"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b|\b[0-9a-f]{16}…`), "SHA256"},
	{regexp.MustCompile(`\b[A-Za-z0-9_-]{43}\b`), "THUMBPRINT"},
}

// normalize replaces what differs from run to run. Of two names of which one contains the
// other the longer is replaced.
func (h *firstHour) normalize(text string) string {
	names := slices.SortedFunc(maps.Keys(h.names), func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, name := range names {
		pairs = append(pairs, name, h.names[name])
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	for _, v := range variable {
		text = v.pattern.ReplaceAllString(text, v.word)
	}
	return text
}

// TestFirstHour makes the mistakes of a first hour, one at a time, and compares what
// check, check --live, the server and the client say with golden files. The output
// must name the key to change.
func TestFirstHour(t *testing.T) {
	t.Parallel()
	need(t, "slapd", docker20)
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for _, m := range firstHourMistakes() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			h := newFirstHour(t, d)
			if m.change != nil {
				m.change(t, h)
			}
			if m.run == nil {
				m.run = checkAndLogin
			}
			got := h.normalize(m.run(t, h))
			if !strings.Contains(got, m.key) {
				t.Errorf("the output does not name %q:\n%s", m.key, got)
			}
			compareGolden(t, filepath.Join("testdata", "firsthour", m.name+".txt"), got)
		})
	}
}

// compareGolden compares a text with a golden file, or writes it with -update.
func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with -update", err)
	}
	if got != string(want) {
		t.Errorf("the output is\n%s\nwant %s:\n%s", got, path, want)
	}
}
