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

// lostDirectory is an LDAP provider at an address where no directory answers.
func lostDirectory(addresses ...string) string {
	secrets.keep("service account's password", "lost-directory-canary")
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

// nobody is an address where nobody listens.
func nobody(t *testing.T) string { return fmt.Sprintf("127.0.0.1:%d", freePort(t)) }

// listener accepts connections and lets serve do with each of them what a
// broken directory does.
func listener(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", nobody(t))
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

// answerLimit is how long an answer may take when no directory gives one: ten
// seconds of waiting, and what a busy machine adds. Docker gives up after 15.
const answerLimit = 13 * time.Second

// dying closes the connection as soon as it was asked something.
func dying(c net.Conn) { c.Read(make([]byte, 1)) }

// raving answers with what is no LDAP.
func raving(c net.Conn) {
	c.Read(make([]byte, 1))
	io.WriteString(c, strings.Repeat("\x30\x84\xff\xff\xff\xff nonsense of host dc1.corp.example ", 100))
	io.Copy(io.Discard, c)
}

// TestDirectoryDown logs in while the directory is down, silent, dying or
// mad: 503 with Retry-After in bounded time, and not a word of where it is.
func TestDirectoryDown(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		addresses []string
	}{
		{"nobody listens", []string{nobody(t), nobody(t)}},
		{"it accepts and is silent", []string{listener(t, silent)}},
		{"every server is silent", []string{listener(t, silent), listener(t, silent), listener(t, silent)}},
		{"it dies in the middle", []string{listener(t, dying), listener(t, dying)}},
		{"it raves", []string{listener(t, raving)}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{providers: theHouse().toml() + lostDirectory(tc.addresses...)})
			secrets.keep("password", "carol-canary-pass")
			var wg sync.WaitGroup
			for n := range 8 {
				wg.Go(func() {
					began := time.Now()
					a := s.get(t, fmt.Sprintf("service=%s&offline_token=%v", service, n%2 == 0), basic("carol", "carol-canary-pass"))
					if took := time.Since(began); took > answerLimit {
						t.Errorf("an answer after %v, want one within %v", took, answerLimit)
					}
					if a.Status != http.StatusServiceUnavailable {
						t.Errorf("answer = %v, want 503", a)
						return
					}
					checkError(t, a)
					for _, inner := range append(tc.addresses, "example", "ldap", "127.0.0.1", "refused", "EOF") {
						if strings.Contains(strings.ToLower(a.Raw), inner) {
							t.Errorf("the answer tells of %q: %v", inner, a)
						}
					}
				})
			}
			wg.Wait()

			// A file stands first, so its accounts work meanwhile.
			alice := theHouse()["alice"]
			if a := s.get(t, "service="+service, basic("alice", alice.password)); a.Status != http.StatusOK {
				t.Errorf("somebody in the file = %v, want 200", a)
			}
			if body, err := get(s.url + "/readyz"); err != nil || !strings.Contains(string(body), "corp") {
				t.Errorf("/readyz = %s, %v, want 200 that names the provider", body, err)
			}
			if _, err := get(s.url + "/readyz?all"); err == nil || !strings.Contains(err.Error(), "503") {
				t.Errorf("/readyz?all: %v, want 503", err)
			}
			if got := s.cli(t, "", "check", "--live"); got.ok || !strings.Contains(got.text, "corp") {
				t.Errorf("shorepass check --live: %v\nwant a failure that names the provider", got)
			}
		})
	}
}
