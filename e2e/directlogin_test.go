package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLoginWithoutRegistry logs in at shorepass directly, without a registry.
// Every client whose login tries the password takes shorepass for a registry.
func TestLoginWithoutRegistry(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	alice := testUsers()["alice"]
	for _, c := range clients() {
		if !c.proves {
			continue
		}
		hosts := []string{fmt.Sprintf("localhost:%d", s.port)}
		if strings.HasPrefix(c.name, "docker") {
			hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", s.port)) // which is not in public_urls
		}
		for _, host := range hosts {
			t.Run(c.name+"/"+host, func(t *testing.T) {
				t.Parallel()
				h := newHome(t)
				if out := c.login(t, h, host, alice.name, "wrong-"+alice.password); out.ok || !c.wrongPassword.MatchString(out.text) {
					t.Errorf("login with a wrong password: %v, want a failure that prints %v", out, c.wrongPassword)
				}
				if out := c.login(t, h, host, alice.name, alice.password); !out.ok {
					t.Fatalf("login: %v", out)
				}
				if !strings.HasPrefix(c.name, "docker") {
					return
				}
				token := h.stored(t, host).IdentityToken
				if a := s.redeem(t, token, "repository:team-alpha/app:pull"); a.Status != 200 || a.granted(t) != "repository:team-alpha/app:pull" {
					t.Errorf("redeem the token that the login stored = %v, want an access token to pull", a)
				}
			})
		}
	}
}

// TestGreeting runs the command of "make run" on the example configuration, with
// only the port changed, and pastes the two lines that it prints. The user of
// the example is demo, with the password demo.
func TestGreeting(t *testing.T) {
	t.Parallel()
	need(t, "curl")
	makefile, err := os.ReadFile("../Makefile")
	must(t, err)
	const command = "serve --config config.example.toml --greet demo:demo"
	if !strings.Contains(string(makefile), command) {
		t.Errorf("the Makefile does not have the command %q", command)
	}
	example, err := os.ReadFile("../config.example.toml")
	must(t, err)
	dir, host := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", freePort(t))
	must(t, os.WriteFile(filepath.Join(dir, "config.example.toml"), []byte(strings.ReplaceAll(string(example), "127.0.0.1:5001", host)), 0o600))
	cmd := exec.Command(binary, strings.Fields(command)...)
	cmd.Dir = dir
	server := start(t, "shorepass", cmd)
	server.await(t, 30*time.Second, func() error { return checkOK("http://" + host + "/readyz") })

	if want := "# the password of demo is demo\n"; !strings.Contains(server.output(), want) {
		t.Errorf("the greeting does not have the line %q:\n%s", want, server.output())
	}
	lineToPaste := func(program string) []string {
		for line := range strings.Lines(server.output()) {
			if words := strings.Fields(line); len(words) > 0 && words[0] == program {
				return words
			}
		}
		t.Fatalf("the greeting has no line for %s:\n%s", program, server.output())
		return nil
	}
	login := lineToPaste("docker")
	for _, c := range dockers() {
		t.Run(c.name, func(t *testing.T) {
			program := "docker"
			if c.name == "docker 20.10" {
				program = docker20
			}
			need(t, program)
			h := newHome(t)
			out := execute(t, h.env(), "demo", program, append([]string{"--config", string(h)}, append(login[1:len(login):len(login)], "--password-stdin")...)...)
			if !out.ok || !strings.Contains(out.text, "Login Succeeded") {
				t.Errorf("%s: %v", strings.Join(login, " "), out)
			}
		})
	}
	token := strings.Replace(strings.Join(lineToPaste("curl"), " "), "-u demo ", "-u demo:demo ", 1)
	if out := execute(t, os.Environ(), "", "sh", "-c", token); !out.ok || !strings.Contains(out.text, `"access_token":`) {
		t.Errorf("%s: %v", token, out)
	}
	if !strings.Contains(server.output(), `"granted":["repository:team-demo/app:pull,push"]`) {
		t.Error("the token of the curl line grants no pull and push of team-demo/app")
	}
}
