package server_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"shorepass/internal/tlsconf"
	"shorepass/server"
)

func TestRoutes(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/jwt/auth?service=blue&scope=repository:public/a:pull", 200},
		{"GET", "/jwt/auth/?service=blue&scope=repository:public/a:pull", 200},
		{"GET", "//jwt/auth?service=blue&scope=repository:public/a:pull", 200},
		{"GET", "/token?service=blue&scope=repository:public/a:pull", 200},
		{"PUT", "/jwt/auth?service=blue", 405},
		{"DELETE", "/jwt/auth?service=blue", 405},
		{"HEAD", "/jwt/auth?service=blue", 405},
		{"GET", "/auth", 404},
		{"GET", "/", 404},
		{"GET", "/healthz", 200},
		{"HEAD", "/healthz", 200},
		{"GET", "/readyz", 200},
		{"GET", "/readyz?all", 200},
		{"GET", "/metrics", 200},
	} {
		req, err := http.NewRequest(test.method, h.URL+test.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != test.status || resp.Header.Get("Location") != "" {
			t.Errorf("%s %s: %d, Location %q; want %d and no redirect", test.method, test.path, resp.StatusCode, resp.Header.Get("Location"), test.status)
		}
	}
}

func TestNotReadyBeforeTheFirstConfiguration(t *testing.T) {
	h := newHarness(t, server.AuditConfig{})
	for path, status := range map[string]int{"/healthz": 200, "/readyz": 503, "/jwt/auth?service=blue": 503} {
		resp, err := http.Get(h.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != status {
			t.Errorf("GET %s before the first Reload: %d, want %d", path, resp.StatusCode, status)
		}
	}
}

func TestAuditLine(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	h.get(t, "service=blue&client_id=docker&account=alice&scope=repository:team-blue/app:pull,delete", "ALICE", password)
	line := h.audit.last(t)
	for key, want := range map[string]any{
		"status": 200.0, "user": "alice", "subject": "alice", "provider": "local", "method": "password", "account": "ALICE",
		"client": "docker", "service": "blue", "address": "127.0.0.1",
	} {
		if line[key] != want {
			t.Errorf("%s = %v, want %v", key, line[key], want)
		}
	}
	if got, want := fmt.Sprint(line["asked"], line["granted"]), "[repository:team-blue/app:pull,delete] [repository:team-blue/app:pull]"; got != want {
		t.Errorf("asked and granted are %s, want %s", got, want)
	}
	if !strings.Contains(fmt.Sprint(line["rules"]), "own") || line["jti"] == "" || line["request"] == "" {
		t.Errorf("the line lacks the rule, the jti or the request's id: %v", line)
	}

	h.get(t, "service=blue&scope=repository:team-blue/app:pull", "alice", "not-"+password+"\nforged line")
	line = h.audit.last(t)
	if line["status"] != 401.0 || line["user"] != "" || line["account"] != "alice" || line["granted"] != nil || line["jti"] != nil {
		t.Errorf("the line of a wrong password is %v", line)
	}
	if text := h.audit.text.String(); strings.Contains(text, password) || strings.Count(text, "\n") != 2 {
		t.Errorf("the audit log holds a password or a forged line:\n%s", text)
	}
}

func TestAuditRequired(t *testing.T) {
	for required, status := range map[bool]int{false: http.StatusOK, true: http.StatusServiceUnavailable} {
		h := newHarness(t, server.AuditConfig{Required: required}).reload(t)
		h.audit.fail = io.ErrShortWrite
		if a := h.get(t, "service=blue", "alice", password); a.status != status {
			t.Errorf("required = %v and the line cannot be written: %d, want %d", required, a.status, status)
		}
	}
}

// TestTooManyWrongPasswords: the rate limit answers 429 with Retry-After, whether the
// account exists or not.
func TestTooManyWrongPasswords(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	for _, user := range []string{"alice", "nobody"} {
		for i := range 3 {
			if a := h.get(t, "service=blue", user, fmt.Sprint("wrong-", i)); a.status != 401 {
				t.Errorf("%s, wrong password %d: %d, want 401", user, i, a.status)
			}
		}
		a := h.get(t, "service=blue", user, "wrong-3")
		if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" || a.json["error"] != "slow_down" ||
			!strings.Contains(a.body, "too many wrong passwords; try again in 31 minutes") {
			t.Errorf("%s, the fourth wrong password: %d %s, Retry-After %q; want 429", user, a.status, a.body, a.header.Get("Retry-After"))
		}
	}
}

func TestPublicURLDefault(t *testing.T) {
	for listen, want := range map[string]string{
		"127.0.0.1:5001": "http://127.0.0.1:5001/jwt/auth",
		":5001":          "http://localhost:5001/jwt/auth",
		"0.0.0.0:5001":   "http://localhost:5001/jwt/auth",
		"[::]:5001":      "http://localhost:5001/jwt/auth",
		"auth.corp:80":   "http://auth.corp:80/jwt/auth",
	} {
		if got := (server.Config{Listen: listen}).WithDefaults().Realm(); got != want {
			t.Errorf("the realm of listen = %q is %q, want %q", listen, got, want)
		}
	}
	secure := server.Config{Listen: ":443", TLS: tlsconf.Config{Certificate: "c", Key: "k"}}.WithDefaults()
	if got, want := secure.Realm(), "https://localhost:443/jwt/auth"; got != want {
		t.Errorf("the realm of a server with TLS is %q, want %q", got, want)
	}
}
