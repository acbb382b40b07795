package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestAuditFileIsRotated: after SIGHUP a new audit file is begun, also where
// the configuration has a fault by now, and every request has its line.
func TestAuditFileIsRotated(t *testing.T) {
	dir, address := t.TempDir(), freeAddress(t)
	file, audit := filepath.Join(dir, "shorepass.toml"), filepath.Join(dir, "audit.log")
	write := func(format string, args ...any) {
		if err := os.WriteFile(file, fmt.Appendf(nil, format, args...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(unreadConfig+"[audit]\nto = \"file:audit.log\"\n", address)
	cmd := exec.Command("shorepass", "serve", "--config", file)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}()
	isAlive(t, http.DefaultClient, "http://"+address)
	asked := 0
	ask := func() {
		t.Helper()
		resp, err := http.Get("http://" + address + "/jwt/auth?service=r&scope=repository:public/app:pull")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		asked++
	}
	lines := func() int {
		text, err := os.ReadFile(audit)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Count(string(text), "\n")
	}
	kept := 0
	for range 3 {
		ask()
		if err := os.Rename(audit, audit+".1"); err != nil {
			t.Fatal(err)
		}
		ask() // into the file that was moved
		write("this is a fault")
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); lines() == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("no new audit file is begun")
			}
			ask()
		}
		text, err := os.ReadFile(audit + ".1")
		if err != nil {
			t.Fatal(err)
		}
		kept += strings.Count(string(text), "\n")
	}
	if got := kept + lines(); got != asked {
		t.Errorf("%d requests left %d lines", asked, got)
	}
}
