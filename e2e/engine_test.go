package e2e

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// engine is a running docker engine, which pulls and pushes for the docker command.
type engine struct {
	docker string // the docker command
	socket string // of its API
	dir    string

	// pushing is held from an import to the push of what it imported. The engine has one
	// upload for concurrent pushes of a layer to a repository, with the credentials of
	// the first, and containerd collects what a concurrent import of the reference left.
	pushing sync.Mutex
}

// docker28 is the path of the engine that "e2e/install docker-28" builds.
var docker28 = filepath.Join("..", ".tools", "docker-28", "dockerd")

// engines starts docker 20.10 and, where it was built and the machine has a docker
// command of that age, docker 28: as it is, and with the image store of containerd,
// which is the default of docker 29.
func engines(t *testing.T) map[string]*engine {
	all := map[string]*engine{"docker 20.10": startEngine(t, docker20, filepath.Join(filepath.Dir(docker20), "dockerd"), "--storage-driver=vfs")}
	if _, err := os.Stat(docker28); err != nil {
		return all
	}
	if out, err := exec.Command("docker", "--version").Output(); err == nil && strings.HasPrefix(string(out), "Docker version 28.") {
		all["docker 28"] = startEngine(t, "docker", docker28, "--storage-driver=vfs")
		all["docker 28, containerd store"] = startEngine(t, "docker", docker28, "--storage-driver=native", "--feature=containerd-snapshotter=true")
	}
	return all
}

// hideFolders runs a program with folders of its own in place of those of the machine
// in which engines keep a key, a plugin's socket and containerd's plugins.
const hideFolders = `for dir in /etc/docker /opt /run; do mount -t tmpfs tmpfs $dir || exit; done; exec "$@"`

// startEngine starts an engine without a network, with the containerd of docker 20.10.
func startEngine(t *testing.T, docker, dockerd string, flags ...string) *engine {
	t.Helper()
	need(t, docker, dockerd, "unshare")
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("a docker engine needs root")
		}
		t.Skip("a docker engine needs root")
	}
	// The path of a socket has 108 bytes at most.
	dir, err := os.MkdirTemp(runDir, "")
	must(t, err)
	e := &engine{docker: docker, dir: dir, socket: "unix://" + filepath.Join(dir, "docker.sock")}
	args := []string{"--mount", "sh", "-c", hideFolders, "sh", dockerd, "--host", e.socket, "--bridge=none", "--iptables=false", "--ip6tables=false",
		"--data-root", filepath.Join(dir, "data"), "--exec-root", filepath.Join(dir, "exec"), "--pidfile", filepath.Join(dir, "pid")}
	cmd := exec.Command("unshare", append(args, flags...)...)
	programs, err := filepath.Abs(filepath.Dir(docker20))
	must(t, err)
	cmd.Env = append(os.Environ(), "PATH="+programs+":"+os.Getenv("PATH"))
	p := start(t, "dockerd", cmd)
	p.await(t, time.Minute, func() error {
		return exec.Command(docker, "--host", e.socket, "info").Run()
	})
	return e
}

// executeDocker runs the docker command until it exits or asks for a user name, which
// docker 28 does, and waits, even if its standard input is closed.
func executeDocker(t *testing.T, env []string, stdin, docker string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out := &promptWriter{prompted: cancel}
	cmd := exec.CommandContext(ctx, docker, args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = env, strings.NewReader(stdin), out, out
	err := cmd.Run()
	if ctx.Err() != nil {
		out.WriteString(" (waits)")
	}
	return result{text: out.String(), ok: err == nil}
}

// promptWriter holds what a command prints, and calls prompted at a prompt for a name.
type promptWriter struct {
	bytes.Buffer
	prompted func()
}

func (w *promptWriter) Write(p []byte) (int, error) {
	n, err := w.Buffer.Write(p)
	if bytes.Contains(w.Bytes(), []byte("Username (")) {
		w.prompted()
	}
	return n, err
}

// client returns the docker command with this engine.
func (e *engine) client(name string) client {
	run := func(t *testing.T, h home, stdin string, args ...string) result {
		t.Helper()
		return executeDocker(t, h.env(), stdin, e.docker, append([]string{"--config", string(h), "--host", e.socket}, args...)...)
	}
	return client{
		name:   name,
		proves: true,
		login: func(t *testing.T, h home, host, user, password string) result {
			return run(t, h, password, "login", "--username", user, "--password-stdin", host)
		},
		push: func(t *testing.T, h home, i *image, ref string) result {
			tar := filepath.Join(t.TempDir(), "layer.tar.gz")
			must(t, os.WriteFile(tar, i.layer.content, 0o600))
			e.pushing.Lock()
			defer e.pushing.Unlock()
			if s := run(t, h, "", "import", tar, ref); !s.ok {
				return s
			}
			return run(t, h, "", "push", ref)
		},
		pull: func(t *testing.T, h home, ref string) result { return run(t, h, "", "pull", ref) },
	}
}

// ctr returns the client of containerd 1.6, which docker 20.10 runs.
func (e *engine) ctr() client {
	run := func(t *testing.T, h home, args ...string) result {
		t.Helper()
		socket := filepath.Join(e.dir, "exec", "containerd", "containerd.sock")
		return execute(t, h.env(), "", filepath.Join(filepath.Dir(docker20), "ctr"), append([]string{"--address", socket, "images"}, args...)...)
	}
	// credentials returns the flags for what h has for a reference's registry.
	credentials := func(t *testing.T, h home, ref string) []string {
		host, _, _ := strings.Cut(ref, "/")
		stored := h.stored(t, host)
		if stored.IdentityToken != "" {
			return []string{"--plain-http", "--refresh", stored.IdentityToken}
		}
		if user, password := stored.basic(); user != "" {
			return []string{"--plain-http", "--user", user + ":" + password}
		}
		return []string{"--plain-http"}
	}
	return client{
		name: "ctr",
		login: func(t *testing.T, h home, host, user, password string) result {
			h.store(t, host, user, password)
			return result{ok: true}
		},
		push: func(t *testing.T, h home, i *image, ref string) result {
			layout, tar := i.layout(t), filepath.Join(t.TempDir(), "layout.tar")
			if out, err := exec.Command("tar", "-C", layout, "-cf", tar, ".").CombinedOutput(); err != nil {
				t.Fatalf("tar: %v\n%s", err, out)
			}
			e.pushing.Lock()
			defer e.pushing.Unlock()
			if s := run(t, h, "import", "--no-unpack", "--index-name", ref, tar); !s.ok {
				return s
			}
			return run(t, h, append(append([]string{"push"}, credentials(t, h, ref)...), ref)...)
		},
		pull: func(t *testing.T, h home, ref string) result {
			return run(t, h, append(append([]string{"pull"}, credentials(t, h, ref)...), ref)...)
		},
		copy: func(t *testing.T, h home, from, to string) result {
			if s := run(t, h, "tag", from, to); !s.ok {
				return s
			}
			return run(t, h, append(append([]string{"push"}, credentials(t, h, to)...), to)...)
		},
	}
}

// podman returns podman or buildah, whose commands are alike.
func podman(program string) client {
	programs, err := filepath.Abs(filepath.Join("..", ".tools", "podman"))
	run := func(t *testing.T, h home, stdin string, args ...string) result {
		t.Helper()
		must(t, err)
		need(t, filepath.Join(programs, program))
		runRoot := filepath.Join(runDir, fmt.Sprintf("run-%x", crc32.ChecksumIEEE([]byte(h)))) // 50 bytes at most
		env := append(h.env(), "LD_LIBRARY_PATH="+programs, "PATH="+programs+":"+os.Getenv("PATH"))
		config := filepath.Join(runRoot, "containers.conf")
		must(t, os.MkdirAll(runRoot, 0o700))
		must(t, os.WriteFile(config, fmt.Appendf(nil, "[engine]\ntmp_dir = %q\n[network]\nnetwork_config_dir = %q\n", runRoot, runRoot), 0o600))
		return execute(t, append(env, "CONTAINERS_CONF="+config), stdin, filepath.Join(programs, program), append([]string{
			"--root", filepath.Join(string(h), "storage"), "--runroot", runRoot, "--storage-driver", "vfs"}, args...)...)
	}
	return client{
		name:   program,
		proves: true,
		login: func(t *testing.T, h home, host, user, password string) result {
			return run(t, h, password, "login", "--tls-verify=false", "--username", user, "--password-stdin", host)
		},
		push: func(t *testing.T, h home, i *image, ref string) result {
			// The path becomes the image's name, which has no upper case.
			dir, err := os.MkdirTemp(runDir, "oci-")
			must(t, err)
			must(t, os.Rename(i.layout(t), filepath.Join(dir, "layout")))
			s := run(t, h, "", "pull", "--quiet", "oci:"+filepath.Join(dir, "layout"))
			if !s.ok {
				return s
			}
			return run(t, h, "", "push", "--tls-verify=false", strings.TrimSpace(s.text), "docker://"+ref)
		},
		pull: func(t *testing.T, h home, ref string) result {
			return run(t, h, "", "pull", "--tls-verify=false", ref)
		},
	}
}
