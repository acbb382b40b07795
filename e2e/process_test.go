package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// process is a server process that a test started.
type process struct {
	cmd  *exec.Cmd
	log  string        // path of the file with its stdout and stderr
	done chan struct{} // closed when it has exited
	err  error         // of its exit; read after done
}

// logNumber makes the names of log files unique.
var logNumber atomic.Int64

// start starts a server and stops it at the end of the test. A failed test
// prints the end of the server's output.
func start(t *testing.T, name string, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{})}
	p.log = filepath.Join(logDir, fmt.Sprintf("%s-%d.log", name, logNumber.Add(1)))
	out, err := os.Create(p.log)
	if err != nil {
		t.Fatalf("open the log of %s: %v", name, err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, tail(p.output(), 25))
		}
	})
	return p
}

// stop sends SIGTERM, waits for the exit and returns its error. After 20 s it
// kills the process. It may be called again.
func (p *process) stop() error {
	select {
	case <-p.done:
		return p.err
	default:
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return p.err
	case <-time.After(20 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
		return errors.New("still running 20s after SIGTERM")
	}
}

// output returns everything that the process has written so far.
func (p *process) output() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// await polls ready until it returns nil. It fails the test if the process exits
// first, or at the limit.
func (p *process) await(t *testing.T, limit time.Duration, ready func() error) {
	t.Helper()
	deadline := time.After(limit)
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-p.done:
			t.Fatalf("%s exited: %v\n%s", filepath.Base(p.log), p.err, tail(p.output(), 40))
		case <-deadline:
			t.Fatalf("%s is not ready after %v: %v\n%s", filepath.Base(p.log), limit, err, tail(p.output(), 40))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// tail returns the last lines of a text.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// ports counts the ports that freePort tried.
var ports atomic.Int32

// freePort returns a port on which no process listens. It is below the range
// that the kernel uses for outgoing connections, so that none of them takes the
// port before the server listens on it.
func freePort(t *testing.T) int {
	t.Helper()
	for range 1000 {
		port := 20000 + (os.Getpid()*97+int(ports.Add(1)))%12000
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		return port
	}
	t.Fatal("no free port")
	return 0
}
