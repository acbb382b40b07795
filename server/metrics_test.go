package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"shorepass/server"
	"shorepass/session"
)

// TestMetricsNameTheMethod: the label method is that of the credential, for refused
// requests too, and does not depend on how the credential is sent. The label provider is
// the one that refused it (F10), none where none was asked.
func TestMetricsNameTheMethod(t *testing.T) {
	h, _ := withIssuer(t, &issuer{})
	login := h.get(t, "service=blue&offline_token=true&account=alice", "alice", password)
	refresh := fmt.Sprint(login.json["refresh_token"])
	h.post(t, passwordForm("alice", "wrong", "blue"))
	h.get(t, "service=blue&scope=repository:public/app:pull")
	h.get(t, "service=blue", "alice", refresh)
	h.post(t, refreshForm(refresh, "blue"))
	h.post(t, refreshForm("no token of ours", "blue"))
	h.get(t, "service=blue", "$refresh", goodRefresh)
	h.get(t, "service=blue", "$refresh", "another")
	h.get(t, "service=blue", "alice", h.copySession(t, refresh, "sp_p_", session.KindPAT, 0))
	h.get(t, "service=blue", "robot", "sp_b_made-up")
	h.get(t, "service=blue", "alice", "sp_o_made-up")
	h.get(t, "service=blue", "alice", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9.AAAA")
	h.get(t, "service=blue&service=red")

	req, err := http.NewRequest(http.MethodGet, h.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(h.do(t, req).body) {
		if counted, ok := strings.CutPrefix(line, "shorepass_token_requests_total{method="); ok {
			got = append(got, strings.NewReplacer(`"`, "", ",provider=", " ", ",status=", " ", "}", "").Replace(strings.TrimSpace(counted)))
		}
	}
	want := []string{
		"anonymous none 200 1",
		"browser none 401 1",
		"id_token none 401 1", // no provider has that issuer
		"password local 200 1",
		"password local 401 1",
		"pat local 200 1",
		"refresh local 200 2",
		"refresh none 401 1",
		"refresh sso 200 1",
		"refresh sso 401 1",
		"robot none 401 1",
		"unknown none 400 1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("counted:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// counted returns the lines of /metrics that begin with a name.
func (h *harness) counted(t *testing.T, name string) []string {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, h.URL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(h.do(t, req).body) {
		if strings.HasPrefix(line, name) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// TestMetricsOfRefusals (F10): a denial by the rules, a limited login, a provider that is
// down, and requests to every route are told apart.
func TestMetricsOfRefusals(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	h.get(t, "service=blue", "alice", password) // a login
	h.get(t, "service=blue&scope=repository:team-blue/app:pull", "alice", password)
	h.get(t, "service=blue&scope=repository:team-blue/app:pull,delete", "alice", password)
	h.get(t, "service=blue&scope=repository:team-red/app:pull", "alice", password)
	h.get(t, "service=blue&scope=repository:team-red/app:pull&offline_token=true", "alice", password)
	h.get(t, "service=blue&scope=repository:team-red/app:pull")
	for i := range 4 {
		h.get(t, "service=blue", "bob", fmt.Sprint("wrong ", i))
	}
	for _, ask := range []struct{ method, path string }{
		{"GET", "/healthz"}, {"GET", "/readyz"}, {"GET", "/v2/"}, {"GET", "/"}, {"GET", "/.env"}, {"PUT", "/jwt/auth"},
		{"POST", "/oauth/revoke"}, {"GET", "/auth?service=blue"}, {"POST", "/v2/"},
	} {
		req, err := http.NewRequest(ask.method, h.URL+ask.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		h.do(t, req)
	}
	for name, want := range map[string][]string{
		"shorepass_policy_decisions_total": {
			`{outcome="denied",provider="local"} 2`, `{outcome="denied",provider="none"} 1`,
			`{outcome="granted",provider="local"} 1`, `{outcome="partial",provider="local"} 1`,
		},
		"shorepass_token_requests_total": {
			`{method="anonymous",provider="none",status="401"} 1`, `{method="anonymous",provider="none",status="404"} 1`,
			`{method="password",provider="local",status="200"} 4`, `{method="password",provider="local",status="401"} 3`,
			`{method="password",provider="local",status="403"} 1`, `{method="password",provider="none",status="429"} 1`,
		},
		"shorepass_http_requests_total": {
			`{route="health",status="200"} 1`, `{route="none",status="404"} 2`, `{route="ready",status="200"} 1`, `{route="revoke",status="400"} 1`,
			`{route="token",status="200"} 4`, `{route="token",status="401"} 4`, `{route="token",status="403"} 1`, `{route="token",status="404"} 1`,
			`{route="token",status="405"} 1`, `{route="token",status="429"} 1`, `{route="token",status="500"} 0`, `{route="token",status="503"} 0`, `{route="version_check",status="401"} 1`, `{route="version_check",status="405"} 1`,
		},
	} {
		got := h.counted(t, name)
		for i := range want {
			want[i] = name + want[i]
		}
		got = slices.DeleteFunc(got, func(line string) bool { return strings.Contains(line, `route="metrics"`) })
		if !slices.Equal(got, want) {
			t.Errorf("counted:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// TestReloadFault (F10): a configuration on disk that is not in force is a state, which
// /readyz?all and a gauge show until a reload succeeds; /readyz stays 200.
func TestReloadFault(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	for _, test := range []struct {
		err               error
		ready, all, gauge string
		names             bool
	}{
		{nil, "200", "200", "1", false},
		{errors.New("a fault"), "200", "503", "0", true},
		{errors.New("a fault"), "200", "503", "0", true},
		{nil, "200", "200", "1", false},
	} {
		h.server.RecordReload(test.err)
		for path, want := range map[string]string{"/readyz": test.ready, "/readyz?all": test.all} {
			req, err := http.NewRequest(http.MethodGet, h.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if a := h.do(t, req); fmt.Sprint(a.status) != want || strings.Contains(a.body, `"configuration":"faulty"`) != test.names {
				t.Errorf("after a reload with the error %v %s = %d %s, want %s", test.err, path, a.status, a.body, want)
			}
		}
		if got := h.counted(t, "shorepass_config_last_reload_successful"); !slices.Equal(got, []string{"shorepass_config_last_reload_successful " + test.gauge}) {
			t.Errorf("after a reload with the error %v: %q, want %s", test.err, got, test.gauge)
		}
	}
}

// TestAuditDown (F7): /readyz?all names an audit log that took no line, until it takes one.
func TestAuditDown(t *testing.T) {
	h := newHarness(t, server.AuditConfig{Required: true}).reload(t)
	for _, test := range []struct {
		fail   error
		login  int
		status int
	}{{nil, 200, 200}, {io.ErrShortWrite, 503, 503}, {nil, 200, 200}} {
		h.audit.mu.Lock()
		h.audit.fail = test.fail
		h.audit.mu.Unlock()
		if a := h.get(t, "service=blue", "alice", password); a.status != test.login {
			t.Errorf("a login = %d, want %d", a.status, test.login)
		}
		req, err := http.NewRequest(http.MethodGet, h.URL+"/readyz?all", nil)
		if err != nil {
			t.Fatal(err)
		}
		if a := h.do(t, req); a.status != test.status || strings.Contains(a.body, `"audit":"unavailable"`) != (test.status == 503) {
			t.Errorf("/readyz?all after the audit log answered %v = %d %s, want %d", test.fail, a.status, a.body, test.status)
		}
	}
}
