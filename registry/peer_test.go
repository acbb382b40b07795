package registry

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// program returns the path of a program that a test needs. Without the program
// the test is skipped, except in CI, where it fails.
func program(t *testing.T, name, install string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing in CI: %s", name, install)
	}
	t.Skipf("%s is missing: %s", name, install)
	return ""
}

// openssl runs openssl in dir.
func openssl(t *testing.T, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command(program(t, "openssl", "apt-get install openssl"), args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("openssl %q: %v\n%s", args, err, out)
	}
}

// newOpenSSLRoot makes an RSA root with openssl, as guides to registry tokens
// describe it.
func newOpenSSLRoot(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	openssl(t, dir, "req", "-x509", "-nodes", "-new", "-sha256", "-days", "1024", "-newkey", "rsa:2048", "-keyout", "RootCA.key", "-out", "RootCA.pem", "-subj", "/C=US/CN=Registry Auth CA")
	openssl(t, dir, "x509", "-outform", "pem", "-in", "RootCA.pem", "-out", "RootCA.crt")
	return filepath.Join(dir, "RootCA.crt"), filepath.Join(dir, "RootCA.key")
}

// TestOpenSSLRoot: a root that was made this second certifies a leaf within its
// validity, although a leaf is backdated by an hour.
func TestOpenSSLRoot(t *testing.T) {
	certFile, keyFile := newOpenSSLRoot(t)
	token := mint(t, newTestIssuer(t, testConfig(certFile, keyFile)), "container_registry", "root")
	if _, err := registryVerifies(token, certFile); err != nil {
		t.Errorf("a registry refuses the token: %v", err)
	}
	root, err := readCertificates(certFile)
	if err != nil {
		t.Fatal(err)
	}
	if leaf := leafOf(t, token); leaf.NotBefore.Before(root[0].NotBefore) || leaf.NotAfter.After(root[0].NotAfter) {
		t.Errorf("the leaf lasts from %v to %v, want it within the root's %v to %v", leaf.NotBefore, leaf.NotAfter, root[0].NotBefore, root[0].NotAfter)
	}
}

// TestKeyEncodings: a key is read in each form in which openssl writes it, or
// refused with the reason.
func TestKeyEncodings(t *testing.T) {
	for _, test := range []struct {
		name  string
		steps []string // openssl's command lines; the last writes out.key
		want  string   // part of the error, or empty
	}{
		{"RSA, PKCS#8", []string{"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out out.key"}, ""},
		{"RSA, PKCS#1", []string{"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out a", "rsa -in a -traditional -out out.key"}, ""},
		{"EC, PKCS#8", []string{"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out out.key"}, ""},
		{"EC, SEC1, its parameters first", []string{"ecparam -name prime256v1 -genkey -out out.key"}, ""},
		{"EC, SEC1", []string{"ecparam -name secp384r1 -genkey -noout -out out.key"}, ""},
		{"Ed25519", []string{"genpkey -algorithm ED25519 -out out.key"}, ""},
		{"encrypted, PKCS#8", []string{"genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -aes-128-cbc -pass pass:x -out out.key"}, "the key is encrypted; write it without a password with openssl pkey"},
		{"encrypted, PKCS#1", []string{"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out a", "rsa -in a -traditional -aes128 -passout pass:x -out out.key"}, "the key is encrypted"},
		{"RSA, short", []string{"genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out out.key"}, "an RSA key of 1024 bits is too short"},
		{"another curve", []string{"ecparam -name secp256k1 -genkey -noout -out out.key"}, "the key cannot be read; it must be RSA, ECDSA or Ed25519"},
		{"a short curve", []string{"ecparam -name secp224r1 -genkey -noout -out out.key"}, "the curve P-224 signs no tokens"},
		{"another key type", []string{"genpkey -algorithm X25519 -out out.key"}, "cannot sign"},
		{"a public key", []string{"genpkey -algorithm ED25519 -out a", "pkey -in a -pubout -out out.key"}, "holds no PEM private key"},
		{"DER", []string{"genpkey -algorithm ED25519 -outform DER -out out.key"}, "holds no PEM private key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, step := range test.steps {
				openssl(t, dir, strings.Fields(step)...)
			}
			key, err := readKey(filepath.Join(dir, "out.key"))
			switch {
			case test.want == "" && err != nil:
				t.Errorf("readKey: %v", err)
			case test.want != "" && (err == nil || key != nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("readKey = %v, %v, want an error with %q", key, err, test.want)
			}
		})
	}
}

// realRegistry is a registry that a test runs as a process.
type realRegistry struct {
	name string
	file string   // the name of its program
	env  []string // environment of the process
	kind string   // its name for AuthSettings.Block
	how  string   // how it is installed

	signings []string // the ways of signing that it accepts
}

var realRegistries = []realRegistry{
	{"distribution 2.8", "docker-registry", nil, Distribution2, "apt-get install docker-registry", []string{"x5c", "libtrust"}},
	{"distribution 3", "registry", []string{"OTEL_TRACES_EXPORTER=none"}, Distribution3,
		"go install github.com/distribution/distribution/v3/cmd/registry@latest", []string{"x5c", "kid"}},
}

// TestRegistries: a real registry, configured with the block that is printed
// for it, accepts the tokens, and no others.
func TestRegistries(t *testing.T) {
	for _, p := range realRegistries {
		for _, signing := range p.signings {
			t.Run(p.name+" by "+signing, func(t *testing.T) {
				t.Parallel()
				certFile, keyFile := newRootFiles(t)
				testRegistry(t, p, certFile, keyFile, signing)
			})
			t.Run(p.name+" with a root of openssl by "+signing, func(t *testing.T) {
				t.Parallel()
				certFile, keyFile := newOpenSSLRoot(t)
				testRegistry(t, p, certFile, keyFile, signing)
			})
			// Distribution 3 computes another thumbprint of this key, which
			// does no harm as long as the key is in a key set.
			t.Run(p.name+" with a key whose X begins with a zero byte by "+signing, func(t *testing.T) {
				t.Parallel()
				certFile, keyFile := writeKeyPair(t, issue(t, ca("root"), smallKey(t, elliptic.P256()), nil))
				testRegistry(t, p, certFile, keyFile, signing)
			})
		}
	}
}

func testRegistry(t *testing.T, p realRegistry, certFile, keyFile, signing string) {
	cfg := testConfig(certFile, keyFile)
	cfg.Signing = signing
	i := newTestIssuer(t, cfg)
	base := p.start(t, blockFor(t, i, p.kind))

	pull := Access{Type: "repository", Name: "team-a/app", Actions: []string{"pull"}}
	catalog := Access{Type: "registry", Name: "catalog", Actions: []string{"*"}}
	zotCatalog := Access{Type: "repository", Actions: []string{"pull"}}
	stranger := newTestIssuer(t, testConfig(newRootFiles(t)))
	cfg.Services = append(cfg.Services, "other")
	elsewhere := newTestIssuer(t, cfg, Service{Name: "container_registry", Issuer: "another-issuer"})
	for _, test := range []struct {
		name  string
		path  string
		token Token
		want  int
	}{
		{"the version check", "/v2/", mint(t, i, "container_registry", "alice"), 200},
		{"a tag list, granted", "/v2/team-a/app/tags/list", mint(t, i, "container_registry", "josé", pull), 404}, // nothing was pushed there
		{"a tag list, not granted", "/v2/team-b/app/tags/list", mint(t, i, "container_registry", "alice", pull), 401},
		{"the catalog", "/v2/_catalog", mint(t, i, "container_registry", "alice", catalog), 200},
		{"the catalog, with the entry for zot's", "/v2/_catalog", mint(t, i, "container_registry", "alice", zotCatalog), 401},
		{"a tag list, with the entry for zot's catalog", "/v2/team-a/app/tags/list", mint(t, i, "container_registry", "alice", zotCatalog), 401},
		{"an anonymous token", "/v2/", mint(t, i, "container_registry", ""), 200},
		{"no token", "/v2/", Token{}, 401},
		{"another service", "/v2/", mint(t, elsewhere, "other", "alice"), 401},
		{"another issuer", "/v2/", mint(t, elsewhere, "container_registry", "alice"), 401},
		{"another root", "/v2/", mint(t, stranger, "container_registry", "alice"), 401},
	} {
		if got := get(t, base+test.path, test.token); got != test.want {
			t.Errorf("%s: GET %s = %d, want %d", test.name, test.path, got, test.want)
		}
	}
}

// blockFor returns the block for a registry, with its key set in a temporary
// file.
func blockFor(t *testing.T, i *Issuer, kind string) string {
	t.Helper()
	settings, err := i.AuthSettings("container_registry", "http://localhost:5001/jwt/auth")
	if err != nil {
		t.Fatal(err)
	}
	if settings.KeySet != "" {
		text, err := i.JWKS("container_registry")
		if err != nil {
			t.Fatal(err)
		}
		settings.KeySet = writeFile(t, filepath.Join(t.TempDir(), "jwks.json"), text)
	}
	block, err := settings.Block(kind)
	if err != nil {
		t.Fatal(err)
	}
	return block
}

// start runs the registry with that block in its configuration until the end of
// the test, and returns its URL.
func (p realRegistry) start(t *testing.T, block string) string {
	t.Helper()
	path := program(t, p.file, p.how)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close() // the registry takes the port, unless another process is quicker
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q, secret: x}\n%s", dir, address, block)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, "serve", config)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), p.env...), &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		cmd.Wait()
		if t.Failed() {
			t.Logf("%s\n%s\n%s", p.name, text, log.String())
		}
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return "http://" + address
		} else if time.Now().After(deadline) {
			t.Fatalf("%s does not listen: %v", p.name, err)
		}
	}
}

// get sends a request, with the token if there is one, and returns the status.
func get(t *testing.T, url string, token Token) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token.Reveal() != "" {
		request.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}
