package e2e

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"shorepass/providers/ldap/ldaptest"
)

// The configuration that docs/migrating.md moves: its issuer, service and user are those
// of the page.
const (
	movedIssuer  = "Harbour office"
	movedService = "registry.corp.example"
	movedUser    = "marit"
)

// TestMigrating does what docs/migrating.md says: its commands in their order, its block
// for the registry, and the way back. The old token server is oldServer. What belongs to
// another network is substituted, as in TestReadmeFiveMinutes.
func TestMigrating(t *testing.T) {
	t.Parallel()
	need(t, "script", distributions[1].program, docker20)
	commands, block := migratingPage(t)
	ca, dir, port := ldaptest.NewAuthority(t), t.TempDir(), freePort(t)
	old := newOldServer(t, dir, "kid")
	oldHost := old.listen(t, ca)
	install(t, ca, filepath.Join(dir, "server"), "registry-auth.corp.example")
	old.writeConfig(t, "  certificate: server.crt\n  key: server.key\n")

	registryPort := freePort(t)
	term := newTerminal(t, dir, "SSL_CERT_FILE="+ca.CA, "HTTPS_PROXY="+leadTo(t, map[string]string{
		"docker-auth.corp.example:5001":   oldHost,
		"registry-auth.corp.example:5001": fmt.Sprintf("127.0.0.1:%d", port),
		"registry.corp.example:443":       fmt.Sprintf("127.0.0.1:%d", registryPort),
	}))
	block = substitute(t, block, "/etc/registry/token.pem", filepath.Join(dir, "token.pem"))
	oldBlock := substitute(t, block, "registry-auth.corp.example", "docker-auth.corp.example")
	login := func(answers ...string) {
		t.Helper()
		out, err := term.typed("docker login registry.corp.example", answers...)
		if err != nil || !strings.Contains(string(out), "Login Succeeded") {
			t.Fatalf("docker login: %v\n%s", err, out)
		}
	}
	registry := tlsRegistry(t, ca, registryPort, oldBlock)
	login(movedUser, old.password) // at docker_auth, which stores the password

	var done []string
	var ours *process
	for _, line := range commands {
		words := strings.Fields(line)
		done = append(done, words[1])
		switch {
		case words[1] == "serve":
			ours = start(t, "shorepass", term.command(line))
			t.Cleanup(func() {
				if err := ours.stop(); err != nil {
					t.Errorf("%s: %v", line, err)
				}
			})
			ours.await(t, 30*time.Second, func() error { return prints(ours, `"msg":"listening"`) })
			registry.stop()
			registry = tlsRegistry(t, ca, registryPort, block)
			continue
		case words[0] == "docker":
			login("", old.password) // docker proposes the name that it has stored
			continue
		}
		out, err := term.command(line).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		if words[1] == "import" {
			config, err := os.ReadFile(filepath.Join(dir, "shorepass.toml"))
			must(t, err)
			text := substitute(t, string(config), `":5001"`, fmt.Sprintf(`"127.0.0.1:%d"`, port), "#public_urls", "public_urls")
			text = regexp.MustCompile(`(?m)^public_urls.*$`).ReplaceAllString(text, `public_urls = ["https://registry-auth.corp.example:5001"]`)
			must(t, os.WriteFile(filepath.Join(dir, "shorepass.toml"), []byte(text), 0o600))
		}
	}
	if want := []string{"import", "check", "explain", "serve", "check", "login"}; !slices.Equal(done, want) {
		t.Errorf("docs/migrating.md has the commands %q, want %q", done, want)
	}

	// Afterwards a leaf signs, and the registry needs no change.
	config, err := os.ReadFile(filepath.Join(dir, "shorepass.toml"))
	must(t, err)
	x5c := regexp.MustCompile(`(?m)^signing .*$`).ReplaceAllString(string(config), `signing = "x5c"`)
	must(t, os.WriteFile(filepath.Join(dir, "shorepass.toml"), []byte(x5c), 0o600))
	ours.await(t, 30*time.Second, func() error { return prints(ours, "the configuration was reloaded") })
	if out, err := term.command("shorepass check --registry https://registry.corp.example").CombinedOutput(); err != nil {
		t.Errorf("check --registry with x5c: %v\n%s", err, out)
	}

	// The way back: the registry has the old realm again, and people log in once more.
	registry.stop()
	tlsRegistry(t, ca, registryPort, oldBlock)
	login("", old.password)
}

// TestMigratingBothServers: while a registry moves it accepts the tokens of both servers,
// by libtrust's key id at distribution 2.8 and by the thumbprint at distribution 3.
func TestMigratingBothServers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		keyID string
		d     distribution
	}{{"libtrust", distributions[0]}, {"kid", distributions[1]}} {
		t.Run(tc.d.name, func(t *testing.T) {
			t.Parallel()
			s := &server{dir: t.TempDir(), port: freePort(t)}
			old := newOldServer(t, s.dir, tc.keyID)
			old.writeConfig(t, "")
			s.config, s.url = filepath.Join(s.dir, "shorepass.toml"), fmt.Sprintf("http://localhost:%d", s.port)
			imported := s.cli(t, "", "import", "docker_auth", filepath.Join(s.dir, "auth_config.yml"), "--service", movedService)
			if !imported.ok {
				t.Fatalf("import: %v", imported)
			}
			_, text, _ := strings.Cut(imported.text, "# Imported from")
			text = substitute(t, "# Imported from"+text, `":5001"`, fmt.Sprintf(`"127.0.0.1:%d"`, s.port))
			must(t, os.WriteFile(s.config, []byte(text), 0o600))
			s.start(t)
			r := s.registryWith(t, tc.d, fmt.Sprintf("auth: {token: {realm: %s/auth, service: %s, issuer: %s, rootcertbundle: %s}}",
				s.url, movedService, movedIssuer, filepath.Join(s.dir, "token.pem")))

			ours := struct {
				Token     string `json:"token"`
				ExpiresIn int    `json:"expires_in"`
			}{}
			request, err := http.NewRequest(http.MethodGet, s.url+"/auth?"+url.Values{"service": {movedService}, "scope": {"repository:ships/app:pull"}}.Encode(), nil)
			must(t, err)
			request.SetBasicAuth(movedUser, old.password)
			response, err := http.DefaultClient.Do(request)
			must(t, err)
			defer response.Body.Close()
			must(t, json.NewDecoder(response.Body).Decode(&ours))
			if ours.ExpiresIn != 900 {
				t.Errorf("expires_in = %d, want docker_auth's 900", ours.ExpiresIn)
			}
			for name, token := range map[string]string{"shorepass": ours.Token, "docker_auth": old.token(t, "ships/app")} {
				request, err := http.NewRequest(http.MethodGet, "http://"+r.host+"/v2/ships/app/tags/list", nil)
				must(t, err)
				request.Header.Set("Authorization", "Bearer "+token)
				response, err := http.DefaultClient.Do(request)
				must(t, err)
				response.Body.Close()
				if response.StatusCode != http.StatusNotFound { // the repository is empty; 401 is a refused token
					t.Errorf("the registry answers a token of %s with %d, want 404", name, response.StatusCode)
				}
			}
		})
	}
}

// migratingPage returns the commands of the steps in docs/migrating.md, and the registry's
// block.
func migratingPage(t *testing.T) (commands []string, block string) {
	t.Helper()
	page, err := os.ReadFile("../docs/migrating.md")
	must(t, err)
	_, section, found := strings.Cut(string(page), "\n## The steps\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		text, isCode := strings.CutPrefix(line, "       ")
		switch {
		case !isCode:
		case strings.HasPrefix(text, "shorepass "), strings.HasPrefix(text, "docker "):
			commands = append(commands, strings.TrimSpace(text))
		default:
			block += text
		}
	}
	if !found || !strings.HasPrefix(block, "auth:\n") {
		t.Fatalf("docs/migrating.md has no steps with a block for the registry: %q", block)
	}
	return commands, block
}

// oldServer stands in for docker_auth, which cannot be installed from a module proxy: it
// answers GET /auth with a token as docker_auth signs it, by the pair that the registry
// trusts and without a certificate in the header.
type oldServer struct {
	dir, keyID, password string
	key                  *rsa.PrivateKey
}

// newOldServer makes the signing pair token.pem and token.key, as openssl req -x509 does.
// keyID is "libtrust" or, as with disable_legacy_key_id, "kid".
func newOldServer(t *testing.T, dir, keyID string) *oldServer {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "docker_auth"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "token.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644))
	must(t, os.WriteFile(filepath.Join(dir, "token.key"), pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600))
	return &oldServer{dir: dir, keyID: keyID, password: secrets.add("the moved user's password", "moved-pw"), key: key}
}

// writeConfig writes docker_auth's configuration. serverKeys are further keys of server.
func (o *oldServer) writeConfig(t *testing.T, serverKeys string) {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(o.password), bcrypt.MinCost)
	must(t, err)
	must(t, os.WriteFile(filepath.Join(o.dir, "auth_config.yml"), []byte(fmt.Sprintf(`
server:
  addr: ":5001"
%stoken:
  issuer: %q
  expiration: 900
  certificate: token.pem
  key: token.key
  disable_legacy_key_id: %t
users:
  %s: {password: %q}
acl:
  - match: {account: %[4]s, name: "ships/*"}
    actions: [pull, push]
`, serverKeys, movedIssuer, o.keyID == "kid", movedUser, hash)), 0o600))
}

// listen serves with TLS, and returns its address.
func (o *oldServer) listen(t *testing.T, ca *ldaptest.Authority) string {
	t.Helper()
	certificate, key := ca.Issue(t, "docker-auth.corp.example")
	pair, err := tls.LoadX509KeyPair(certificate, key)
	must(t, err)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, password, _ := r.BasicAuth(); r.URL.Path != "/auth" || name != movedUser || password != o.password {
			http.Error(w, "Auth failed.", http.StatusUnauthorized)
			return
		}
		json.NewEncoder(w).Encode(map[string]string{"token": o.token(t, "")})
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// token returns a token for pulling from a repository; without one it grants nothing.
func (o *oldServer) token(t *testing.T, repository string) string {
	t.Helper()
	access := []any{}
	if repository != "" {
		access = append(access, map[string]any{"type": "repository", "name": repository, "actions": []string{"pull"}})
	}
	now := time.Now().Unix()
	encode := func(value any) string {
		text, err := json.Marshal(value)
		must(t, err)
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signed := encode(map[string]any{"typ": "JWT", "alg": "RS256", "kid": o.kid(t)}) + "." + encode(map[string]any{
		"iss": movedIssuer, "sub": movedUser, "aud": movedService, "exp": now + 900, "nbf": now - 10, "iat": now, "jti": fmt.Sprint(now), "access": access,
	})
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, o.key, crypto.SHA256, sum[:])
	must(t, err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// kid returns the key's id: libtrust's, or the thumbprint of RFC 7638.
func (o *oldServer) kid(t *testing.T) string {
	t.Helper()
	if o.keyID == "kid" {
		e := base64.RawURLEncoding.EncodeToString(big.NewInt(int64(o.key.E)).Bytes())
		n := base64.RawURLEncoding.EncodeToString(o.key.N.Bytes())
		sum := sha256.Sum256([]byte(fmt.Sprintf(`{"e":%q,"kty":"RSA","n":%q}`, e, n)))
		return base64.RawURLEncoding.EncodeToString(sum[:])
	}
	der, err := x509.MarshalPKIXPublicKey(o.key.Public())
	must(t, err)
	sum := sha256.Sum256(der)
	var parts [][]byte
	for part := range slices.Chunk([]byte(base32.StdEncoding.EncodeToString(sum[:30])), 4) {
		parts = append(parts, part)
	}
	return string(bytes.Join(parts, []byte(":")))
}
