package packaging

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// included are the packages of the fresh root, beyond a minimal Debian. The second line is
// what the walks of the pages need, which have no network; netavark is what debootstrap does
// not find out that skopeo depends on.
const included = "systemd,systemd-sysv,dbus,curl,logrotate," +
	"sudo,openssl,ca-certificates,docker-registry,skopeo,netavark"

// debian returns the folder of a minimal Debian, which debootstrap makes once, in about a
// minute. It is kept in .tools, under a name that says what is in it.
func debian(t *testing.T) string {
	t.Helper()
	need(t, "debootstrap")
	const suite = "bookworm"
	kept := filepath.Join(top, ".tools", fmt.Sprintf("debian-%s-%.6x", suite, sha256.Sum256([]byte(included))))
	lock, err := os.OpenFile(kept+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(kept); err == nil {
		return kept
	}
	unfinished := kept + ".unfinished"
	if err := os.RemoveAll(unfinished); err != nil {
		t.Fatal(err)
	}
	command(t, "debootstrap", "--variant=minbase", "--include="+included, suite, unfinished)
	for _, unneeded := range []string{"var/cache/apt/archives", "var/lib/apt/lists", "usr/share/locale", "usr/share/doc"} {
		if err := os.RemoveAll(filepath.Join(unfinished, unneeded)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(unfinished, kept); err != nil {
		t.Fatal(err)
	}
	return kept
}

// machine is a fresh root with a Debian, and what runs in it.
type machine struct {
	root string
	init int // process id of its systemd; 0 while it is not running
}

// newMachine returns a machine that is not running: an overlay of the kept root or, where
// the kernel allows none, a copy.
func newMachine(t *testing.T) *machine {
	t.Helper()
	base, dir := debian(t), t.TempDir()
	upper, work, root := filepath.Join(dir, "upper"), filepath.Join(dir, "work"), filepath.Join(dir, "root")
	for _, folder := range []string{upper, work, root} {
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mount("overlay", root, "overlay", 0, "lowerdir="+base+",upperdir="+upper+",workdir="+work); err == nil {
		t.Cleanup(func() { _ = syscall.Unmount(root, syscall.MNT_DETACH) })
	} else {
		command(t, "cp", "--archive", base+"/.", root)
	}
	return &machine{root: root}
}

// put copies a file into the machine, and returns its path there.
func (m *machine) put(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	inside := "/root/" + filepath.Base(name)
	m.write(t, inside, string(data))
	return inside
}

// write writes a file in the machine, and keeps the owner and the mode of one that exists.
func (m *machine) write(t *testing.T, name, text string) {
	t.Helper()
	full := filepath.Join(m.root, name)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// exec runs a shell script in the machine for a minute at most.
func (m *machine) exec(t *testing.T, script string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := m.command(ctx, "sh", "-euc", script).CombinedOutput()
	return string(out), err
}

// command returns a command in the machine, which runs as root.
func (m *machine) command(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{"chroot", m.root}
	if m.init != 0 {
		enter = []string{"nsenter", "--target", fmt.Sprint(m.init), "--mount", "--uts", "--ipc", "--net", "--pid"}
	}
	enter = append(enter, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin")
	cmd := exec.CommandContext(ctx, enter[0], append(enter[1:], args...)...)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// run runs a script that must succeed, and returns what it prints.
func (m *machine) run(t *testing.T, script string) string {
	t.Helper()
	out, err := m.exec(t, script)
	if err != nil {
		t.Fatalf("%s: %v\n%s\n%s", script, err, out, m.journal(t))
	}
	return strings.TrimSpace(out)
}

// fails runs a script that must fail, and returns what it prints.
func (m *machine) fails(t *testing.T, script string) string {
	t.Helper()
	out, err := m.exec(t, script)
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || exit.ExitCode() < 0 {
		t.Fatalf("%s: %v, want a failure\n%s\n%s", script, err, out, m.journal(t))
	}
	return strings.TrimSpace(out)
}

// until runs a script until it prints all of the texts, for half a minute.
func (m *machine) until(t *testing.T, script string, want ...string) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out, _ := m.exec(t, script)
		if containsAll(out, want) {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s prints\n%s\nwant %q\n%s", script, out, want, m.journal(t))
		}
	}
}

func containsAll(text string, parts []string) bool {
	for _, part := range parts {
		if !strings.Contains(text, part) {
			return false
		}
	}
	return true
}

// journal returns the last lines of the service's log.
func (m *machine) journal(t *testing.T) string {
	if m.init == 0 {
		return ""
	}
	out, _ := m.exec(t, "systemctl status --no-pager --lines=25 shorepass.service || true")
	return out
}
