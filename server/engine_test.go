package server_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"shorepass/server"
)

// TestDockerEngine: the docker engine's command prompts for a login at Docker Hub, and
// waits, unless a refused pull is answered as below (engine.go). Logins, which have no
// scope, and other clients get 401 UNAUTHORIZED.
func TestDockerEngine(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	const pull = "&scope=repository:team-blue/app:pull"
	wrong := "Basic " + base64.StdEncoding.EncodeToString([]byte("alice:not-hers"))
	for _, test := range []struct {
		userAgent, query, authorization string
		status                          int
		code                            string
	}{
		{"docker/28.5.2 go/go1.24.9", pull, wrong, 403, "DENIED"},
		{"docker/20.10.24 go/go1.19.8", pull, wrong, 403, "DENIED"},
		{"docker/28.5.2 go/go1.24.9", pull, "", 403, "DENIED"}, // anonymous
		{"docker/28.5.2 go/go1.24.9", "&account=alice&client_id=docker&offline_token=true", wrong, 401, "UNAUTHORIZED"},
		{"containerd/2.1.4+unknown", pull, wrong, 401, "DENIED"},
		{"Docker-Client/28.2.2 (linux)", pull, wrong, 401, "UNAUTHORIZED"}, // docker manifest, which does not prompt
		{"containers/5.23.1 (github.com/containers/image)", pull, wrong, 401, "UNAUTHORIZED"},
		{"", pull, wrong, 401, "UNAUTHORIZED"},
		{"docker/28.5.2 go/go1.24.9", "&scope=" + strings.Repeat("a", 65<<10), wrong, 400, "UNSUPPORTED"}, // no 401
	} {
		req, err := http.NewRequest(http.MethodGet, h.URL+"/jwt/auth?service=blue"+test.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("User-Agent", test.userAgent)
		if test.authorization != "" {
			req.Header.Set("Authorization", test.authorization)
		}
		a := h.do(t, req)
		if a.status != test.status || !strings.Contains(a.body, `"code":"`+test.code+`"`) {
			t.Errorf("%q with %.80s: %d %s, want %d %s", test.userAgent, test.query, a.status, a.body, test.status, test.code)
		}
		if want := map[int]float64{403: 401}[a.status]; want != 0 && h.audit.last(t)["status"] != want {
			t.Errorf("%q with %.80s: the audit line is %v, want status 401 as for other clients", test.userAgent, test.query, h.audit.last(t))
		}
	}

	ended := refreshForm(h.issue(t, "alice"), "red") // a login for another service, which is refused as an ended one is
	ended.Set("scope", "repository:team-blue/app:pull")
	req, err := http.NewRequest(http.MethodPost, h.URL+"/jwt/auth", strings.NewReader(url.Values(ended).Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("User-Agent", "docker/28.5.2 go/go1.24.9")
	const want = `{"errors":[{"code":"DENIED","message":"incorrect username or password, or the login has ended; log in again"}],` +
		`"error":"invalid_grant","error_description":"incorrect username or password, or the login has ended; log in again"}` + "\n"
	if a := h.do(t, req); a.status != 403 || a.body != want || a.header.Get("WWW-Authenticate") != "" {
		t.Errorf("a refresh token for another service: %d %v %s, want 403 without a challenge, and %s", a.status, a.header, a.body, want)
	}
}
