package server_test

import (
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"shorepass/providers"
	"shorepass/providers/providertest"
	"shorepass/registry"
	"shorepass/server"
	"shorepass/server/pages"
)

// withPages gives the harness pages, for people of a provider with the grant browser too.
func (h *harness) withPages(t *testing.T) *harness {
	t.Helper()
	var err error
	h.generation.Services = []registry.Service{{Name: "blue", Hosts: []string{"blue.corp.example"}}}
	h.generation.Config.PublicURLs = []string{h.URL}
	h.generation.PageConfig = pages.Config{}.WithDefaults()
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
