package ldaptest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// startTimeout is how long a server may take to answer after its start.
const startTimeout = time.Minute

// skipOrFail skips the test, or fails it with CI=true.
func skipOrFail(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s, and with CI=true no test is skipped", what)
	}
	t.Skip(what)
}

// findProgram returns the path of a program, from PATH or a folder for administrators.
// It skips the test if the program is not installed.
func findProgram(t testing.TB, name, apt string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/libexec"} {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	skipOrFail(t, "needs "+name+": apt-get install --no-install-recommends "+apt)
	return ""
}

// process is a server's process and its output.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once the process has ended
	out   *output
}

// startProcess starts a program, which is killed at the end of the test.
func startProcess(t testing.TB, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(name, args...), ended: make(chan struct{}), out: &output{}}
	p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // signals reach its children too
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // an error is expected: the process is killed
		close(p.ended)
	}()
	t.Cleanup(p.kill)
	return p
}

// signal sends a signal to the process and its children.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.ended:
	default:
		_ = syscall.Kill(-p.cmd.Process.Pid, s) // fails if the process ended just now
	}
}

// stopped reports whether all threads of the process are stopped. SIGSTOP takes effect
// with a delay.
func (p *process) stopped() bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.cmd.Process.Pid))
	if err != nil || len(tasks) == 0 {
		return false
	}
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		// The state follows the name, which is in parentheses.
		if i := bytes.LastIndex(stat, []byte(") ")); err == nil && (i < 0 || i+2 >= len(stat) || stat[i+2] != 'T') {
			return false
		}
	}
	return true
}

// kill kills the process, even a stopped one, and waits for its end.
func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.ended
}

// terminate sends SIGTERM and waits for the end, and kills the process after a while.
func (p *process) terminate() {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		p.kill()
	}
}

// await calls ready until it returns no error, and fails the test after startTimeout.
func (p *process) await(t testing.TB, what string, ready func() error) {
	t.Helper()
	if err := p.awaitError(ready); err != nil {
		t.Fatalf("%s does not answer: %v\n%s", what, err, p.out.tail())
	}
}

func (p *process) awaitError(ready func() error) error {
	deadline := time.Now().Add(startTimeout)
	for {
		err := ready()
		if err == nil {
			return nil
		}
		select {
		case <-p.ended:
			return errors.Join(errors.New("the process has ended"), err)
		case <-time.After(15 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return err
		}
	}
}

// maxOutput bounds the part of a server's output that is stored.
const maxOutput = 32 << 20

// output stores what a server prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < maxOutput {
		o.text.Write(b)
	}
	return len(b), nil
}

func (o *output) string() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// tail returns the end of the output, for a failure message.
func (o *output) tail() string {
	text := o.string()
	return text[max(0, len(text)-4000):]
}

// FreePort returns a TCP port that is not in use.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
