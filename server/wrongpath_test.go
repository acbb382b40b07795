package server_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"shorepass/server"
)

// TestWrongPath (F8): a token request to a path that is none of server.paths is 404,
// with a sentence that names the right paths, an audit line and a log line. It is never
// redirected, and no password is verified.
func TestWrongPath(t *testing.T) {
	h := newHarness(t, server.AuditConfig{})
	var log bytes.Buffer
	h.server = server.New(h.lines, server.NewMetrics(), slog.New(slog.NewJSONHandler(&log, nil)))
	h.server.Open(h.sessions, h.sessions.Admin())
	h.Config.Handler = h.server
	h.reload(t)
	const query = "?account=alice&service=blue&scope=repository:team-blue/app:pull"
	ask := func(method, path, body string) answer {
		t.Helper()
		req, err := http.NewRequest(method, h.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		} else {
			req.SetBasicAuth("alice", password)
		}
		return h.do(t, req)
	}
	form := passwordForm("alice", password, "blue").Encode()
	for _, test := range []struct{ method, path, query, form string }{
		{"GET", "/auth/token", query, ""},
		{"GET", "/", query, ""},
		{"GET", "/jwt", query, ""},
		{"GET", "/JWT/AUTH", query, ""},
		{"GET", "/jwt/auth/token", query, ""},
		{"GET", "/jwt//auths/", "?service=blue", ""},
		{"GET", "/service/token", "?offline_token=true", ""},
		{"GET", "/v2/token", "?scope=", ""},
		{"POST", "/auth/token", "", form},
		{"POST", "/auth/token", "", "service=%ff"},
		{"GET", "/sp_r_0123456789abcdef", query, ""},
		{"GET", "/" + url.PathEscape("a\nb\x1b[2J\"") + strings.Repeat("x", 3000), query, ""},
	} {
		before := h.audit.text.Len()
		a := ask(test.method, test.path+test.query, test.form)
		if a.status != http.StatusNotFound || a.header.Get("Location") != "" || a.header.Get("WWW-Authenticate") != "" || !strings.Contains(a.body, "the token endpoint is /jwt/auth, /token: correct the realm") {
			t.Errorf("%s %s: %d %v %s, want 404 that names the paths", test.method, test.path, a.status, a.header, a.body)
		}
		line := h.audit.last(t)
		if h.audit.text.Len() == before || line["status"] != 404.0 || line["user"] != "" || !strings.Contains(fmt.Sprint(line["reason"]), "there is no token endpoint at") {
			t.Errorf("%s %s: the audit line is %v", test.method, test.path, line)
		}
		if strings.Contains(a.body, "sp_r_0") || len(a.body) > 2500 {
			t.Errorf("%s %.30s: the answer repeats a token or is long: %s", test.method, test.path, a.body)
		}
	}
	for _, path := range []string{"/jwt/auth/" + query, "//jwt/auth" + query, "/jwt//auth/" + query, "/token/" + query} {
		if a := ask("GET", path, ""); a.status != http.StatusOK {
			t.Errorf("GET %s: %d, want 200", path, a.status)
		}
	}
	before := h.audit.text.Len()
	for _, other := range []struct{ method, path string }{{"GET", "/"}, {"GET", "/favicon.ico"}, {"PUT", "/auth/token" + query}, {"GET", "/.env?x=1"}} {
		if a := ask(other.method, other.path, ""); a.status != http.StatusNotFound || h.audit.text.Len() != before {
			t.Errorf("%s %s: %d, want 404 and no audit line", other.method, other.path, a.status)
		}
	}
	lines := strings.Count(log.String(), "a token request has a path that is none of server.paths")
	if !strings.Contains(log.String(), `"path":"/auth/token","paths":["/jwt/auth","/token"],"service":"blue"`) || lines > 10 || strings.Contains(log.String(), password) {
		t.Errorf("the log has %d lines:\n%s\nwant one for each path, ten at most", lines, &log)
	}
	if n := h.local.logins.Load(); n != 1 {
		t.Errorf("the provider was asked %d times, want once, at the right paths", n)
	}
}

// TestUnknownService (F8): the client and the audit line hear which service was asked.
func TestUnknownService(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	for _, test := range []struct{ service, want, reason string }{
		{"registry.corp", `no registry that is served here has the service "registry.corp"`, `unknown service: "registry.corp"`},
		{"", "the service parameter is missing", `unknown service: ""`},
		{"a\nb", `has the service "a\nb"`, `unknown service: "a\nb"`},
		{"sp_r_0123456789abcdef", `has the service "[redacted]"`, `unknown service: "[redacted]"`},
		{strings.Repeat("x", 5000), `has the service "xxxx`, `unknown service: "xxxx`},
		{"off", "this registry is disabled here; ask the operators of this registry", `: "off"`},
	} {
		a := h.get(t, url.Values{"service": {test.service}, "account": {"alice"}}.Encode(), "alice", password)
		line := h.audit.last(t)
		if message := fmt.Sprint(a.json["error_description"]); !strings.Contains(message, test.want) || len(message) > 500 || strings.Contains(a.body, "blue") {
			t.Errorf("service %.20q: %s, want %q, and no name of another service", test.service, a.body, test.want)
		}
		if !strings.Contains(fmt.Sprint(line["reason"]), test.reason) || line["account"] != "alice" || line["service"] != nil {
			t.Errorf("service %.20q: the audit line is %v, want the reason %q", test.service, line, test.reason)
		}
	}
}
