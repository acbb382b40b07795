package main

import (
	"crypto/tls"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestReadme does what README.md tells its reader to do, in its order, as far
// as that needs no directory and no registry.
func TestReadme(t *testing.T) {
	file, commands := fiveMinutes(t)
	dir := t.TempDir()
	address := freeAddress(t)
	file = strings.Replace(file, `":5001"`, `"`+address+`"`, 1)
	if err := os.WriteFile(filepath.Join(dir, "shorepass.toml"), []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	command := func(line string) *exec.Cmd {
		argv := strings.Fields(line)
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "LDAP_PASSWORD=c4nary")
		return cmd
	}
	run := func(line string, want ...string) {
		t.Helper()
		out, err := command(line).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		for _, part := range want {
			if !strings.Contains(string(out), part) {
				t.Errorf("%s prints no %q:\n%s", line, part, out)
			}
		}
	}
	run("shorepass keys init --certificate server.crt --key server.key") // the server's certificate
	var done []string
	for _, line := range commands {
		name := strings.Fields(line)[1]
		done = append(done, name)
		switch name {
		case "check":
			run(strings.Replace(line, " --live", "", 1), "shorepass.toml is good")
		case "serve":
			cmd := command(line)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				cmd.Process.Signal(syscall.SIGTERM)
				if err := cmd.Wait(); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			}()
			isAlive(t, "https://"+address)
		case "registry-config":
			run(line, `realm: "https://registry-auth.corp.example/jwt/auth"`, `service: "registry.corp.example"`, `issuer: "shorepass"`, filepath.Join("data", "RootCA.crt"))
			if _, err := os.Stat(filepath.Join(dir, "data", "RootCA.crt")); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		case "explain":
			run(line, `granted by "a team owns its folder"`)
		default:
			t.Errorf("README.md has a command that this test does not know: %s", line)
		}
	}
	if want := []string{"check", "serve", "registry-config", "explain"}; !slices.Equal(done, want) {
		t.Errorf("README.md has its reader run %q, want %q", done, want)
	}
}

// fiveMinutes returns the configuration in the README's section for who is new,
// and its shorepass commands.
func fiveMinutes(t *testing.T) (file string, commands []string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "\n## A registry in five minutes\n")
	if !found {
		t.Fatal("README.md has no section for who is new")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var toml strings.Builder
	for line := range strings.Lines(section) {
		code, isCode := strings.CutPrefix(line, "    ") // of a paragraph, or of a step
		switch code = strings.TrimSpace(code); {
		case strings.HasPrefix(code, "shorepass "):
			commands = append(commands, code)
		case isCode && !strings.HasPrefix(code, "docker ") && len(commands) == 0:
			toml.WriteString(code + "\n")
		}
	}
	return toml.String(), commands
}

// isAlive waits until a server with a certificate of its own says that it lives.
func isAlive(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get(url + "/healthz")
		if err == nil {
			resp.Body.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not alive: %v", url, err)
		}
	}
}
