package compose

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestStack runs OpenLDAP, the registry and shorepass as processes, with the files that
// compose.yaml gives to the containers; only paths and addresses differ. Dex does not
// run: its people are answered 503.
func TestStack(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"slapd", "slapadd", "registry", "oras"} {
		need(t, program)
	}
	s := &stack{folder: initialized(t), directory: freePort(t), registry: freePort(t), server: freePort(t)}
	s.startDirectory(t)
	s.startRegistry(t)
	s.startServer(t)

	host := fmt.Sprintf("localhost:%d", s.registry)
	alice, bob := s.login(t, host, "alice"), s.login(t, host, "bob")
	if out, err := alice("push", "--plain-http", host+"/team-blue/cargo:1", "shorepass/shorepass.toml"); err != nil {
		t.Errorf("alice pushes into her team's folder: %v\n%s", err, out)
	}
	if out, err := bob("pull", "--plain-http", "--output", "pulled", host+"/team-blue/cargo:1"); err == nil || !strings.Contains(out, "bob") {
		t.Errorf("bob pulls from another's folder: %v\n%s\nwant a sentence that names bob", err, out)
	}

	// A changed rule is in force without a restart.
	s.writeServerConfig(t, "\n[[rule]]\nname = \"bob reads the team's folder\"\nusers = [\"bob\"]\nrepositories = [\"team-blue/**\"]\nactions = [\"pull\"]\n")
	await(t, "bob's new rule", func() error {
		if out, err := bob("pull", "--plain-http", "--output", "pulled", host+"/team-blue/cargo:1"); err != nil {
			return errors.New(out)
		}
		return nil
	})
	if status := s.requestToken(t, "erin@partner.example"); status != http.StatusServiceUnavailable {
		t.Errorf("erin, whose provider does not run: %d, want 503", status)
	}
}

// stack are the processes and their ports.
type stack struct {
	folder                      string
	directory, registry, server int
	binary                      string
}

// read returns a file of the stack with the paths and addresses of this machine.
func (s *stack) read(t *testing.T, name string, replacements ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, name))
	if err != nil {
		t.Fatal(err)
	}
	all := append([]string{"/run/secrets/", s.folder + "/secrets/"}, replacements...)
	for i := 0; i < len(all); i += 2 {
		if !strings.Contains(string(text), all[i]) {
			t.Fatalf("%s lacks %s", name, all[i])
		}
	}
	return strings.NewReplacer(all...).Replace(string(text))
}

func (s *stack) write(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(s.folder, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func (s *stack) startDirectory(t *testing.T) {
	t.Helper()
	database := t.TempDir()
	config := s.write(t, "slapd.conf", s.read(t, "openldap/slapd.conf", "/var/lib/ldap", database, "/tmp/slapd.", database+"/slapd."))
	run := s.read(t, "openldap/run", "/etc/ldap/slapd.conf", config, "ldaps://:1636/", fmt.Sprintf("ldaps://127.0.0.1:%d/", s.directory))
	start(t, exec.Command("sh", s.write(t, "run-slapd", run)), s.directory)
}

func (s *stack) startRegistry(t *testing.T) {
	t.Helper()
	config := s.write(t, "registry.yml", s.read(t, "registry/config.yml", "/var/lib/registry", filepath.Join(s.folder, "data", "registry"),
		`":5000"`, fmt.Sprintf(`"127.0.0.1:%d"`, s.registry), "localhost:5001", fmt.Sprintf("localhost:%d", s.server)))
	cmd := exec.Command("registry", "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	start(t, cmd, s.registry)
}

func (s *stack) startServer(t *testing.T) {
	t.Helper()
	s.binary = filepath.Join(t.TempDir(), "shorepass")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", s.binary, "./cmd/shorepass")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build shorepass: %v\n%s", err, out)
	}
	config := s.writeServerConfig(t, "")
	if out, err := exec.CommandContext(t.Context(), s.binary, "check", "--config", config).CombinedOutput(); err != nil || strings.Contains(string(out), "warning") {
		t.Errorf("shorepass check: %v\n%s", err, out)
	}
	start(t, exec.Command(s.binary, "serve", "--config", config), s.server)
	await(t, "shorepass", func() error {
		res, err := http.Get(fmt.Sprintf("http://localhost:%d/v2/", s.server))
		if err != nil {
			return err
		}
		res.Body.Close()
		if res.StatusCode != http.StatusUnauthorized { // 503 until the store is open
			return errors.New(res.Status)
		}
		return nil
	})
}

// writeServerConfig writes shorepass.toml with further rules.
func (s *stack) writeServerConfig(t *testing.T, rules string) string {
	t.Helper()
	return s.write(t, "etc/shorepass.toml", s.read(t, "shorepass/shorepass.toml",
		`":5001"`, fmt.Sprintf(`"127.0.0.1:%d"`, s.server), "localhost:5001", fmt.Sprintf("localhost:%d", s.server),
		`["ldaps://openldap:1636"]`, fmt.Sprintf(`["ldaps://127.0.0.1:%d"]`, s.directory),
		`tls           = { ca = "/run/secrets/ca.crt" }
bind_dn`, fmt.Sprintf(`tls           = { ca = "%s/secrets/ca.crt", server_name = "openldap" }
bind_dn`, s.folder),
		`"https://dex:5556/dex"`, fmt.Sprintf(`"https://localhost:%d/dex"`, freePort(t)))+rules)
}

// password returns the password that init made for every person.
func (s *stack) password(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.folder, "secrets", "people.password"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// requestToken logs a person in at shorepass itself and returns the status.
func (s *stack) requestToken(t *testing.T, name string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, fmt.Sprintf("http://localhost:%d/jwt/auth?service=registry.example", s.server), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(name, s.password(t))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// login logs a person in, and returns a function that runs oras as that person.
func (s *stack) login(t *testing.T, host, name string) func(args ...string) (string, error) {
	t.Helper()
	if out, err := s.oras(t, name, s.password(t), "login", "--plain-http", host, "-u", name, "--password-stdin"); err != nil {
		t.Fatalf("login as %s: %v\n%s", name, err, out)
	}
	return func(args ...string) (string, error) { return s.oras(t, name, "", args...) }
}

func (s *stack) oras(t *testing.T, person, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "oras", append(args, "--registry-config", filepath.Join(s.folder, person+".json"))...)
	cmd.Dir, cmd.Stdin = s.folder, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// start starts a server, waits until its port is open, and stops it at the end of the
// test. A failed test prints its output.
func start(t *testing.T, cmd *exec.Cmd, port int) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	file, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stdout, cmd.Stderr = file, file
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(log)
			t.Logf("%s printed:\n%s", filepath.Base(cmd.Path), text[max(0, len(text)-3000):])
		}
	})
	await(t, filepath.Base(cmd.Path), func() error {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// await polls until ready returns nil.
func await(t *testing.T, what string, ready func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := ready()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not there: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

var ports atomic.Int32

// freePort returns a port below those that the kernel takes for outgoing connections, on
// which nothing listens.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 14000 + (os.Getpid()*89+int(ports.Add(1)))%5000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// need skips a test without a program, and fails it in CI.
func need(t *testing.T, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: run e2e/install", program)
	}
	t.Skipf("%s is missing: run e2e/install", program)
}
