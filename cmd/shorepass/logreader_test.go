package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const unreadConfig = `
[server]
listen    = %q
log_level = "debug"
[token]
issuer   = "i"
services = ["r"]
[[rule]]
groups       = ["anonymous"]
repositories = ["public/**"]
actions      = ["pull"]
`

// TestServerOutlivesItsLogReader: where the reader of its output blocks or is gone, the
// server answers requests and shuts down.
func TestServerOutlivesItsLogReader(t *testing.T) {
	for name, prepare := range map[string]func(r, w *os.File) error{
		"stopped": func(_, w *os.File) error {
			w.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			w.Write(make([]byte, 1<<20))
			return w.SetWriteDeadline(time.Time{})
		},
		"gone": func(r, _ *os.File) error { return r.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			if err := prepare(r, w); err != nil {
				t.Fatal(err)
			}
			address := freeAddress(t)
			file := filepath.Join(t.TempDir(), "shorepass.toml")
			if err := os.WriteFile(file, fmt.Appendf(nil, unreadConfig, address), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("shorepass", "serve", "--config", file)
			cmd.Stdout, cmd.Stderr = w, w
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- cmd.Wait() }()
			defer cmd.Process.Kill()

			get := func(path string) (int, string) {
				for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
					resp, err := http.Get("http://" + address + path)
					if err != nil && time.Now().Before(deadline) {
						continue
					} else if err != nil {
						t.Fatal(err)
					}
					defer resp.Body.Close()
					if resp.StatusCode == http.StatusServiceUnavailable && time.Now().Before(deadline) {
						continue // it is starting
					}
					text, err := io.ReadAll(resp.Body)
					if err != nil {
						t.Fatal(err)
					}
					return resp.StatusCode, string(text)
				}
			}
			for range 5 {
				if status, text := get("/jwt/auth?service=r&scope=repository:public/app:pull"); status != http.StatusOK {
					t.Errorf("answer = %d %s, want 200", status, text)
				}
			}
			if _, text := get("/metrics"); !strings.Contains(text, "\nshorepass_audit_failures_total 5\n") {
				t.Error("the lost audit lines are not counted")
			}
			if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			select {
			case <-ended:
			case <-time.After(10 * time.Second):
				t.Error("the server does not end")
			}
		})
	}
}

// freeAddress returns an address on this machine with a free port.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
