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

// TestAuditFileIsRotated: SIGHUP reopens the audit file, even if the configuration on disk
// has a fault, and no line is lost.
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
	rotated := 0
	for range 3 {
		ask()
		if err := os.Rename(audit, audit+".1"); err != nil {
			t.Fatal(err)
		}
		ask() // written to the file that was moved
		write("this is a fault")
		if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(10 * time.Second); lines() == 0; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("SIGHUP did not make a new audit file")
			}
			ask()
		}
		text, err := os.ReadFile(audit + ".1")
		if err != nil {
			t.Fatal(err)
		}
		rotated += strings.Count(string(text), "\n")
	}
	if got := rotated + lines(); got != asked {
		t.Errorf("%d requests left %d lines", asked, got)
	}
}
