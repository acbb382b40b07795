package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shorepass/config"
	"shorepass/providers"
)

// systemdSocket is a socket of systemd's kind.
type systemdSocket struct {
	*net.UnixConn
	env string // for a process that is to notify it
}

func listenAsSystemd(t *testing.T) systemdSocket {
	t.Helper()
	name := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return systemdSocket{conn, "NOTIFY_SOCKET=" + name}
}

// until receives messages until one has all of these parts, and returns it.
func (s systemdSocket) until(t *testing.T, parts ...string) string {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 8<<10)
	var received []string
	for {
		n, err := s.Read(buffer)
		if err != nil {
			t.Fatalf("no message with %q: %v; received\n%s", parts, err, strings.Join(received, "\n"))
		}
		message := string(buffer[:n])
		received = append(received, message)
		has := 0
		for _, part := range parts {
			if strings.Contains(message, part) {
				has++
			}
		}
		if has == len(parts) {
			return message
		}
	}
}

// TestSystemdIsTold: systemd hears of the start, of each reload and its outcome, of the
// shutdown, and meanwhile that the server lives.
func TestSystemdIsTold(t *testing.T) {
	t.Parallel()
	systemd, dir := listenAsSystemd(t), t.TempDir()
	s := startServe(t, dir, "", "", systemd.env, "WATCHDOG_USEC=300000")
	systemd.until(t, "EXTEND_TIMEOUT_USEC=60000000", "STATUS=opening the store")
	systemd.until(t, "READY=1", "STATUS=serving 1 services, 0 providers, 1 rules")
	systemd.until(t, "WATCHDOG=1")

	hangUp := func() {
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	}
	hangUp()
	systemd.until(t, "RELOADING=1", "MONOTONIC_USEC=")
	systemd.until(t, "READY=1", "STATUS=serving")

	file := filepath.Join(dir, "shorepass.toml")
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	writeAndHangUp := func(text []byte) {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		hangUp()
	}
	writeAndHangUp(append(good, "\n[audit]\nto = \"canary-4711\"\n"...))
	systemd.until(t, "RELOADING=1")
	refused := systemd.until(t, "READY=1", "by an older configuration; the one on disk is refused: "+file, ": audit.to; the log has the reason")
	if strings.Contains(refused, "canary") {
		t.Errorf("the status, which every user may read, has a value of the configuration: %s", refused)
	}
	writeAndHangUp(good)
	systemd.until(t, "READY=1", "STATUS=serving 1 services, 0 providers, 1 rules")
	systemd.until(t, "WATCHDOG=1")

	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	systemd.until(t, "STOPPING=1", "STATUS=shutting down")
	if err := <-s.ended; err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
}

// TestSystemdWaitsForTheStore: the timeout of a start does not end a server that waits for
// its database.
func TestSystemdWaitsForTheStore(t *testing.T) {
	t.Parallel()
	systemd, dir := listenAsSystemd(t), t.TempDir()
	for _, args := range [][]string{{"--seal-key", "seal.key"}, {"--certificate", "RootCA.crt", "--key", "RootCA.key"}} {
		cmd := exec.Command("shorepass", append([]string{"keys", "init"}, args...)...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	s := startServe(t, dir, "root_certificate = \"RootCA.crt\"\nroot_key = \"RootCA.key\"\n",
		"store = \"postgres://shorepass:canary-4711@127.0.0.1:1/shorepass\"\nseal_key = { file = \"seal.key\" }\n", systemd.env)
	systemd.until(t, "EXTEND_TIMEOUT_USEC=60000000")
	if text := systemd.until(t, "STATUS=waiting for the store (postgres), which is unavailable"); strings.Contains(text, "canary") {
		t.Errorf("the status has the password of the store: %s", text)
	}
	s.stop(t)
}

// TestSystemdIsToldWhatEndsAStart: the status of a failed unit says where the fault is.
func TestSystemdIsToldWhatEndsAStart(t *testing.T) {
	t.Parallel()
	systemd, dir := listenAsSystemd(t), t.TempDir()
	s := startServe(t, dir, "nonsense = 1\n", "", systemd.env)
	systemd.until(t, "STATUS=the configuration is refused: "+s.cmd.Args[3]+":", ": token.nonsense")
	if exit, ok := errors.AsType[*exec.ExitError](<-s.ended); !ok || exit.ExitCode() != exitConfig {
		t.Errorf("the server ends with %v, want exit code %d", exit, exitConfig)
	}

	check := exec.Command("shorepass", "check", "--config", s.cmd.Args[3])
	check.Env = append(os.Environ(), systemd.env)
	if err := check.Run(); err == nil {
		t.Error("check accepts it")
	}
	systemd.until(t, "STATUS=serving by an older configuration; shorepass ", " refuses the one on disk: ", ": token.nonsense")
}

func TestFaultPlace(t *testing.T) {
	fault := func(line int, key string) error {
		return &config.Fault{File: "/etc/shorepass/shorepass.toml", Line: line, Key: key, Problem: "a reason with a value"}
	}
	for _, test := range []struct {
		name string
		err  error
		want string
	}{
		{"one", fault(3, "server.listne"), "/etc/shorepass/shorepass.toml:3: server.listne; the log has the reason"},
		{"several", configError{errors.Join(fault(3, "a"), fault(4, "b"), fault(5, "c"))}, "/etc/shorepass/shorepass.toml:3: a, and 2 more; the log has the reasons"},
		{"the file itself", fault(0, ""), "/etc/shorepass/shorepass.toml; the log has the reason"},
		{"a key", fmt.Errorf("x: %w", providers.WithKey("server.tls", errors.New("no such file"))), "server.tls; the log has the reason"},
		{"neither", errors.New("secret"), "the log has the reason"},
	} {
		if got := faultPlace(test.err); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
