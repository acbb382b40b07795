package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestFirstLogin runs the installation that shorepass was first written for: a
// root of the documented openssl command, a registry configured with it, and
// the request that docker 20.10 sends. This installation must go on working
// unchanged.
func TestFirstLogin(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	root := t.TempDir()
	if out, err := makeRoot(root).CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	// The only account: "root" with the password "a", which is cm9vdDph in base64.
	hash := execute(t, os.Environ(), "a", binary, "hash")
	if !hash.ok || !strings.HasPrefix(hash.text, "$argon2id$") {
		t.Fatalf("shorepass hash: %v", hash)
	}
	s := newServer(t, options{root: root, providers: `
[[provider]]
name = "local"
kind = "file"
[[provider.user]]
name = "root"
password = "` + strings.TrimSpace(hash.text) + `"
groups = ["admins"]
`})

	t.Run("the request", func(t *testing.T) {
		a := s.get(t, "account=root&client_id=docker&offline_token=true&service=container_registry", "Basic cm9vdDph")
		if a.Status != http.StatusOK {
			t.Fatalf("GET /jwt/auth = %v, want 200", a)
		}
		checkToken(t, a)
		if c := a.claims(t); c.Subject != "root" || len(c.Access) != 0 {
			t.Errorf("claims = %+v, want sub root and no access", c)
		}
		if a.RefreshToken == "" {
			t.Error("offline_token=true was answered without a refresh token")
		}
	})

	for _, d := range distributions {
		r := s.registry(t, d)
		for _, c := range dockers() {
			t.Run(d.name+"/"+c.name, func(t *testing.T) {
				h := newHome(t)
				if s := c.login(t, h, r.host, "root", "a"); !s.ok || !strings.Contains(s.text, "Login Succeeded") {
					t.Fatalf("docker login: %v", s)
				}
				if stored := h.stored(t, r.host); stored.IdentityToken == "" {
					t.Error("docker login stored no identity token")
				} else if _, password := stored.basic(); password != "" {
					t.Error("docker login stored the password")
				}
				i := dockerImage(t)
				if err := upload(t, resolver(t, h), i, r.host+"/any/where:1", ""); err != nil {
					t.Fatalf("push as root: %v", err)
				}
				if s := c.pull(t, h, r.host+"/any/where:1"); !s.ok || !s.hasDigest(i.layer.digest()) {
					t.Errorf("docker manifest inspect with the stored token: %v", s)
				}
			})
		}
	}
}

// checkToken checks the properties of every 200 of the token endpoint.
func checkToken(t *testing.T, a answer) {
	t.Helper()
	if a.Token != a.AccessToken {
		t.Error("token and access_token differ")
	}
	if a.ExpiresIn < 60 {
		t.Errorf("expires_in = %d, want at least 60", a.ExpiresIn)
	}
	if strings.Contains(a.Raw, "issued_at") {
		t.Error("the answer has issued_at")
	}
	checkHeaders(t, a)
	var header struct {
		Alg, Typ, Kid string
		X5c           []string
	}
	a.part(t, 0, &header)
	if header.Alg != "ES256" || header.Typ != "JWT" || len(header.X5c) != 1 || header.Kid != "" {
		t.Errorf("token header = %+v, want ES256, JWT and one certificate", header)
	}
	c := a.claims(t)
	if string(c.Audience) != `"`+service+`"` || c.Issuer != "gitlab-issuer" || c.ID == "" {
		t.Errorf("claims = %+v, want aud %q as one string, iss gitlab-issuer, a jti", c, service)
	}
	now := time.Now().Unix()
	if late := c.Expires - now - int64(a.ExpiresIn); late < 55 || late > 65 {
		t.Errorf("the token expires %d s after expires_in, want a minute", late)
	}
	if early := now - c.NotBefore; early < 5 || early > 20 || c.NotBefore != c.IssuedAt {
		t.Errorf("nbf is backdated by %d s and iat by %d s, want both by ten", early, now-c.IssuedAt)
	}
}

// checkHeaders checks the headers of every answer.
func checkHeaders(t *testing.T, a answer) {
	t.Helper()
	if got := a.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type = %q, want application/json", got)
	}
	if got := a.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}
}

// TestFirstStartMakesRoot: a first start without any key makes a root that a
// registry can trust.
func TestFirstStartMakesRoot(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{ownRoot: true})
	for _, d := range distributions {
		r := s.registry(t, d)
		r.seed(t, ociImage(t), "some/thing:1")
	}
	if info, err := os.Stat(filepath.Join(s.dir, "data", "RootCA.key")); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("data/RootCA.key: %v, %v, want a file that only its owner reads", info, err)
	}
}
