package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shorepass/providers/oidc/oidctest"
)

// TestTLS serves the token endpoint over TLS to clients of a registry.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{scheme: "https", server: fmt.Sprintf("tls = { certificate = %q, key = %q }",
		filepath.Join(runDir, "localhost.crt"), filepath.Join(runDir, "localhost.key"))})
	r := s.registry(t, distributions[1])
	i := dockerImage(t)
	r.seed(t, i, "team-alpha/it:1")
	alice := testUsers()["alice"]
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			h := newHome(t)
			if s := c.login(t, h, r.host, "alice", alice.password); !s.ok {
				t.Fatalf("login: %v", s)
			}
			h.stored(t, r.host)
			if s := c.pull(t, h, r.host+"/team-alpha/it:1"); !s.ok || !s.hasDigest(i.layer.digest()) {
				t.Errorf("pull: %v", s)
			}
		})
	}
}

// TestReload changes the configuration under a running server.
func TestReload(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	const beta, public = "repository:team-beta/x:pull", "repository:public/x:pull"
	alice := testUsers()["alice"]
	granted := func() string {
		return s.get(t, "service="+service+"&scope="+beta+"+"+public, basic("alice", alice.password)).granted(t)
	}
	until := func(want string) {
		t.Helper()
		s.process.await(t, 15*time.Second, func() error {
			if got := granted(); got != want {
				return fmt.Errorf("granted = %q, want %q", got, want)
			}
			return nil
		})
	}
	until(public)
	more := testRules + `
[[rule]]
name = "alice helps out"
users = ["alice"]
repositories = ["team-beta/**"]
actions = ["pull"]
`
	s.writeConfig(t, options{providers: testUsers().toml(), rules: more})
	until(beta + " " + public)

	s.writeConfig(t, options{providers: testUsers().toml(), rules: testRules + "\n[[rule]]\nnaem = \"misspelt\"\n"})
	s.process.cmd.Process.Signal(syscall.SIGHUP)
	s.process.await(t, 15*time.Second, func() error {
		if !strings.Contains(s.process.output(), "naem") {
			return fmt.Errorf("no word about the misspelt key")
		}
		return nil
	})
	if got := granted(); got != beta+" "+public {
		t.Errorf("granted with a faulty new file = %q, want what the old one says", got)
	}

	s.writeConfig(t, options{providers: testUsers().toml(), rules: testRules})
	s.process.cmd.Process.Signal(syscall.SIGHUP)
	until(public)
}

// TestShutdown stops the server while somebody waits for an answer: they get
// it, and meanwhile /readyz tells others to go elsewhere.
func TestShutdown(t *testing.T) {
	t.Parallel()
	slow := oidctest.NewIssuer(t)
	asked, release := make(chan struct{}), make(chan struct{})
	slow.Replace(oidctest.TokenPath, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-release
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant"}`)
	})
	s := newServer(t, options{providers: fmt.Sprintf(`
[[provider]]
name = "slow"
kind = "oidc"
issuer = %q
client_id = "registry"
grants = ["password"]
`, slow.URL)})
	answered := make(chan answer, 1)
	go func() { answered <- s.get(t, "service="+service, basic("alice", "whatever-it-is")) }()
	<-asked
	must(t, s.process.cmd.Process.Signal(syscall.SIGTERM))
	time.Sleep(200 * time.Millisecond)
	select {
	case <-s.process.done:
		t.Fatal("the server ended before it had answered")
	case <-answered:
		t.Fatal("an answer before the provider had answered")
	default:
	}
	close(release)
	if a := <-answered; a.Status != http.StatusUnauthorized {
		t.Errorf("answer during a shutdown = %v, want the 401 that the provider gave", a)
	}
	s.stop(t)
}

// TestSlowClient opens connections and sends half a request: the server does
// not wait for ever.
func TestSlowClient(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	for name, sent := range map[string]string{
		"nothing":       "",
		"half a header": "GET /jwt/auth?service=" + service + " HTTP/1.1\r\nHost: x\r\nAuthoriz",
		"half a body":   "POST /jwt/auth HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant_type=",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.port))
			must(t, err)
			defer c.Close()
			_, err = io.WriteString(c, sent)
			must(t, err)
			began := time.Now()
			must(t, c.SetReadDeadline(began.Add(30*time.Second)))
			text, err := io.ReadAll(bufio.NewReader(c))
			if err != nil {
				t.Fatalf("the connection is still open after %v", time.Since(began))
			}
			if strings.Contains(string(text), " 500 ") {
				t.Errorf("the answer to %s: %s", name, text)
			}
		})
	}
}

// TestThrottle guesses at a password from an address without a proof: after three
// wrong ones the provider is not asked any more, and other accounts and tokens go on.
func TestThrottle(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	users := testUsers()
	ask := func(user, password string) answer {
		return s.get(t, "service="+service+"&scope=repository:team-alpha/x:pull", basic(user, password))
	}
	token := s.login(t, "alice", users["alice"].password)

	for range 20 {
		if a := ask("bob", "the-same-wrong-one"); a.Status != http.StatusUnauthorized {
			t.Fatalf("the same wrong password again = %v, want 401", a)
		}
	}
	for n := range 2 {
		if a := ask("bob", fmt.Sprintf("another-wrong-one-%d", n)); a.Status != http.StatusUnauthorized {
			t.Fatalf("wrong password %d = %v, want 401", n+2, a)
		}
	}
	for _, name := range []string{"bob", "BOB", " bob ", "\uff42\uff4f\uff42"} {
		a := ask(name, "yet-another-wrong-one")
		if a.Status != http.StatusTooManyRequests {
			t.Fatalf("a fourth wrong password for %q = %v, want 429", name, a)
		}
		checkError(t, a)
	}
	if a := ask("bob", users["bob"].password); a.Status != http.StatusTooManyRequests {
		t.Errorf("the right password, not remembered, after that = %v, want 429", a)
	}
	if a := ask("root", users["root"].password); a.Status != http.StatusOK {
		t.Errorf("another account = %v, want 200", a)
	}
	if a := s.redeem(t, token, ""); a.Status != http.StatusOK {
		t.Errorf("a token = %v, want 200", a)
	}
}

// TestForwarded asks from behind a proxy that is trusted, and pretends to be.
func TestForwarded(t *testing.T) {
	t.Parallel()
	const rules = testRules + `
[[rule]]
name = "only from inside"
effect = "deny"
repositories = ["team-alpha/**"]
actions = ["push"]
when = '!cidr("10.0.0.0/8").containsIP(request.address)'
`
	const scope = "repository:team-alpha/x:"
	alice := testUsers()["alice"]
	for _, tc := range []struct {
		name, trusted string
		header, value string
		granted       string
	}{
		{"directly", "", "", "", "pull"},
		{"a proxy that is trusted", "127.0.0.0/8", "X-Forwarded-For", "10.1.2.3", "pull,push"},
		{"a proxy that is trusted, RFC 7239", "127.0.0.0/8", "Forwarded", `for="10.1.2.3:4711";proto=https`, "pull,push"},
		{"a client that pretends, behind it", "127.0.0.0/8", "X-Forwarded-For", "10.1.2.3, 192.0.2.1", "pull"},
		{"garbage behind it", "127.0.0.0/8", "X-Forwarded-For", "unknown, , %", "pull"},
		{"a proxy that is not trusted", "", "X-Forwarded-For", "10.1.2.3", "pull"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := options{rules: rules}
			if tc.trusted != "" {
				o.server = fmt.Sprintf("trusted_proxies = [%q]", tc.trusted)
			}
			s := newServer(t, o)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/jwt/auth?service="+service+"&scope="+scope+"pull,push", nil)
			must(t, err)
			r.Header.Set("Authorization", basic("alice", alice.password))
			if tc.header != "" {
				r.Header.Set(tc.header, tc.value)
			}
			if a := do(t, r); a.Status != http.StatusOK || a.granted(t) != scope+tc.granted {
				t.Errorf("%s: %s = %v, want %s", tc.header, tc.value, a, tc.granted)
			}
		})
	}
}
