package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
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

// TestReadme runs the commands of README.md in their order and as printed, as far as they
// need no directory and no registry. It changes the port, in the configuration and in the
// commands, and resolves the server's name to this machine.
func TestReadme(t *testing.T) {
	const printedPort, host = ":5001", "registry-auth.corp.example"
	file, commands := fiveMinutes(t)
	_, number, err := net.SplitHostPort(freeAddress(t))
	if err != nil {
		t.Fatal(err)
	}
	port := ":" + number
	dir := t.TempDir()
	certificate := filepath.Join(dir, "server.crt")
	writeCertificate(t, certificate, filepath.Join(dir, "server.key"), x509.Certificate{DNSNames: []string{host}})
	client := clientOf(t, host, certificate)
	configure := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "shorepass.toml"), []byte(strings.ReplaceAll(text, printedPort, port)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure(file)
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
	realm := "https://" + host + port + "/jwt/auth"
	var done []string
	for _, line := range commands {
		line = strings.ReplaceAll(line, printedPort, port)
		words := strings.Fields(line)
		done = append(done, words[1])
		switch words[1] {
		case "check":
			offline := strings.Replace(line, " --live", "", 1)
			run(offline, "shorepass.toml is good")
			configure(withPrivateCA(t, dir, file))
			run(offline, "shorepass.toml is good")
			configure(file)
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
			isAlive(t, client, "https://"+host+port)
		case "registry-config":
			run(line, fmt.Sprintf("realm: %q", realm), `service: "registry.corp.example"`, `issuer: "shorepass"`, filepath.Join("data", "RootCA.crt"))
			if _, err := os.Stat(filepath.Join(dir, "data", "RootCA.crt")); err != nil {
				t.Errorf("%s: %v", line, err)
			}
		case "login":
			if words[2] == "registry.corp.example" {
				continue // there is no registry
			}
			// As docker does: the version check, then the token endpoint of its challenge.
			challenge := status(t, client, "https://"+words[2]+"/v2/", http.StatusUnauthorized).Get("WWW-Authenticate")
			if !strings.Contains(challenge, fmt.Sprintf("realm=%q", realm)) {
				t.Errorf("%s: the challenge is %q, want the realm %s", line, challenge, realm)
			}
			status(t, client, realm+"?service=registry.corp.example", http.StatusUnauthorized)
		case "explain":
			if strings.Contains(line, " --live") {
				continue // there is no directory
			}
			run(line, `granted by "a team owns its folder"`)
		default:
			t.Errorf("README.md has an unknown command: %s", line)
		}
	}
	if want := []string{"check", "serve", "registry-config", "login", "login", "explain", "explain"}; !slices.Equal(done, want) {
		t.Errorf("README.md has the commands %q, want %q", done, want)
	}
}

// TestReadmeNamesBinary: the folder that README.md adds to the PATH is the one to which
// make build writes the binary.
func TestReadmeNamesBinary(t *testing.T) {
	for file, want := range map[string]string{"../../README.md": `export PATH="$PWD/bin:$PATH"`, "../../Makefile": "BIN := $(CURDIR)/bin\n"} {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s does not say %q (%v)", file, want, err)
		}
	}
}

// withPrivateCA returns the configuration with the commented line of the directory's
// private CA in force, and writes that CA's file.
func withPrivateCA(t *testing.T, dir, file string) string {
	t.Helper()
	if err := os.Link(filepath.Join(dir, "server.crt"), filepath.Join(dir, "corp-ca.crt")); err != nil {
		t.Fatal(err)
	}
	with := strings.Replace(file, `#tls   = { ca = "corp-ca.crt" }`, `tls = { ca = "corp-ca.crt" }`, 1)
	if with == file {
		t.Error("README.md has no line for a private CA of the directory")
	}
	return with
}

// fiveMinutes returns the configuration and the commands of README.md's section for new
// users.
func fiveMinutes(t *testing.T) (file string, commands []string) {
	t.Helper()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(readme), "\n## A registry in five minutes\n")
	if !found {
		t.Fatal("README.md has no section for new users")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var toml strings.Builder
	for line := range strings.Lines(section) {
		code, isCode := strings.CutPrefix(line, "    ") // of a paragraph, or of a step
		switch code = strings.TrimSpace(code); {
		case strings.HasPrefix(code, "shorepass "), strings.HasPrefix(code, "docker "):
			commands = append(commands, code)
		case isCode && len(commands) == 0:
			toml.WriteString(code + "\n")
		}
	}
	return toml.String(), commands
}

// clientOf returns a client that resolves the host to this machine, at any port, and
// trusts only the certificate.
func clientOf(t *testing.T, host, certificate string) *http.Client {
	t.Helper()
	pem, err := os.ReadFile(certificate)
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		name, port, err := net.SplitHostPort(address)
		if err != nil || name != host {
			return nil, fmt.Errorf("%s is not %s", address, host)
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: trusted}, DisableKeepAlives: true}}
}

// isAlive waits until a server answers requests.
func isAlive(t *testing.T, client *http.Client, url string) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get(url + "/v2/")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusUnauthorized {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s is not alive: %v", url, err)
		}
	}
}

// status sends a GET, checks the status, and returns the header.
func status(t *testing.T, client *http.Client, url string, want int) http.Header {
	t.Helper()
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != want {
		t.Errorf("GET %s: status %d, want %d", url, resp.StatusCode, want)
	}
	return resp.Header
}
