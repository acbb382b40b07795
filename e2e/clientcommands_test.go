package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docker20 is the path of the docker client that e2e/install unpacks.
var docker20 = filepath.Join("..", ".tools", "docker-20.10", "docker")

// dockers returns docker 20.10 and, if the machine has another version, that too.
func dockers() []client {
	all := []client{dockerCLI("docker 20.10", docker20)}
	out, err := exec.Command("docker", "--version").Output()
	if words := strings.Fields(string(out)); err == nil && len(words) > 2 && !strings.HasPrefix(words[2], "20.10.") {
		all = append(all, dockerCLI("docker "+strings.TrimSuffix(words[2], ","), "docker"))
	}
	return all
}

// dockerCLI returns docker without its daemon. docker login and the manifest
// commands talk to the registry themselves: inspect pulls a manifest, push sends
// a manifest list and mounts the blobs of its images from their repository.
func dockerCLI(name, program string) client {
	run := func(t *testing.T, h home, stdin string, args ...string) result {
		t.Helper()
		need(t, program)
		return execute(t, h.env(), stdin, program, append([]string{"--config", string(h)}, args...)...)
	}
	return client{
		name:   name,
		proves: true,
		login: func(t *testing.T, h home, host, user, password string) result {
			return run(t, h, password, "login", "--username", user, "--password-stdin", host)
		},
		pull: func(t *testing.T, h home, ref string) result {
			return run(t, h, "", "manifest", "inspect", "--insecure", ref)
		},
		copy: func(t *testing.T, h home, from, to string) result {
			if s := run(t, h, "", "manifest", "create", "--insecure", to, from); !s.ok {
				return s
			}
			return run(t, h, "", "manifest", "push", "--insecure", "--purge", to)
		},
		wrongPassword: regexp.MustCompile(`unauthorized: .*password`),
		refusedPush:   regexp.MustCompile(`denied: you are logged in as|requested access to the resource is denied|unauthorized: authentication required`),
		refusedPull:   regexp.MustCompile(`denied: you are logged in as eve, who has no rights on team-alpha/.*; check the name, or ask the operators of this registry`),
	}
}

func skopeo() client {
	run := func(t *testing.T, h home, stdin string, args ...string) result {
		t.Helper()
		need(t, "skopeo")
		return execute(t, h.env(), stdin, "skopeo", append([]string{"--insecure-policy"}, args...)...)
	}
	return client{
		name:   "skopeo",
		proves: true,
		login: func(t *testing.T, h home, host, user, password string) result {
			return run(t, h, password, "login", "--tls-verify=false", "--authfile", h.config(), "--username", user, "--password-stdin", host)
		},
		push: func(t *testing.T, h home, i *image, ref string) result {
			return run(t, h, "", "copy", "--dest-tls-verify=false", "--authfile", h.config(), "oci:"+i.layout(t)+":it", "docker://"+ref)
		},
		pull: func(t *testing.T, h home, ref string) result {
			dir := t.TempDir()
			return run(t, h, "", "copy", "--src-tls-verify=false", "--authfile", h.config(), "docker://"+ref, "dir:"+dir).withDigests(t, dir)
		},
		copy: func(t *testing.T, h home, from, to string) result {
			return run(t, h, "", "copy", "--src-tls-verify=false", "--dest-tls-verify=false", "--authfile", h.config(), "docker://"+from, "docker://"+to)
		},
		remove: func(t *testing.T, h home, repo, digest string) result {
			return run(t, h, "", "delete", "--tls-verify=false", "--authfile", h.config(), "docker://"+repo+"@"+digest)
		},
		wrongPassword: regexp.MustCompile(`invalid username/password|password`),
		refusedPush:   regexp.MustCompile(`403 \(Forbidden\)|requested access to the resource is denied|authentication required`),
		refusedPull:   regexp.MustCompile(`403 \(Forbidden\)`),
	}
}

func crane() client {
	run := func(t *testing.T, h home, stdin string, args ...string) result {
		t.Helper()
		need(t, "crane")
		return execute(t, h.env(), stdin, "crane", args...)
	}
	return client{
		name: "crane",
		login: func(t *testing.T, h home, host, user, password string) result {
			return run(t, h, password, "auth", "login", host, "--username", user, "--password-stdin")
		},
		push: func(t *testing.T, h home, i *image, ref string) result {
			return run(t, h, "", "push", i.layout(t), ref)
		},
		pull: func(t *testing.T, h home, ref string) result {
			dir := filepath.Join(t.TempDir(), "layout")
			return run(t, h, "", "pull", "--format", "oci", ref, dir).withDigestsIfAny(t, dir)
		},
		copy: func(t *testing.T, h home, from, to string) result {
			return run(t, h, "", "copy", from, to)
		},
		catalog: func(t *testing.T, h home, host string) result {
			return run(t, h, "", "catalog", host)
		},
		remove: func(t *testing.T, h home, repo, digest string) result {
			return run(t, h, "", "delete", repo+"@"+digest)
		},
		wrongPassword: regexp.MustCompile(`UNAUTHORIZED: .*password`),
		refusedPush:   regexp.MustCompile(`DENIED: you are logged in as|401 Unauthorized|UNAUTHORIZED: authentication required`),
		refusedPull:   regexp.MustCompile(`DENIED: you are logged in as eve, who has no rights on team-alpha/`),
	}
}

func oras() client {
	run := func(t *testing.T, h home, stdin string, args ...string) result {
		t.Helper()
		need(t, "oras")
		return execute(t, h.env(), stdin, "oras", args...)
	}
	return client{
		name:   "oras",
		proves: true,
		login: func(t *testing.T, h home, host, user, password string) result {
			return run(t, h, password, "login", "--plain-http", "--registry-config", h.config(), "--username", user, "--password-stdin", host)
		},
		push: func(t *testing.T, h home, i *image, ref string) result {
			return run(t, h, "", "cp", "--from-oci-layout", i.layout(t)+":it", "--to-plain-http", "--to-registry-config", h.config(), ref)
		},
		pull: func(t *testing.T, h home, ref string) result {
			dir := filepath.Join(t.TempDir(), "layout")
			return run(t, h, "", "cp", "--from-plain-http", "--from-registry-config", h.config(), ref, "--to-oci-layout", dir+":it").withDigestsIfAny(t, dir)
		},
		copy: func(t *testing.T, h home, from, to string) result {
			return run(t, h, "", "cp", "--from-plain-http", "--from-registry-config", h.config(), "--to-plain-http", "--to-registry-config", h.config(), from, to)
		},
		catalog: func(t *testing.T, h home, host string) result {
			return run(t, h, "", "repo", "ls", "--plain-http", "--registry-config", h.config(), host)
		},
		remove: func(t *testing.T, h home, repo, digest string) result {
			return run(t, h, "", "manifest", "delete", "--force", "--plain-http", "--registry-config", h.config(), repo+"@"+digest)
		},
		wrongPassword: regexp.MustCompile(`(?i)unauthorized: .*password`),
		refusedPush:   regexp.MustCompile(`(?i)unauthorized|denied`),
		refusedPull:   regexp.MustCompile(`(?i)denied: you are logged in as eve, who has no rights on team-alpha/`),
	}
}

func regctl() client {
	run := func(t *testing.T, h home, stdin string, args ...string) result {
		t.Helper()
		need(t, "regctl")
		return execute(t, h.env(), stdin, "regctl", args...)
	}
	// disableTLS configures regctl to speak plain HTTP to a registry.
	disableTLS := func(t *testing.T, h home, ref string) {
		t.Helper()
		host, _, _ := strings.Cut(ref, "/")
		if s := run(t, h, "", "registry", "set", "--skip-check", "--tls", "disabled", host); !s.ok {
			t.Fatalf("regctl registry set: %v", s)
		}
	}
	return client{
		name:   "regctl",
		proves: true,
		login: func(t *testing.T, h home, host, user, password string) result {
			disableTLS(t, h, host)
			return run(t, h, password, "registry", "login", "--user", user, "--pass-stdin", host)
		},
		push: func(t *testing.T, h home, i *image, ref string) result {
			disableTLS(t, h, ref)
			return run(t, h, "", "image", "copy", "ocidir://"+i.layout(t)+":it", ref)
		},
		pull: func(t *testing.T, h home, ref string) result {
			disableTLS(t, h, ref)
			dir := filepath.Join(t.TempDir(), "layout")
			return run(t, h, "", "image", "copy", ref, "ocidir://"+dir+":it").withDigestsIfAny(t, dir)
		},
		copy: func(t *testing.T, h home, from, to string) result {
			disableTLS(t, h, to)
			return run(t, h, "", "image", "copy", from, to)
		},
		catalog: func(t *testing.T, h home, host string) result {
			disableTLS(t, h, host)
			return run(t, h, "", "repo", "ls", host)
		},
		remove: func(t *testing.T, h home, repo, digest string) result {
			disableTLS(t, h, repo)
			return run(t, h, "", "manifest", "delete", repo+"@"+digest)
		},
		wrongPassword: regexp.MustCompile(`unauthorized`),
		refusedPush:   regexp.MustCompile(`unauthorized|forbidden`),
		refusedPull:   regexp.MustCompile(`unauthorized|forbidden`),
	}
}

// withDigestsIfAny is withDigests for a folder that a failed program may not have
// made.
func (r result) withDigestsIfAny(t *testing.T, dir string) result {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return r
	}
	return r.withDigests(t, dir)
}
