package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
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

// TestReadmeFiveMinutes (F2) follows the README's section for new users to the letter:
// its configuration, its commands in their order, a domain controller, a registry and
// docker. It substitutes only what belongs to another network:
//
//   - the port in listen, for a free one. The ports in URLs and commands stay: a proxy
//     leads each host and port of the README to the one of this machine;
//   - the URLs and DNs of the directory. The line of the private CA is in force, as the
//     README says for a directory with one.
func TestReadmeFiveMinutes(t *testing.T) {
	t.Parallel()
	need(t, "script", distributions[1].program, docker20)
	config, commands := readmeSteps(t, "A registry in five minutes")
	d := ldaptest.StartSamba(t, ldaptest.SambaOptions{})
	d.Add(t, d.Group("team-blue"), ldaptest.Attributes{"objectClass": {"group"}, "sAMAccountName": {"team-blue"}, "groupType": {"-2147483646"}, "member": {d.Person("alice")}})
	ca := ldaptest.NewAuthority(t)
	dir, port, registryPort := t.TempDir(), freePort(t), freePort(t)
	install(t, ca, filepath.Join(dir, "server"), "registry-auth.corp.example")
	copyFile(t, d.CA, filepath.Join(dir, "corp-ca.crt"))
	config = substitute(t, config,
		`":5001"`, fmt.Sprintf(`"127.0.0.1:%d"`, port),
		`["ldaps://dc1.corp.example", "ldaps://dc2.corp.example"]`, fmt.Sprintf("[%q]", d.LDAPS),
		`#tls   = { ca = "corp-ca.crt" }`, `tls = { ca = "corp-ca.crt" }`,
		`"cn=shorepass,ou=services,dc=corp,dc=example"`, fmt.Sprintf("%q", d.BindDN),
		`"ou=groups,dc=corp,dc=example"`, fmt.Sprintf("%q", d.Groups),
		`"dc=corp,dc=example"`, fmt.Sprintf("%q", d.Base))
	must(t, os.WriteFile(filepath.Join(dir, "shorepass.toml"), []byte(config), 0o600))

	term := newTerminal(t, dir, "LDAP_PASSWORD="+secrets.add("service account's password", d.Password), "SSL_CERT_FILE="+ca.CA,
		"HTTPS_PROXY="+leadTo(t, map[string]string{
			"registry-auth.corp.example:5001": fmt.Sprintf("127.0.0.1:%d", port),
			"registry.corp.example:443":       fmt.Sprintf("127.0.0.1:%d", registryPort),
		}))
	var done []string
	for _, line := range commands {
		words := strings.Fields(line)
		done = append(done, words[1])
		var out []byte
		var err error
		want := ""
		switch words[1] {
		case "serve":
			p := start(t, "shorepass", term.command(line))
			t.Cleanup(func() {
				if err := p.stop(); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			})
			p.await(t, 30*time.Second, func() error { return prints(p, `"msg":"made a root certificate`, `"msg":"listening"`) })
			continue
		case "login":
			want = "Login Succeeded"
			out, err = term.typed(line, "alice", pw1("alice"))
		default:
			want = map[string]string{"check": "shorepass.toml is good", "registry-config": "rootcertbundle", "explain": `granted by "a team owns its folder"`}[words[1]]
			out, err = term.command(line).CombinedOutput()
		}
		if err != nil || want == "" || !strings.Contains(string(out), want) {
			t.Fatalf("%s: %v, want %q:\n%s", line, err, want, out)
		}
		if words[1] == "registry-config" {
			tlsRegistry(t, ca, registryPort, regexp.MustCompile(`(?s)auth:.*`).FindString(string(out)))
		}
	}
	// The sentence after the steps has one more command.
	if out, err := term.command("shorepass check --registry https://registry.corp.example").CombinedOutput(); err != nil {
		t.Errorf("shorepass check --registry: %v\n%s", err, out)
	}
	if want := []string{"check", "serve", "registry-config", "login", "login", "explain", "explain"}; !slices.Equal(done, want) {
		t.Errorf("README.md has the commands %q, want %q", done, want)
	}
}

// TestReadmeTwoCommands (F2) does what make run does, and then pastes the lines that the
// server prints. The port of the example is substituted.
func TestReadmeTwoCommands(t *testing.T) {
	t.Parallel()
	need(t, "script", "curl", docker20)
	makefile, err := os.ReadFile("../Makefile")
	must(t, err)
	run := regexp.MustCompile(`(?m)^\t\$\(BIN\)/(shorepass serve --config config\.example\.toml --greet demo:demo)$`).FindStringSubmatch(string(makefile))
	if run == nil {
		t.Fatal("Makefile does not serve config.example.toml")
	}
	example, err := os.ReadFile("../config.example.toml")
	must(t, err)
	dir, port := t.TempDir(), freePort(t)
	must(t, os.WriteFile(filepath.Join(dir, "config.example.toml"), []byte(substitute(t, string(example), `"127.0.0.1:5001"`, fmt.Sprintf(`"127.0.0.1:%d"`, port))), 0o600))
	term := newTerminal(t, dir)
	p := start(t, "shorepass", term.command(run[1]))
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	var lines []string
	p.await(t, 30*time.Second, func() error {
		lines = regexp.MustCompile(`(?m)^  (?:docker|curl) .*$`).FindAllString(p.output(), -1)
		if len(lines) < 2 {
			return fmt.Errorf("it has printed %d lines to paste, want two", len(lines))
		}
		return prints(p, "the password of demo is demo")
	})
	for i, want := range []string{"Login Succeeded", `"access_token":"`} {
		out, err := term.typed(strings.TrimSpace(lines[i]), "demo")
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v, want %q:\n%s", lines[i], err, want, out)
		}
	}
}

// readmeSteps returns the configuration and the commands in a section of README.md.
func readmeSteps(t *testing.T, title string) (config string, commands []string) {
	t.Helper()
	readme, err := os.ReadFile("../README.md")
	must(t, err)
	_, section, found := strings.Cut(string(readme), "\n## "+title+"\n")
	if !found {
		t.Fatalf("README.md has no section %q", title)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		code, isCode := strings.CutPrefix(line, "    ")
		switch text := strings.TrimSpace(code); {
		case strings.HasPrefix(text, "shorepass "), strings.HasPrefix(text, "docker "):
			commands = append(commands, text)
		case isCode && len(commands) == 0:
			config += text + "\n"
		}
	}
	return config, commands
}

// substitute replaces texts that must be there.
func substitute(t *testing.T, text string, pairs ...string) string {
	t.Helper()
	for pair := range slices.Chunk(pairs, 2) {
		if !strings.Contains(text, pair[0]) {
			t.Fatalf("there is no %s to substitute", pair[0])
		}
		text = strings.ReplaceAll(text, pair[0], pair[1])
	}
	return text
}

// terminal runs commands as a person types them, in a folder.
type terminal struct {
	dir string
	env []string
}

// newTerminal returns a terminal with shorepass and docker 20.10 on the PATH, and an empty
// home. env are further variables.
func newTerminal(t *testing.T, dir string, env ...string) terminal {
	t.Helper()
	bin := t.TempDir()
	for name, program := range map[string]string{"shorepass": binary, "docker": docker20} {
		full, err := filepath.Abs(program)
		must(t, err)
		must(t, os.Symlink(full, filepath.Join(bin, name)))
	}
	return terminal{dir, append(append(newHome(t).env(), "PATH="+bin+":"+os.Getenv("PATH")), env...)}
}

func (t terminal) command(line string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", "exec "+line)
	cmd.Dir, cmd.Env = t.dir, t.env
	return cmd
}

// typed runs a command that prompts, and types the answers.
func (t terminal) typed(line string, answers ...string) ([]byte, error) {
	cmd := exec.Command("script", "--quiet", "--return", "--command", line, "/dev/null")
	cmd.Dir, cmd.Env, cmd.Stdin = t.dir, t.env, strings.NewReader(strings.Join(answers, "\n")+"\n")
	return cmd.CombinedOutput()
}

// leadTo starts an HTTP proxy that leads hosts with ports to other addresses, and returns
// its URL.
func leadTo(t *testing.T, addresses map[string]string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	proxy := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		address, known := addresses[r.Host]
		if r.Method != http.MethodConnect || !known {
			http.Error(w, r.Host+" is not a host of the README", http.StatusBadGateway)
			return
		}
		there, err := net.Dial("tcp", address)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			defer here.Close()
			io.Copy(here, there)
		}()
		io.Copy(there, here)
	})}
	go proxy.Serve(listener)
	t.Cleanup(func() { proxy.Close() })
	return "http://" + listener.Addr().String()
}

// tlsRegistry starts registry.corp.example with a block of its configuration.
func tlsRegistry(t *testing.T, ca *ldaptest.Authority, port int, block string) *process {
	t.Helper()
	dir := t.TempDir()
	install(t, ca, filepath.Join(dir, "registry"), "registry.corp.example")
	config := filepath.Join(dir, "config.yml")
	must(t, os.WriteFile(config, []byte(fmt.Sprintf(`
version: 0.1
storage: {filesystem: {rootdirectory: %s}}
http: {addr: "127.0.0.1:%d", tls: {certificate: %[3]s.crt, key: %[3]s.key}}
%[4]s
`, dir, port, filepath.Join(dir, "registry"), block)), 0o644))
	cmd := exec.Command(distributions[1].program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	p := start(t, "registry", cmd)
	p.await(t, 30*time.Second, func() error { return dialable(fmt.Sprintf("127.0.0.1:%d", port)) })
	return p
}

// prints returns an error until a process has printed every part.
func prints(p *process, parts ...string) error {
	for _, part := range parts {
		if !strings.Contains(p.output(), part) {
			return fmt.Errorf("it has not printed %s", part)
		}
	}
	return nil
}

// dialable returns an error unless something listens at an address.
func dialable(address string) error {
	c, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	return c.Close()
}

// install issues a certificate for a host, and writes it and its key to name.crt and
// name.key.
func install(t *testing.T, ca *ldaptest.Authority, name, host string) {
	t.Helper()
	certificate, key := ca.Issue(t, host)
	copyFile(t, certificate, name+".crt")
	copyFile(t, key, name+".key")
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o600))
}
