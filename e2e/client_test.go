package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// client is a program that pushes and pulls images. A function that the program
// does not have is nil.
type client struct {
	name string

	// login stores a name and a password in home. If proves is true the program
	// tries them at the registry first.
	login  func(t *testing.T, h home, host, user, password string) result
	proves bool

	push    func(t *testing.T, h home, i *image, ref string) result
	pull    func(t *testing.T, h home, ref string) result
	copy    func(t *testing.T, h home, from, to string) result // within a registry
	catalog func(t *testing.T, h home, host string) result
	remove  func(t *testing.T, h home, repo, digest string) result

	// What it prints for a person to read: at a wrong password, and when a push
	// or a pull is refused.
	wrongPassword, refusedPush, refusedPull *regexp.Regexp
}

// clients are all clients under test. Versions of docker that this machine
// lacks are missing, but never 20.10, without which the tests that need it
// skip.
func clients() []client {
	return append(dockers(), skopeo(), crane(), oras(), regctl(), containerd())
}

// result is the output of a program, on both streams, and whether it succeeded.
type result struct {
	text    string
	ok      bool
	digests []string // of the files that it downloaded
}

// hasDigest reports whether the program downloaded, or at least printed, this digest.
func (r result) hasDigest(digest string) bool {
	for _, d := range r.digests {
		if d == digest {
			return true
		}
	}
	return strings.Contains(r.text, digest)
}

func (r result) String() string {
	if r.ok {
		return "success, printing:\n" + r.text
	}
	return "failure, printing:\n" + r.text
}

// home is the folder with one person's client configuration.
type home string

// newHome makes an empty home.
func newHome(t *testing.T) home {
	t.Helper()
	return home(t.TempDir())
}

// config is the file that docker writes at login and every other client reads.
func (h home) config() string { return filepath.Join(string(h), "config.json") }

// env returns an environment in which every client uses the home.
func (h home) env() []string {
	return append(os.Environ(),
		"HOME="+string(h), "DOCKER_CONFIG="+string(h), "REGISTRY_AUTH_FILE="+h.config(),
		"REGCTL_CONFIG="+filepath.Join(string(h), "regctl.json"), "XDG_RUNTIME_DIR="+string(h))
}

// credentials are the entry of docker's config for one host.
type credentials struct {
	Auth          string `json:"auth"`
	IdentityToken string `json:"identitytoken"`
}

// stored reads what a login stored, and registers its token as a secret.
func (h home) stored(t *testing.T, host string) credentials {
	t.Helper()
	text, err := os.ReadFile(h.config())
	if errors.Is(err, fs.ErrNotExist) {
		return credentials{}
	}
	must(t, err)
	var file struct{ Auths map[string]credentials }
	must(t, json.Unmarshal(text, &file))
	found := file.Auths[host]
	secrets.add("refresh token", found.IdentityToken)
	return found
}

// basic returns the user name and the password in Auth.
func (c credentials) basic() (user, password string) {
	text, err := base64.StdEncoding.DecodeString(c.Auth)
	if err != nil {
		return "", ""
	}
	user, password, _ = strings.Cut(string(text), ":")
	return user, password
}

// store writes a password into docker's config, as clients do whose login sends
// no request.
func (h home) store(t *testing.T, host, user, password string) {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	file := map[string]any{"auths": map[string]any{host: credentials{Auth: auth}}}
	must(t, os.WriteFile(h.config(), encode(t, file), 0o600))
}

// execute runs a program until it exits.
func execute(t *testing.T, env []string, stdin, program string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = env
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %s: %v", program, err)
	}
	if ctx.Err() != nil {
		t.Errorf("%s %s: still running after a minute; it printed:\n%s", program, strings.Join(args, " "), out)
	}
	return result{text: string(out), ok: err == nil}
}

// withDigests adds the digests of the files that a program downloaded to dir.
func (r result) withDigests(t *testing.T, dir string) result {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r.digests = append(r.digests, fmt.Sprintf("sha256:%x", sha256.Sum256(content)))
		return nil
	}))
	return r
}
