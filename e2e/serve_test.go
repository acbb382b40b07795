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

// TestTLS: clients of a registry get tokens over TLS.
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

// TestReload changes the configuration of a running server: by watching the
// file, and by SIGHUP. A faulty file changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	const beta, public = "repository:team-beta/x:pull", "repository:public/x:pull"
	alice := testUsers()["alice"]
	granted := func() string {
		return s.get(t, "service="+service+"&scope="+beta+"+"+public, basic("alice", alice.password)).granted(t)
	}
	awaitGranted := func(want string) {
		t.Helper()
		s.process.await(t, 15*time.Second, func() error {
			if got := granted(); got != want {
				return fmt.Errorf("granted = %q, want %q", got, want)
			}
			return nil
		})
	}
	awaitGranted(public)
	more := testRules + `
[[rule]]
name = "alice helps out"
users = ["alice"]
repositories = ["team-beta/**"]
actions = ["pull"]
`
	s.writeConfig(t, options{providers: testUsers().toml(), rules: more})
	awaitGranted(beta + " " + public)

	s.writeConfig(t, options{providers: testUsers().toml(), rules: testRules + "\n[[rule]]\nnaem = \"misspelt\"\n"})
	s.process.cmd.Process.Signal(syscall.SIGHUP)
	s.process.await(t, 15*time.Second, func() error {
		if !strings.Contains(s.process.output(), "naem") {
			return fmt.Errorf("the log does not name the misspelt key")
		}
		return nil
	})
	if got := granted(); got != beta+" "+public {
		t.Errorf("granted with a faulty new file = %q, want what the old file grants", got)
	}

	s.writeConfig(t, options{providers: testUsers().toml(), rules: testRules})
	s.process.cmd.Process.Signal(syscall.SIGHUP)
	awaitGranted(public)
}

// TestShutdown sends SIGTERM during a login: the server answers it, then exits
// with 0.
func TestShutdown(t *testing.T) {
	t.Parallel()
	slow := oidctest.NewIssuer(t)
	requested, release := make(chan struct{}), make(chan struct{})
	slow.Replace(oidctest.TokenPath, func(w http.ResponseWriter, _ *http.Request) {
		close(requested)
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
	<-requested
	must(t, s.process.cmd.Process.Signal(syscall.SIGTERM))
	time.Sleep(200 * time.Millisecond)
	select {
	case <-s.process.done:
		t.Fatal("the server exited before it answered")
	case <-answered:
		t.Fatal("the server answered before the provider did")
	default:
	}
	close(release)
	if a := <-answered; a.Status != http.StatusUnauthorized {
		t.Errorf("answer during a shutdown = %v, want 401 for the provider's invalid_grant", a)
	}
	s.stop(t)
}

// TestSlowClientIsDisconnected opens connections that send part of a request
// or nothing: the server closes them within 30 s.
func TestSlowClientIsDisconnected(t *testing.T) {
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
				t.Errorf("the answer to %s = %s, want no 500", name, text)
			}
		})
	}
}

// TestWrongPasswordsAreLimited guesses the password of bob from an address
// without a proof. After three wrong ones every spelling of the name is 429;
// other accounts and refresh tokens are not affected.
func TestWrongPasswordsAreLimited(t *testing.T) {
	t.Parallel()
	s := newServer(t, options{})
	users := testUsers()
	login := func(user, password string) answer {
		return s.get(t, "service="+service+"&scope=repository:team-alpha/x:pull", basic(user, password))
	}
	token := s.login(t, "alice", users["alice"].password)

	for range 20 {
		if a := login("bob", "the-same-wrong-one"); a.Status != http.StatusUnauthorized {
			t.Fatalf("the same wrong password again = %v, want 401", a)
		}
	}
	for n := range 2 {
		if a := login("bob", fmt.Sprintf("another-wrong-one-%d", n)); a.Status != http.StatusUnauthorized {
			t.Fatalf("wrong password %d = %v, want 401", n+2, a)
		}
	}
	for _, name := range []string{"bob", "BOB", " bob ", "\uff42\uff4f\uff42"} {
		a := login(name, "yet-another-wrong-one")
		if a.Status != http.StatusTooManyRequests {
			t.Fatalf("a fourth wrong password for %q = %v, want 429", name, a)
		}
		checkError(t, a)
	}
	if a := login("bob", users["bob"].password); a.Status != http.StatusTooManyRequests {
		t.Errorf("the right password, not cached, after that = %v, want 429", a)
	}
	if a := login("root", users["root"].password); a.Status != http.StatusOK {
		t.Errorf("a login to another account = %v, want 200", a)
	}
	if a := s.redeem(t, token, ""); a.Status != http.StatusOK {
		t.Errorf("redeem a refresh token = %v, want 200", a)
	}
}

// TestForwarded: of a forwarding header the address that a trusted proxy added
// counts, and nothing else. The rule denies a push from outside 10.0.0.0/8.
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
		{"no proxy", "", "", "", "pull"},
		{"trusted proxy, X-Forwarded-For", "127.0.0.0/8", "X-Forwarded-For", "10.1.2.3", "pull,push"},
		{"trusted proxy, Forwarded", "127.0.0.0/8", "Forwarded", `for="10.1.2.3:4711";proto=https`, "pull,push"},
		{"trusted proxy, forged by the client", "127.0.0.0/8", "X-Forwarded-For", "10.1.2.3, 192.0.2.1", "pull"},
		{"trusted proxy, garbage", "127.0.0.0/8", "X-Forwarded-For", "unknown, , %", "pull"},
		{"untrusted proxy", "", "X-Forwarded-For", "10.1.2.3", "pull"},
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
				t.Errorf("with %s: %s = %v, want %s", tc.header, tc.value, a, tc.granted)
			}
		})
	}
}
