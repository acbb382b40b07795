package packaging

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// powerOff is SIGRTMIN+4, at which systemd powers its machine off.
const powerOff = syscall.Signal(34 + 4)

// boot starts the machine's own systemd in a container without a network. The container
// is stopped when the test ends, and when the process of the tests ends in any way.
func (m *machine) boot(t *testing.T) {
	t.Helper()
	need(t, "systemd-nspawn", "nsenter")
	log, err := os.Create(filepath.Join(t.TempDir(), "nspawn"))
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("shorepass-test-%d-%d", os.Getpid(), time.Now().UnixNano())
	nspawn := exec.Command("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--machine="+name,
		"--directory="+m.root, "--boot", "--private-network", "--console=pipe")
	nspawn.Stdout, nspawn.Stderr = log, log
	nspawn.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started, ended := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // Pdeathsig goes by the thread that started the process
		defer close(ended)
		err := nspawn.Start()
		started <- err
		if err == nil {
			_ = nspawn.Wait() // its exit code is the container's
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("systemd-nspawn: %v", err)
	}
	t.Cleanup(func() {
		if m.init != 0 {
			_ = syscall.Kill(m.init, powerOff)
		}
		for _, last := range []func() error{func() error { return syscall.Kill(m.init, syscall.SIGKILL) }, nspawn.Process.Kill} {
			select {
			case <-ended:
			case <-time.After(20 * time.Second):
				t.Error("the container does not stop")
				_ = last()
			}
		}
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("systemd-nspawn printed:\n%s", text)
		}
		log.Close()
	})
	for deadline := time.Now().Add(30 * time.Second); m.init == 0; time.Sleep(20 * time.Millisecond) {
		m.init = systemdOf(nspawn.Process.Pid)
		if time.Now().After(deadline) {
			t.Fatal("systemd-nspawn starts no systemd")
		}
	}
	// Degraded is good enough: about one boot in twenty has another of Debian's own units
	// fail, where several machines boot on two cores.
	m.until(t, "case $(systemctl is-system-running) in running | degraded) echo booted ;; esac", "booted")
}

// systemdOf returns the child of a process that is a systemd, or 0.
func systemdOf(pid int) int {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		text, _ := os.ReadFile(list)
		for child := range strings.FieldsSeq(string(text)) {
			if name, _ := os.ReadFile("/proc/" + child + "/comm"); string(name) == "systemd\n" {
				pid, _ := strconv.Atoi(child)
				return pid
			}
		}
	}
	return 0
}
