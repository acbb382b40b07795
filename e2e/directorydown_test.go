package e2e

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// lostDirectory returns an LDAP provider at addresses without a directory.
func lostDirectory(addresses ...string) string {
	secrets.add("service account's password", "lost-directory-canary")
	return fmt.Sprintf(`
[[provider]]
name = "corp"
kind = "ldap"
preset = "openldap"
urls = ["ldap://%s"]
insecure = true
bind_dn = "cn=svc,ou=services,dc=example,dc=org"
bind_password = "lost-directory-canary"
users = { base = "ou=people,dc=example,dc=org" }
groups = { base = "ou=groups,dc=example,dc=org" }
prefix = ""
`, strings.Join(addresses, `", "ldap://`))
}

// unusedAddress returns an address at which nothing listens.
func unusedAddress(t *testing.T) string { return fmt.Sprintf("127.0.0.1:%d", freePort(t)) }

// listener accepts connections until the test ends and calls serve for each. It
// returns its address.
func listener(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", unusedAddress(t))
	must(t, err)
	var wg sync.WaitGroup
	var mu sync.Mutex // guards open
	var open []net.Conn
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			wg.Go(func() { defer c.Close(); serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return l.Addr().String()
}

// silent reads and never answers.
func silent(c net.Conn) { io.Copy(io.Discard, c) }

// answerLimit is the time limit of an answer without a directory: the ten
// seconds of the chain, and three for a busy machine. Docker gives up after 15.
const answerLimit = 13 * time.Second

// closing closes the connection at the first byte.
func closing(c net.Conn) { c.Read(make([]byte, 1)) }

// malformed answers with bytes that are not LDAP.
func malformed(c net.Conn) {
	c.Read(make([]byte, 1))
	io.WriteString(c, strings.Repeat("\x30\x84\xff\xff\xff\xff nonsense of host dc1.corp.example ", 100))
	io.Copy(io.Discard, c)
}

// TestDirectoryDown logs in while the directory is down, silent, or answers with
// garbage: 503 with Retry-After in bounded time, without the directory's address.
func TestDirectoryDown(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		addresses []string
	}{
		{"nothing listens", []string{unusedAddress(t), unusedAddress(t)}},
		{"a silent server", []string{listener(t, silent)}},
		{"every server is silent", []string{listener(t, silent), listener(t, silent), listener(t, silent)}},
		{"servers that close the connection", []string{listener(t, closing), listener(t, closing)}},
		{"a server with malformed answers", []string{listener(t, malformed)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, options{providers: testUsers().toml() + lostDirectory(tc.addresses...)})
			secrets.add("password", "carol-canary-pass")
			var wg sync.WaitGroup
			for n := range 8 {
				wg.Go(func() {
					began := time.Now()
					a := s.get(t, fmt.Sprintf("service=%s&offline_token=%v", service, n%2 == 0), basic("carol", "carol-canary-pass"))
					if took := time.Since(began); took > answerLimit {
						t.Errorf("answer after %v, want one within %v", took, answerLimit)
					}
					if a.Status != http.StatusServiceUnavailable {
						t.Errorf("answer = %v, want 503", a)
						return
					}
					checkError(t, a)
					for _, inner := range append(tc.addresses, "example", "ldap", "127.0.0.1", "refused", "EOF") {
						if strings.Contains(strings.ToLower(a.Raw), inner) {
							t.Errorf("the answer contains %q: %v", inner, a)
						}
					}
				})
			}
			wg.Wait()

			// The file provider comes first, so its accounts still work.
			alice := testUsers()["alice"]
			if a := s.get(t, "service="+service, basic("alice", alice.password)); a.Status != http.StatusOK {
				t.Errorf("login of a local user = %v, want 200", a)
			}
			if body, err := get(s.url + "/readyz"); err != nil || !strings.Contains(string(body), "corp") {
				t.Errorf("/readyz = %s, %v, want 200 with the provider's name", body, err)
			}
			if _, err := get(s.url + "/readyz?all"); err == nil || !strings.Contains(err.Error(), "503") {
				t.Errorf("/readyz?all: %v, want 503", err)
			}
			if got := s.cli(t, "", "check", "--live"); got.ok || !strings.Contains(got.text, "corp") {
				t.Errorf("shorepass check --live: %v\nwant a failure with the provider's name", got)
			}
		})
	}
}
