package server_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"shorepass/providers"
	"shorepass/providers/providertest"
	"shorepass/registry"
	"shorepass/server"
	"shorepass/server/pages"
	"shorepass/session"
)

// withPages gives the harness pages, for people of a provider with the grant browser too.
func (h *harness) withPages(t *testing.T) *harness {
	t.Helper()
	var err error
	h.generation.Services = []registry.Service{{Name: "blue", Hosts: []string{"blue.corp.example"}}}
	h.generation.Config.PublicURLs = []string{h.URL}
	h.generation.PageConfig, h.generation.SessionConfig = pages.Config{}.WithDefaults(), session.Config{}.WithDefaults()
	local := providers.Member{Provider: h.local, Config: providers.Config{Name: "local", Kind: "file"}.WithDefaults()}
	sso := providers.Member{Provider: browserProvider{Provider: h.local}, Config: providers.Config{Name: "sso", Kind: "oidc", Prefix: new("sso:"), Match: []string{"*@sso"}}.WithDefaults()}
	h.generation.Chain, err = providers.NewChain([]providers.Member{local, sso}, providertest.NewThrottle(), providers.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.generation.Chain.Close() })
	return h.reload(t)
}

// browserProvider has the grant browser, and is never asked.
type browserProvider struct {
	providers.Provider
	providers.BrowserSignIn
}

func (browserProvider) SignsIn() bool { return true }
func (browserProvider) Label() string { return "Single sign-on" }

// TestRefusedPasswordNamesThePage: where a provider has the grant browser, each 401 for a
// password ends with the same words, at every endpoint and for every client.
func TestRefusedPasswordNamesThePage(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	if got := h.get(t, "service=blue", "alice", "wrong"); strings.Contains(got.body, "sign in") {
		t.Errorf("without pages: %s", got.body)
	}
	h.withPages(t)
	end := "or sign in at " + h.URL + "/login"
	for name, got := range map[string]answer{
		"GET":                  h.get(t, "service=blue", "alice", "wrong"),
		"GET, no such account": h.get(t, "service=blue", "zoe", "wrong"),
		"GET, without":         h.get(t, "service=blue&scope=repository:team-blue/app:pull"),
		"POST":                 h.post(t, passwordForm("alice", "wrong", "blue")),
		"an ended login":       h.post(t, refreshForm("sp_r_x", "blue")),
		"docker engine, pull":  h.asEngine(t, "docker/28.5.1"),
		"containerd, pull":     h.asEngine(t, "containerd/2.1"),
		"/oauth/revoke":        h.revokeAs(t, "alice", "wrong"),
	} {
		message, _ := got.json["error_description"].(string)
		if !strings.HasSuffix(message, end) {
			t.Errorf("%s: %d %q does not end with %q", name, got.status, message, end)
		}
	}
	page := " at " + h.URL + "/me"
	if got := h.get(t, "service=blue", "alice", "sp_o_x"); !strings.HasSuffix(got.json["error_description"].(string), page) {
		t.Errorf("a one-time password in the wrong place: %s, want the page%s", got.body, page)
	}
}

func (h *harness) asEngine(t *testing.T, userAgent string) answer {
	t.Helper()
	req, err := http.NewRequest("GET", h.URL+"/jwt/auth?service=blue&scope=repository:team-blue/app:pull", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth("alice", "wrong")
	req.Header.Set("User-Agent", userAgent)
	return h.do(t, req)
}

func (h *harness) revokeAs(t *testing.T, user, secret string) answer {
	t.Helper()
	req := h.formRequest(t, "/oauth/revoke", url.Values{"user": {user}})
	req.SetBasicAuth(user, secret)
	return h.do(t, req)
}

func (h *harness) formRequest(t *testing.T, path string, form url.Values) *http.Request {
	t.Helper()
	req, err := http.NewRequest("POST", h.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return req
}

// TestPagesOverHTTP: the pages are served beside the other endpoints: a form signs in, a
// body that is no form is 400, and one action is one audit line.
func TestPagesOverHTTP(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).withPages(t)
	get := func(path string, cookies ...*http.Cookie) answer {
		req, err := http.NewRequest("GET", h.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cookies {
			req.AddCookie(c)
		}
		return h.do(t, req)
	}
	if got := get("/login"); got.status != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), "text/html") || h.audit.text.Len() > 0 {
		t.Errorf("/login: %d %v, %d bytes of audit lines", got.status, got.header, h.audit.text.Len())
	}
	got := h.do(t, h.formRequest(t, "/login", url.Values{"login": {"alice"}, "password": {password}}))
	cookies := (&http.Response{Header: got.header}).Cookies()
	line := h.audit.last(t)
	if got.status != 303 || line["action"] != "sign_in" || line["user"] != "alice" || line["request"] != got.header.Get("X-Request-Id") || len(cookies) == 0 {
		t.Fatalf("POST /login: %d %v, line %v", got.status, got.header, line)
	}
	got = get(got.header.Get("Location"), cookies...)
	if got := get(got.header.Get("Location"), cookies...); got.status != 200 || !strings.Contains(got.body, "alice") {
		t.Errorf("the page after the sign-in: %d %s", got.status, got.body)
	}
	noForm := h.formRequest(t, "/login", url.Values{"login": {"alice"}, "password": {password}})
	noForm.Header.Set("Content-Type", "application/json")
	for name, req := range map[string]*http.Request{"JSON": noForm, "a long form": h.formRequest(t, "/login", url.Values{"login": {strings.Repeat("a", 64<<10)}})} {
		if got := h.do(t, req); got.status != 400 {
			t.Errorf("%s: %d", name, got.status)
		}
	}
	if got := h.get(t, "service=blue", "alice", password); got.status != 200 {
		t.Errorf("a token beside the pages: %d", got.status)
	}
	for _, path := range []string{"/login/", "/me/tokens", "/logout/a/b"} {
		got := get(path)
		if got.status != 404 || !strings.Contains(got.body, "There is nothing here") || !strings.Contains(got.body, got.header.Get("X-Request-Id")) {
			t.Errorf("%s: %d %s, want a page that says there is none", path, got.status, got.body)
		}
	}
	// A realm without its path is the token endpoint's mistake, not a page.
	if got := get("/?service=blue&scope=repository:a:pull"); got.status != 404 || !strings.Contains(got.body, "correct the realm") {
		t.Errorf("a token request to /: %d %s", got.status, got.body)
	}
	h.generation.Services = nil
	h.reload(t)
	if got := get("/login"); got.status != 404 || got.json == nil {
		t.Errorf("without hosts /login: %d %s, want 404 and no page", got.status, got.body)
	}
}

// TestPagesStory: a person signs in, logs docker in, makes a token, ends it and logs out.
// Each act is one audit line that names its sessions, and none has a secret.
func TestPagesStory(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).withPages(t)
	var cookie *http.Cookie
	act := func(path string, form url.Values, status int) (answer, map[string]any) {
		t.Helper()
		req := h.formRequest(t, path, form)
		if cookie != nil {
			req.AddCookie(cookie)
		}
		got := h.do(t, req)
		if got.status != status {
			t.Fatalf("POST %s: %d, want %d\n%s", path, got.status, status, got.body)
		}
		return got, h.audit.last(t)
	}
	secretIn := func(text, kind string) string {
		t.Helper()
		found := regexp.MustCompile(kind + `[0-9A-Za-z]{49}`).FindString(text)
		if found == "" {
			t.Fatalf("there is no %s in\n%s", kind, text)
		}
		return found
	}
	field := func(line map[string]any, names ...string) string {
		var all []string
		for _, name := range names {
			all = append(all, fmt.Sprint(line[name]))
		}
		return strings.Join(all, " ")
	}

	got, line := act("/login", url.Values{"login": {"alice"}, "password": {password}}, 303)
	for _, c := range (&http.Response{Header: got.header}).Cookies() {
		if strings.HasPrefix(c.Value, "sp_w_") {
			cookie = c
		}
	}
	browser := line["session"]
	if cookie == nil || field(line, "action", "user", "method", "amr", "token_type") != "sign_in alice browser [pwd] <nil>" {
		t.Fatalf("the sign-in: cookie %v, line %v", cookie, line)
	}

	got, line = act("/me/one-time", url.Values{"service": {"blue"}}, 200)
	oneTime := secretIn(got.body, "sp_o_")
	if line["session"] != browser || field(line, "action", "service", "token_type") != "one_time_password blue browser" {
		t.Errorf("the one-time password: %v", line)
	}
	login := h.get(t, "service=blue&offline_token=true&client_id=docker", "alice", oneTime)
	if line = h.audit.last(t); login.status != 200 || login.json["refresh_token"] == nil || field(line, "method", "amr") != "browser [pwd]" {
		t.Errorf("the docker login: %d %s\n%v", login.status, login.body, line)
	}

	got, line = act("/me/new-token", url.Values{"name": {"laptop"}, "pull": {"on"}, "lifetime": {"7d"}}, 200)
	pat := secretIn(got.body, "sp_p_")
	target, _ := line["target"].(map[string]any)
	if line["session"] != browser || line["action"] != "personal_access_token" || target["user"] != "alice" {
		t.Errorf("the personal access token: %v", line)
	}
	if got := h.get(t, "service=blue&scope=repository:team-blue/app:pull,push", "alice", pat); got.access(t)[0] != "repository:team-blue/app:pull" {
		t.Errorf("the token is good for %v", got.access(t))
	}
	_, line = act("/me/revoke", url.Values{"session": {target["session"].(string)}}, 303)
	if field(line, "action", "ended", "token_type") != "revoke 1 browser" || field(line["target"].(map[string]any), "session") != target["session"] {
		t.Errorf("the revocation: %v", line)
	}
	if got := h.get(t, "service=blue", "alice", pat); got.status != 401 {
		t.Errorf("the revoked token: %d", got.status)
	}

	_, line = act("/logout", url.Values{}, 200)
	if line["session"] != browser || field(line, "action", "ended") != "sign_out 1" {
		t.Errorf("the logout: %v", line)
	}
	if _, line = act("/me/one-time", url.Values{"service": {"blue"}}, 401); line["action"] == "one_time_password" && line["status"] == 200 {
		t.Errorf("a one-time password after the logout: %v", line)
	}
	for _, secret := range []string{password, cookie.Value, oneTime, pat} {
		if strings.Contains(h.audit.text.String(), secret) {
			t.Errorf("the audit log has the secret %s…", secret[:5])
		}
	}
}
