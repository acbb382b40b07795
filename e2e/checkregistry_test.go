package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// authBlock is the auth block of a registry.
type authBlock struct{ realm, service, issuer, key, file, more string }

func (a authBlock) text() string {
	return fmt.Sprintf("auth: {token: {realm: %q, service: %q, issuer: %q, %s: %q%s}}", a.realm, a.service, a.issuer, a.key, a.file, a.more)
}

// checkedServer is a server for check --registry, with a second service that has an issuer
// and a root of its own, and the root OLD, which neither has.
type checkedServer struct {
	*server
	dir       string // of OTHER.crt and OLD.crt
	right     authBlock
	elsewhere *server // another shorepass, with another root
}

func newCheckedServer(t *testing.T) *checkedServer {
	dir := t.TempDir()
	for _, name := range []string{"OTHER", "OLD"} {
		file := filepath.Join(dir, name)
		if made := execute(t, nil, "", binary, "keys", "init", "--certificate", file+".crt", "--key", file+".key"); !made.ok {
			t.Fatal(made)
		}
	}
	s := newServer(t, options{token: fmt.Sprintf("services = [%q, \"other\"]\n", service),
		more: fmt.Sprintf("[[service]]\nname = \"other\"\nissuer = \"other-issuer\"\nroot_certificate = %q\nroot_key = %q\n", filepath.Join(dir, "OTHER.crt"), filepath.Join(dir, "OTHER.key"))})
	return &checkedServer{server: s, dir: dir, elsewhere: newServer(t, options{ownRoot: true}),
		right: authBlock{realm: s.url + "/jwt/auth", service: service, issuer: "gitlab-issuer", key: "rootcertbundle", file: filepath.Join(s.root, "RootCA.crt")}}
}

// check runs check --registry and returns the findings that are not information, without
// what differs between runs.
func (s *checkedServer) check(t *testing.T, address string) string {
	t.Helper()
	got := s.cli(t, "", "check", "--registry", address)
	var found []string
	for line := range strings.Lines(got.text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "fault") || strings.HasPrefix(line, "warning") || !got.ok && strings.HasPrefix(line, "shorepass: --registry") {
			found = append(found, line)
		}
	}
	faulty := strings.Contains(strings.Join(found, "\n"), "fault") || strings.Contains(got.text, "shorepass: --registry")
	if got.ok == faulty {
		t.Errorf("check --registry exits with success = %v:\n%s", got.ok, got.text)
	}
	text := strings.NewReplacer(s.url, "OURS", s.elsewhere.url, "ELSEWHERE", strings.Replace(s.url, "http:", "https:", 1), "OURS-BY-HTTPS",
		s.root, "ROOT", s.dir, "DIR", address, "REGISTRY").Replace(strings.Join(found, "\n"))
	return regexp.MustCompile(`sha256 [0-9a-f]{16}…`).ReplaceAllString(text, "sha256 …")
}

// TestCheckRegistry: check --registry says of each setting of a registry that differs
// from ours which one it is, there and here (F9). Distribution 3 tells the root from the
// issuer; distribution 2.8 looks at the issuer first, and answers both alike.
func TestCheckRegistry(t *testing.T) {
	t.Parallel()
	s := newCheckedServer(t)
	const (
		neither  = `fault (auth.token.rootcertbundle): it refuses every token: it does not have ROOT/RootCA.crt (sha256 …), or its issuer (auth.token.issuer) is not "gitlab-issuer"; its log says which, with "unable to verify certificate chain" for the root and "token from untrusted issuer" for the issuer`
		noRoot   = `fault (auth.token.rootcertbundle): it does not trust the root of the service "container_registry"; give it ROOT/RootCA.crt (sha256 …), and restart it`
		otherURL = `; write realm: "OURS/jwt/auth" there, or add the URL to server.public_urls here`
	)
	for _, tc := range []struct {
		name   string
		change func(*authBlock)
		want   string // by both
		old    string // by distribution 2.8, where it differs
	}{
		{"all is right", func(a *authBlock) {}, ``, ``},
		{"two slashes in the realm", func(a *authBlock) { a.realm = s.url + "//jwt/auth" }, ``, ``},
		{"a known issuer", func(a *authBlock) { a.issuer = "omnibus-gitlab-issuer" },
			`fault (auth.token.issuer): its issuer is "omnibus-gitlab-issuer"; write issuer: "gitlab-issuer" there, or token.issuer = "omnibus-gitlab-issuer" here`, ``},
		{"the issuer of another service", func(a *authBlock) { a.issuer = "other-issuer" },
			`fault (auth.token.issuer): its issuer is "other-issuer"; write issuer: "gitlab-issuer" there, or token.issuer = "other-issuer" here`, ``},
		{"the realm as issuer", func(a *authBlock) { a.issuer = a.realm },
			`fault (auth.token.issuer): its issuer is "OURS/jwt/auth"; write issuer: "gitlab-issuer" there, or token.issuer = "OURS/jwt/auth" here`, ``},
		{"an unknown issuer", func(a *authBlock) { a.issuer = "zanzibar" },
			`fault (auth.token.issuer): it trusts the root, and its issuer is not "gitlab-issuer"; write issuer: "gitlab-issuer" there, or its issuer as token.issuer here`, neither},
		{"an old root", func(a *authBlock) { a.file = filepath.Join(s.dir, "OLD.crt") }, noRoot, neither},
		{"an old root and an unknown issuer", func(a *authBlock) { a.file, a.issuer = filepath.Join(s.dir, "OLD.crt"), "zanzibar" }, noRoot, neither},
		{"the root of another service", func(a *authBlock) { a.file = filepath.Join(s.dir, "OTHER.crt") },
			`fault (auth.token.rootcertbundle): it has the root of the service "other"; give it the one of "container_registry": ROOT/RootCA.crt (sha256 …)`, ``},
		{"the root and the issuer of another service", func(a *authBlock) { a.file, a.issuer = filepath.Join(s.dir, "OTHER.crt"), "other-issuer" },
			`fault (auth.token.rootcertbundle): it has the root and the issuer of the service "other"; give it those of "container_registry": ROOT/RootCA.crt (sha256 …) and issuer: "gitlab-issuer"`, ``},
		{"another service", func(a *authBlock) { a.service = "registry.example" },
			`fault (auth.token.service): the service "registry.example" is not in token.services; write service: "container_registry" there, or add "registry.example" to token.services here`, ``},
		{"another path of the realm", func(a *authBlock) { a.realm = s.url + "/token" },
			`fault (auth.token.realm): the path "/token" of the realm is not in server.paths (/jwt/auth); write realm: "OURS/jwt/auth" there, or add the path to server.paths here`, ``},
		{"another port of the realm", func(a *authBlock) { a.realm = "http://localhost:1/jwt/auth" },
			`fault (auth.token.realm): the realm "http://localhost:1/jwt/auth" is none of this server's` + otherURL + "\n" +
				`fault (auth.token.realm): the realm cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused`, ``},
		{"https in the realm", func(a *authBlock) { a.realm = strings.Replace(a.realm, "http:", "https:", 1) },
			`fault (auth.token.realm): the realm "OURS-BY-HTTPS/jwt/auth" is none of this server's` + otherURL + "\n" +
				`fault (auth.token.realm): the realm cannot be reached: it speaks http and not https; write http://, or give it a certificate`, ``},
		{"another shorepass", func(a *authBlock) { a.realm = s.elsewhere.url + "/jwt/auth" },
			`fault (auth.token.realm): the realm "ELSEWHERE/jwt/auth" is none of this server's` + otherURL, ``}, // a token would tell whose keys it has, and the registry chose the host
		{"a realm that is no URL", func(a *authBlock) { a.realm = "/jwt/auth" },
			`fault (auth.token.realm): the realm "/jwt/auth" is not a URL; write realm: "OURS/jwt/auth" there`, ``},
		{"another service and an old root", func(a *authBlock) { a.service, a.file = "registry.example", filepath.Join(s.dir, "OLD.crt") },
			`fault (auth.token.service): the service "registry.example" is not in token.services; write service: "container_registry" there, or add "registry.example" to token.services here` + "\n" + noRoot,
			`fault (auth.token.service): the service "registry.example" is not in token.services; write service: "container_registry" there, or add "registry.example" to token.services here` + "\n" + neither},
	} {
		for _, d := range distributions {
			t.Run(tc.name+" at "+d.name, func(t *testing.T) {
				t.Parallel()
				auth, want := s.right, tc.want
				tc.change(&auth)
				if tc.old != "" && d == distributions[0] {
					want = tc.old
				}
				if got := s.check(t, "http://"+s.registryWith(t, d, auth.text()).host); got != want {
					t.Errorf("findings\n%s\nwant\n%s", got, want)
				}
			})
		}
	}
}

// TestCheckNoRegistry: check --registry says what is wrong with an address that leads to
// no registry that asks for tokens, and with a way to it.
func TestCheckNoRegistry(t *testing.T) {
	t.Parallel()
	s, current := newCheckedServer(t), distributions[1]
	r := s.registryWith(t, current, s.right.text())
	open := s.registryWith(t, current, "")
	htpasswd := filepath.Join(t.TempDir(), "htpasswd")
	must(t, os.WriteFile(htpasswd, []byte("a:$2y$05$abcdefghijklmnopqrstuuzVsAVGXNo9L1R65wVwiUYQGUVvXxxxW\n"), 0o600))
	basic := s.registryWith(t, current, fmt.Sprintf("auth: {htpasswd: {realm: r, path: %q}}", htpasswd))
	redirected := s.right
	redirected.more = ", autoredirect: true"

	front := func(change func(http.Header)) *httputil.ReverseProxy {
		to, err := url.Parse("http://" + r.host)
		must(t, err)
		return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(to) },
			ModifyResponse: func(resp *http.Response) error { change(resp.Header); return nil }}
	}
	clock := func(skew time.Duration) string {
		proxy := httptest.NewServer(front(func(h http.Header) { h.Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat)) }))
		t.Cleanup(proxy.Close)
		return strings.Replace(proxy.URL, "127.0.0.1", "localhost", 1)
	}
	secure := httptest.NewTLSServer(front(func(http.Header) {}))
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(front(func(h http.Header) { h.Del("Www-Authenticate") }))
	t.Cleanup(plain.Close)

	deaf := front(func(http.Header) {})
	forward := deaf.Rewrite
	deaf.Rewrite = func(p *httputil.ProxyRequest) { forward(p); p.Out.Header.Del("Authorization") }
	tokenless := httptest.NewServer(deaf)
	t.Cleanup(tokenless.Close)

	const block = `; put the auth block there that shorepass registry-config prints`
	for _, tc := range []struct{ name, address, want string }{
		{"all is right", "http://" + r.host, ``},
		{"a host alone on this machine", "https://" + r.host, `fault: cannot be reached: it speaks http and not https; write http://, or give it a certificate`},
		{"http where it speaks https", strings.Replace(secure.URL, "https:", "http:", 1), `fault: cannot be reached: it speaks https and not http; write https://`},
		{"an authority that is not trusted", secure.URL, `fault: cannot be reached: tls: failed to verify certificate: x509: certificate signed by unknown authority; name the file of its authority in the environment: SSL_CERT_FILE`},
		{"a port where nothing listens", "http://localhost:1", `fault: cannot be reached: dial tcp 127.0.0.1:1: connect: connection refused`},
		{"a host that does not exist", "http://registry.invalid", `(?)fault: cannot be reached: .*registry\.invalid.*; is the host right\?`},
		{"a path", "http://" + r.host + "/team/app", `shorepass: --registry: "REGISTRY" has a path; write "http://` + r.host + `"`},
		{"no URL", "registry corp", `shorepass: --registry: "REGISTRY" is not the URL of a registry; write one such as "https://registry.corp.example"`},
		{"shorepass itself", s.url, `fault: this is no registry but shorepass; write the URL of the registry`},
		{"no auth", "http://" + open.host, `fault (auth.token): it asks for no token, and lets everyone in` + block},
		{"htpasswd", "http://" + basic.host, `fault (auth.token): it asks for no token, but for a password` + block},
		{"a proxy that drops the challenge", plain.URL, `fault: this is no registry: its answer to /v2/ is 401 without a Bearer challenge, which a proxy in front of it may drop`},
		{"a proxy that drops the token", strings.Replace(tokenless.URL, "127.0.0.1", "localhost", 1), `fault: it answers as if no token was sent; a proxy in front of it drops the Authorization header: have it pass that on`},
		{"a clock ahead", clock(10 * time.Minute), `(?)fault: its clock is (9m5\ds|10m0s) ahead of the one of this machine, and it refuses tokens from 1m0s on; set both by NTP`},
		{"a clock behind", clock(-2 * time.Minute), `(?)fault: its clock is (1m5\ds|2m0s) behind the one of this machine, and it refuses tokens from 1m0s on; set both by NTP`},
		{"a clock that drifts", clock(45 * time.Second), `(?)warning: its clock is 4\ds ahead of the one of this machine, and from 1m0s on it refuses tokens; set both by NTP`},
		{"autoredirect", "http://" + s.registryWith(t, current, redirected.text()).host, `(?s)fault \(auth.token.realm\): the realm "https://localhost:\d+/auth/token" \(its own host: autoredirect is on there\) is none of this server's; write realm: "OURS/jwt/auth" there, .*`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := s.check(t, tc.address)
			if pattern, ok := strings.CutPrefix(tc.want, "(?)"); ok || strings.HasPrefix(tc.want, "(?s)") {
				if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
					t.Errorf("findings %s, want %s", got, tc.want)
				}
				return
			}
			if got != tc.want {
				t.Errorf("findings\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// TestCheckSigning: check --registry says that a registry cannot find the key of a token by
// the configured signing.
func TestCheckSigning(t *testing.T) {
	t.Parallel()
	old, current := distributions[0], distributions[1]
	wrong := func(configured, right string) string {
		return fmt.Sprintf(`fault (service[0].signing): it finds the key of a token by signing = %q, and the tokens for "container_registry" are signed by %q; write service[0].signing = %[1]q here`, right, configured)
	}
	servers, checked := map[string]*server{}, map[string]*checkedServer{}
	for _, signing := range []string{"x5c", "kid", "libtrust"} {
		s := newServer(t, options{more: signedBy(signing)})
		servers[signing], checked[signing] = s, &checkedServer{server: s, dir: s.dir, elsewhere: s}
	}
	keySet := filepath.Join(t.TempDir(), "jwks.json")
	must(t, os.WriteFile(keySet, []byte(servers["kid"].cli(t, "", "registry-config", "--key-set").text), 0o644))
	withKeySet := func(s *server) *registry {
		auth := authBlock{realm: s.url + "/jwt/auth", service: service, issuer: "gitlab-issuer", key: "jwks", file: keySet}
		return s.registryWith(t, current, auth.text())
	}
	for _, tc := range []struct {
		signing string
		at      *registry
		want    string
	}{
		{"kid", servers["kid"].registry(t, old), wrong("kid", "x5c")},
		{"libtrust", servers["libtrust"].registry(t, current), wrong("libtrust", "x5c")},
		{"x5c", withKeySet(servers["x5c"]), wrong("x5c", "kid")},
		{"libtrust", servers["libtrust"].registry(t, old), ``},
		{"kid", servers["kid"].registry(t, current), ``},
		{"kid", withKeySet(servers["kid"]), ``},
	} {
		if got := checked[tc.signing].check(t, "http://"+tc.at.host); got != tc.want {
			t.Errorf("signing = %q: findings\n%s\nwant\n%s", tc.signing, got, tc.want)
		}
	}
}
