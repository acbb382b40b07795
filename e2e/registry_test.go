package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// distribution is a version of the registry that the tests run.
type distribution struct {
	name    string
	program string
}

// distributions are the two versions that registries in use are built on.
var distributions = []distribution{
	{"distribution 2.8", "docker-registry"},
	{"distribution 3", "registry"},
}

// registry is a running registry that trusts the tokens of a server.
type registry struct {
	host    string // localhost:PORT
	url     string // http://localhost:PORT, or https
	process *process
}

// registry starts a registry with token authentication by the server's root.
func (s *server) registry(t *testing.T, d distribution) *registry {
	t.Helper()
	return s.registryWith(t, d, s.tokenAuth())
}

// tokenAuth returns the auth block of a registry that trusts the server's tokens.
func (s *server) tokenAuth() string {
	return fmt.Sprintf("auth: {token: {realm: %s/jwt/auth, service: %s, issuer: gitlab-issuer, rootcertbundle: %s}}",
		s.url, service, filepath.Join(s.root, "RootCA.crt"))
}

// registryWith starts a registry with this auth block in its configuration.
func (s *server) registryWith(t *testing.T, d distribution, auth string) *registry {
	t.Helper()
	return startRegistry(t, d, "http", "", auth)
}

// startRegistry starts a registry with further keys of its http block, and an auth block.
func startRegistry(t *testing.T, d distribution, scheme, tls, auth string) *registry {
	t.Helper()
	need(t, d.program)
	dir, port := t.TempDir(), freePort(t)
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf(`
version: 0.1
log: {level: info}
storage: {filesystem: {rootdirectory: %s}, delete: {enabled: true}}
http: {addr: "127.0.0.1:%d"%s}
%s
`, dir, port, tls, auth)
	must(t, os.WriteFile(config, []byte(text), 0o644))
	cmd := exec.Command(d.program, "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	r := &registry{host: fmt.Sprintf("localhost:%d", port)}
	r.url = scheme + "://" + r.host
	r.process = start(t, "registry", cmd)
	r.process.await(t, 30*time.Second, func() error {
		// 401 is the answer without a token: the registry listens.
		if err := checkOK(r.url + "/v2/"); err != nil && !strings.Contains(err.Error(), "401") {
			return err
		}
		return nil
	})
	return r
}

// mounted reports whether a blob was mounted into repo from another repository
// and not sent again.
func (r *registry) mounted(repo string) bool {
	mount := regexp.MustCompile(`POST /v2/` + regexp.QuoteMeta(repo) + `/blobs/uploads/\?\S*mount=\S* HTTP/1.1" 201 `)
	return mount.MatchString(r.process.output())
}

// seed pushes an image into the registry as the user root.
func (r *registry) seed(t *testing.T, i *image, ref string) {
	t.Helper()
	root, h := testUsers()["root"], newHome(t)
	h.store(t, r.host, root.name, root.password)
	if err := upload(t, resolver(t, h), i, r.host+"/"+ref, ""); err != nil {
		t.Fatalf("push an image to %s: %v", ref, err)
	}
}
