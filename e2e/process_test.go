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

// process is a server that a test started.
type process struct {
	cmd  *exec.Cmd
	log  string        // path of what it writes on both outputs
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read after done
}

// start runs a server until the end of the test; its log is shown when the
// test fails.
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

// stop ends the process with SIGTERM and returns how it went. It may be
// called again.
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
		return errors.New("did not end within 20s of SIGTERM")
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

// await waits until ready returns nil, the process has ended, or limit is over.
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
			t.Fatalf("%s ended: %v\n%s", filepath.Base(p.log), p.err, tail(p.output(), 40))
		case <-deadline:
			t.Fatalf("%s is not ready after %v: %v\n%s", filepath.Base(p.log), limit, err, tail(p.output(), 40))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// ports counts the ports that were given out.
var ports atomic.Int32

// freePort returns a port that nobody listens on. It is below those that the
// kernel gives to outgoing connections, so that nobody takes it between its
// choice and its use.
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
