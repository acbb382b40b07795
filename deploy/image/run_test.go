package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestImageRuns: the image answers logins from its own root file system, which is
// read-only, as its user and without capabilities. All that it writes is in the data
// folder, for its user only.
func TestImageRuns(t *testing.T) {
	t.Parallel()
	need(t, "bwrap")
	if os.Getuid() != 0 {
		t.Skip("only root can give the files of the image their owner")
	}
	root := extract(t)
	must(t, os.Chmod(root+dataFolder, 0o777|os.ModeSetgid)) // a volume of Kubernetes is like this
	port := 20000 + rand.IntN(12000)                        // below the ports of outgoing connections
	must(t, os.WriteFile(filepath.Join(root, "etc/shorepass/shorepass.toml"), fmt.Appendf(nil, `
[server]
listen = "127.0.0.1:%d"
[token]
issuer = "shorepass"
services = ["registry.corp.example"]
[[provider]]
name = "local"
kind = "file"
[[provider.user]]
name = "demo"
password = %q
[[rule]]
name = "all"
groups = ["authenticated"]
repositories = ["**"]
actions = ["pull"]
`, port, hash(t, root)), 0o644))
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	server := inImage(root)
	var output bytes.Buffer
	server.Stdout, server.Stderr = &output, &output
	must(t, server.Start())
	defer func() {
		must(t, server.Process.Signal(syscall.SIGTERM))
		_ = server.Wait() // bwrap passes SIGTERM on by dying
		if t.Failed() {
			t.Logf("shorepass printed:\n%s", &output)
		}
	}()
	awaitReady(t, url)

	request, err := http.NewRequest("GET", url+"/jwt/auth?service=registry.corp.example&scope=repository:a/b:pull", nil)
	must(t, err)
	request.SetBasicAuth("demo", "demo")
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	var token struct{ Token string }
	if err := json.Unmarshal(body, &token); err != nil || token.Token == "" {
		t.Errorf("a login was answered %s %s, want a token", response.Status, body)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "RootCA.key": 0o600, "seal.key": 0o600, "shorepass.db": 0o600} {
		info, err := os.Stat(filepath.Join(root, "var/lib/shorepass/data", name))
		must(t, err)
		if owner := info.Sys().(*syscall.Stat_t).Uid; info.Mode().Perm() != want || owner != user {
			t.Errorf("data/%s has the mode %v and the owner %d, want %v and %d", name, info.Mode().Perm(), owner, want, user)
		}
	}
	if out, err := inImage(root, "sessions", "list").CombinedOutput(); err != nil {
		t.Errorf("sessions list beside the server: %v\n%s", err, out)
	}
}

// extract writes the files of the image for this machine into a folder, and makes the
// mount points that an engine makes.
func extract(t *testing.T) string {
	t.Helper()
	root, err := os.MkdirTemp(bin, "root-")
	must(t, err)
	must(t, os.Chmod(root, 0o755))
	eachFile(t, madeImage(t, runtime.GOARCH), func(h *tar.Header, data []byte) {
		name := filepath.Join(root, h.Name)
		if h.Typeflag == tar.TypeDir {
			must(t, os.Mkdir(name, h.FileInfo().Mode()))
		} else {
			must(t, os.WriteFile(name, data, h.FileInfo().Mode()))
		}
		must(t, os.Chown(name, h.Uid, h.Gid))
	})
	must(t, os.Mkdir(filepath.Join(root, "proc"), 0o755))
	must(t, os.Mkdir(filepath.Join(root, "dev"), 0o755))
	return root
}

// inImage returns a command that runs the program of the image with these arguments, or
// else the image's default ones, as the image's configuration says.
func inImage(root string, arguments ...string) *exec.Cmd {
	config := build{}.config()
	if len(arguments) == 0 {
		arguments = config.Cmd
	}
	cmd := exec.Command("bwrap", append([]string{
		"--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--uid", fmt.Sprint(user), "--gid", fmt.Sprint(user),
		"--ro-bind", root, "/", "--bind", root + dataFolder, dataFolder, "--proc", "/proc", "--dev", "/dev",
		"--cap-drop", "ALL", "--die-with-parent", "--chdir", config.WorkingDir,
		config.Entrypoint[0]}, arguments...)...)
	cmd.Env = config.Env
	cmd.Path, _ = exec.LookPath("bwrap")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	return cmd
}

// hash returns the hash of the password demo, made by the program of the image.
func hash(t *testing.T, root string) string {
	t.Helper()
	cmd := inImage(root, "hash")
	cmd.Stdin = strings.NewReader("demo\n")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("shorepass hash: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// awaitReady waits until GET /readyz is 200.
func awaitReady(t *testing.T, url string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(url + "/readyz")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return
			}
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the server was not ready within a minute: %v", err)
		}
	}
}
