package server_test

import (
	"net/http"
	"strings"
	"testing"

	"shorepass/registry"
	"shorepass/server"
)

// TestCORS: scripts of a page at an origin of ui_origins can read the token endpoint's
// answers for that service, errors included, and nothing else. The requests are those of
// Joxit's docker-registry-ui: a GET with a query, without credentials or with Basic, which
// a preflight precedes.
func TestCORS(t *testing.T) {
	const blue, red = "https://blue.corp.example", "https://red.corp.example"
	h := newHarness(t, server.AuditConfig{})
	h.generation.Services = []registry.Service{{Name: "blue", UIOrigins: []string{blue, "http://localhost:8080"}}, {Name: "red", UIOrigins: []string{red}}}
	h.reload(t)
	for _, tt := range []struct {
		name, method, target, form, origin, basic string
		status                                    int
		allowed                                   bool
	}{
		{"anonymous", "GET", "/jwt/auth?service=blue&scope=repository:public/app:pull", "", blue, "", 200, true},
		{"a second origin", "GET", "/jwt/auth?service=blue", "", "http://localhost:8080", "alice:" + password, 200, true},
		{"by an alias of the path", "GET", "/token?service=blue", "", blue, "alice:" + password, 200, true},
		{"a wrong password", "GET", "/jwt/auth?service=blue", "", blue, "alice:wrong", 401, true},
		{"a denial", "GET", "/jwt/auth?service=blue&scope=repository:team-red/app:pull", "", blue, "alice:" + password, 403, true},
		{"malformed", "GET", "/jwt/auth?service=blue&access_type=%ff", "", blue, "", 400, true},
		{"an unknown service", "GET", "/jwt/auth?service=green", "", blue, "", 400, true},
		{"a POST", "POST", "/jwt/auth", "grant_type=password&service=blue&username=alice&password=" + password, blue, "", 200, true},

		{"another service's origin", "GET", "/jwt/auth?service=red", "", blue, "alice:" + password, 200, false},
		{"a POST for another service", "POST", "/jwt/auth", "grant_type=password&service=red&username=alice&password=" + password, blue, "", 200, false},
		{"an unknown origin", "GET", "/jwt/auth?service=blue", "", "https://evil.example", "alice:" + password, 200, false},
		{"an origin that begins alike", "GET", "/jwt/auth?service=blue", "", blue + ".evil.example", "", 401, false},
		{"a sandboxed page", "GET", "/jwt/auth?service=blue", "", "null", "", 401, false},
		{"no origin", "GET", "/jwt/auth?service=blue", "", "", "alice:" + password, 200, false},
	} {
		got := h.do(t, corsRequest(t, h, tt.method, tt.target, tt.form, tt.origin, tt.basic))
		want := ""
		if tt.allowed {
			want = tt.origin
		}
		if got.status != tt.status || got.header.Get("Access-Control-Allow-Origin") != want || got.header.Get("Vary") != "Origin" {
			t.Errorf("%s: %d %v, want %d and the origin %q", tt.name, got.status, got.header, tt.status, want)
		}
		if got.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: credentials are allowed", tt.name)
		}
	}
	for _, target := range []string{"/v2/", "/.well-known/jwks.json", "/healthz", "/jwt/nothing?service=blue"} {
		if got := h.do(t, corsRequest(t, h, "GET", target, "", blue, "")); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s takes part in CORS", target)
		}
	}
}

// TestPreflight: a preflight allows Authorization and Content-Type to an origin of the
// service, and to others nothing.
func TestPreflight(t *testing.T) {
	h := newHarness(t, server.AuditConfig{})
	preflight := func(target, origin string) answer {
		req := corsRequest(t, h, "OPTIONS", target, "", origin, "")
		req.Header.Set("Access-Control-Request-Method", "GET")
		req.Header.Set("Access-Control-Request-Headers", "authorization")
		return h.do(t, req)
	}
	h.reload(t)
	if got := preflight("/jwt/auth?service=blue", "https://blue.corp.example"); got.status != http.StatusMethodNotAllowed {
		t.Errorf("without ui_origins: %d, want 405", got.status)
	}
	h.generation.Services = []registry.Service{{Name: "blue", UIOrigins: []string{"https://blue.corp.example"}}}
	h.reload(t)
	for _, tt := range []struct {
		target, origin string
		status         int
		headers        string
	}{
		{"/jwt/auth?service=blue&scope=repository:a:pull", "https://blue.corp.example", 204, "Authorization, Content-Type"},
		{"/jwt/auth", "https://blue.corp.example", 204, "Authorization, Content-Type"}, // of a POST
		{"/jwt/auth?service=red", "https://blue.corp.example", 204, ""},
		{"/jwt/auth?service=blue", "https://evil.example", 204, ""},
		{"/jwt/auth?service=blue", "", 405, ""},
		{"/oauth/revoke", "https://blue.corp.example", 405, ""},
	} {
		got := preflight(tt.target, tt.origin)
		if got.status != tt.status || got.header.Get("Access-Control-Allow-Headers") != tt.headers || (got.header.Get("Access-Control-Allow-Origin") != "") != (tt.headers != "") {
			t.Errorf("%s from %q: %d %v, want %d and %q", tt.target, tt.origin, got.status, got.header, tt.status, tt.headers)
		}
	}
}

func corsRequest(t *testing.T, h *harness, method, target, form, origin, basic string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, h.URL+target, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if origin != "" {
		req.Header.Set("Origin", origin)
	}
	if user, secret, ok := strings.Cut(basic, ":"); ok {
		req.SetBasicAuth(user, secret)
	}
	return req
}
