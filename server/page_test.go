package server

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/policy"
	"shorepass/providers"
	"shorepass/providers/providertest"
	"shorepass/registry"
	"shorepass/server/pages"
	"shorepass/session"
)

// pageServer is a server whose audit log is in memory, with a generation that has pages.
func pageServer(t *testing.T, out io.Writer, cfg Config) (*Server, *Generation) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	audit, err := OpenAudit(AuditConfig{Required: true}.WithDefaults(), out, NewMetrics(), log)
	if err != nil {
		t.Fatal(err)
	}
	chain, err := providers.NewChain(nil, providertest.NewThrottle(), providers.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	gen := &Generation{Config: cfg.WithDefaults(), Chain: chain, Policy: policy.Compile(nil, func(string, string) {})}
	if gen.publicURLs, err = gen.Config.publicURLs(); err != nil {
		t.Fatal(err)
	}
	if gen.trustedProxies, err = parseNetworks(gen.Config.TrustedProxies); err != nil {
		t.Fatal(err)
	}
	if gen.pagesOrigin, err = gen.Config.PagesOrigin(); err != nil {
		t.Fatal(err)
	}
	if gen.pages, err = pages.New(pages.Options{Config: pages.Config{}.WithDefaults(), Origin: gen.pagesOrigin, Contact: gen.Config.Contact}); err != nil {
		t.Fatal(err)
	}
	return New(audit, NewMetrics(), log), gen
}

// TestPagesAreServed: pages need a URL that is fit for cookies and a service that people
// know by name. A registry that is disabled takes no page away: people end their logins
// there.
func TestPagesAreServed(t *testing.T) {
	const origin, page = "https://auth.corp.example", "https://auth.corp.example/login"
	blue := registry.Service{Name: "blue", Hosts: []string{"blue.corp.example"}}
	disabled := blue
	disabled.Disabled = true
	for _, tt := range []struct {
		name, url string
		service   registry.Service
		want      string
	}{
		{"a service with hosts", origin, blue, page},
		{"one that is disabled", origin, disabled, page},
		{"no hosts", origin, registry.Service{Name: "blue"}, ""},
		{"http", "http://auth.corp.example", blue, ""},
	} {
		services, look := []registry.Service{tt.service}, pages.Config{}.WithDefaults()
		cfg := Config{PublicURLs: []string{tt.url}}.WithDefaults()
		if got, err := CheckPages(cfg, services, look); got != tt.want || err != nil {
			t.Errorf("%s: CheckPages = %q, %v, want %q", tt.name, got, err, tt.want)
		}
		s, gen := pageServer(t, io.Discard, Config{PublicURLs: []string{origin}})
		gen.Config, gen.pages, gen.Services, gen.PageConfig = cfg, nil, services, look
		if err := s.newPages(gen); err != nil || gen.SignInPage() != tt.want {
			t.Errorf("%s: the page is %q, %v, want %q", tt.name, gen.SignInPage(), err, tt.want)
		}
	}
}

// TestVisitsAreRecorded: what was done on a page is in one audit line before the response
// is sent; a page that only shows something has none.
func TestVisitsAreRecorded(t *testing.T) {
	alice := &providers.Identity{User: "alice", Subject: "s1", Provider: "sso", Method: providers.MethodBrowser, ACR: "gold", AMR: []string{"pwd", "otp"}}
	browser := &session.Session{ID: "B1", Kind: session.KindBrowser, Identity: alice}
	pat := &session.Session{ID: "P1", Kind: session.KindPAT, Identity: alice}
	const (
		begin  = `{"time":"2026-01-01T00:00:00Z","request":"REQUEST",`
		person = `"user":"alice","subject":"s1","provider":"sso","method":"browser","acr":"gold","amr":["pwd","otp"],`
		client = `"address":"192.0.2.1","user_agent":"Mozilla/5.0",`
	)
	for _, tt := range []struct {
		name   string
		done   pages.Record
		status int
		want   string
	}{
		{"nothing", pages.Record{Session: browser, Identity: alice}, 200, ``},
		{"a sign-in", pages.Record{Action: pages.ActionSignIn, Identity: alice, Session: browser}, 303,
			begin + `"status":303,` + person + client + `"session":"B1","duration":0,"action":"sign_in"}`},
		{"a refused sign-in", pages.Record{Action: pages.ActionSignIn, Provider: "sso", Err: &providers.AuthorizationError{Code: "access_denied"}}, 401,
			begin + `"status":401,"user":"","provider":"sso",` + client + `"duration":0,"reason":"the provider sent the browser back with the error access_denied","action":"sign_in"}`},
		{"a refused form", pages.Record{Action: pages.ActionSignIn, Account: "ALICE sp_r_0123456789", Err: providers.ErrRejected}, 401,
			begin + `"status":401,"user":"","account":"ALICE [redacted]",` + client + `"duration":0,"reason":"credential rejected","action":"sign_in"}`},
		{"a one-time password", pages.Record{Action: pages.ActionOneTimePassword, Identity: alice, Session: browser, Service: "blue"}, 200,
			begin + `"status":200,` + person + client + `"service":"blue","token_type":"browser","session":"B1","duration":0,"action":"one_time_password"}`},
		{"a personal access token", pages.Record{Action: pages.ActionAccessToken, Identity: alice, Session: browser, Target: pat, Asked: []string{"repository=team-a/**", "action=pull sp_p_0123456789"}}, 200,
			begin + `"status":200,` + person + client + `"asked":["repository=team-a/**","action=pull [redacted]"],"token_type":"browser","session":"B1","duration":0,"action":"personal_access_token","target":{"session":"P1","user":"alice","subject":"s1","provider":"sso"}}`},
		{"a revocation", pages.Record{Action: pages.ActionRevoke, Identity: alice, Session: browser, Target: pat, Ended: new(1)}, 303,
			begin + `"status":303,` + person + client + `"token_type":"browser","session":"B1","duration":0,"action":"revoke","target":{"session":"P1","user":"alice","subject":"s1","provider":"sso"},"ended":1}`},
		{"a logout", pages.Record{Action: pages.ActionSignOut, Identity: alice, Session: browser, Ended: new(1)}, 303,
			begin + `"status":303,` + person + client + `"token_type":"browser","session":"B1","duration":0,"action":"sign_out","ended":1}`},
		{"a logout of the provider's", pages.Record{Action: pages.ActionBackChannelLogout, Provider: "sso", Ended: new(2)}, 200,
			begin + `"status":200,"user":"","provider":"sso",` + client + `"duration":0,"action":"back_channel_logout","ended":2}`},
	} {
		var out bytes.Buffer
		s, gen := pageServer(t, &out, Config{})
		_, answer := recordVisit(s, gen, tt.done, &pages.Response{Status: tt.status, Body: []byte("page")})
		if diff := cmp.Diff(tt.want, strings.TrimSpace(steadyDuration(out.String()))); diff != "" {
			t.Errorf("%s: the audit line (-want +got)\n%s", tt.name, diff)
		}
		if answer.Code != tt.status || answer.Body.String() != "page" {
			t.Errorf("%s: answered %d %q", tt.name, answer.Code, answer.Body)
		}
	}
}

// TestUnrecordedVisit: with audit.required a visit whose line cannot be written is 503, and
// no cookie and no secret of the page is sent.
func TestUnrecordedVisit(t *testing.T) {
	s, gen := pageServer(t, failingWriter{}, Config{})
	response := &pages.Response{Status: http.StatusSeeOther, Location: "/me", Cookies: []*http.Cookie{{Name: "__Host-shorepass", Value: "secret"}}, Body: []byte("secret")}
	_, got := recordVisit(s, gen, pages.Record{Action: pages.ActionSignIn}, response)
	if got.Code != http.StatusServiceUnavailable || strings.Contains(got.Body.String(), "secret") || got.Header().Get("Location") != "" || len(got.Result().Cookies()) > 0 {
		t.Errorf("answered %d %v\n%s", got.Code, got.Header(), got.Body)
	}
	if !strings.Contains(got.Body.String(), "<html") {
		t.Errorf("the answer is no page: %s", got.Body)
	}
}

// recordVisit finishes a visit that did something.
func recordVisit(s *Server, gen *Generation, done pages.Record, response *pages.Response) (*pages.Visit, *httptest.ResponseRecorder) {
	r := httptest.NewRequest(http.MethodPost, "/login", nil)
	r.Header.Set("User-Agent", "Mozilla/5.0")
	req := newRequest("", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), newOrigin(r, nil))
	req.line.Request = "REQUEST"
	visit := &pages.Visit{Request: r, ID: "REQUEST", Record: done}
	answer := httptest.NewRecorder()
	s.finishVisit(answer, r, gen, req, visit, response)
	return visit, answer
}

type failingWriter struct{}

func (failingWriter) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }

func steadyDuration(line string) string {
	before, after, ok := strings.Cut(line, `"duration":`)
	if !ok {
		return line
	}
	_, after, _ = strings.Cut(after, ",")
	return before + `"duration":0,` + after
}

// TestPagesAreAtOneURL: a GET under another name of the server goes to the first of
// public_urls, whatever it is made of. A trusted proxy may have replaced the name by one
// of its own; a provider may end sessions by any.
func TestPagesAreAtOneURL(t *testing.T) {
	cfg := Config{PublicURLs: []string{"https://auth.corp.example", "https://auth.internal:5001"}, TrustedProxies: []string{"198.51.100.1"}}
	_, gen := pageServer(t, io.Discard, cfg)
	for _, tt := range []struct {
		method, host, peer, target string
		status                     int
		location                   string
	}{
		{"GET", "auth.corp.example", "192.0.2.1", "/login", 0, ""},
		{"GET", "AUTH.corp.example:443", "192.0.2.1", "/login", 0, ""},
		{"POST", "auth.corp.example", "192.0.2.1", "/login", 0, ""},
		{"GET", "auth.internal:5001", "192.0.2.1", "/login?provider=sso&hint=a%26b", 303, "https://auth.corp.example/login?hint=a%26b&provider=sso"},
		{"HEAD", "auth.internal:5001", "192.0.2.1", "/me", 303, "https://auth.corp.example/me"},
		{"GET", "auth.internal:5001", "192.0.2.1", "/login/a%2Fb%0Dc/callback", 303, "https://auth.corp.example/login/a/b%0Dc/callback"},
		{"POST", "auth.internal:5001", "192.0.2.1", "/login", 404, ""},
		{"GET", "evil.example", "192.0.2.1", "/login", 303, "https://auth.corp.example/login"},
		{"POST", "evil.example", "192.0.2.1", "/me/tokens", 404, ""},
		{"GET", "127.0.0.1:5001", "198.51.100.1", "/login", 0, ""},
		{"GET", "auth.internal:5001", "198.51.100.1", "/login", 303, "https://auth.corp.example/login"},
		{"POST", "auth.internal:5001", "192.0.2.1", "/logout/sso", 0, ""},
	} {
		r := httptest.NewRequest(tt.method, tt.target, nil)
		r.Host, r.RemoteAddr = tt.host, tt.peer+":1024"
		elsewhere := gen.isElsewhere(r) && !isBackChannel(r)
		if elsewhere != (tt.status != 0) {
			t.Errorf("%s %s of %s: elsewhere = %v", tt.method, tt.target, tt.host, elsewhere)
		}
		if !elsewhere {
			continue
		}
		w := httptest.NewRecorder()
		gen.leadToPage(w, r)
		if w.Code != tt.status || w.Header().Get("Location") != tt.location {
			t.Errorf("%s %s of %s answers %d, %q, want %d, %q", tt.method, tt.target, tt.host, w.Code, w.Header().Get("Location"), tt.status, tt.location)
		}
	}
}

// TestProxyThatReplacesHost: behind a proxy that is not trusted and writes its own name a
// browser goes round in a circle. The log says so once a minute, and nothing of a name that
// is in public_urls.
func TestProxyThatReplacesHost(t *testing.T) {
	var log bytes.Buffer
	s, gen := pageServer(t, io.Discard, Config{PublicURLs: []string{"https://auth.corp.example", "https://auth.internal:5001"}})
	s.log = slog.New(slog.NewJSONHandler(&log, nil))
	for _, host := range []string{"auth.internal:5001", "backend:5001", "backend:5001", "other"} {
		r := httptest.NewRequest("GET", "/login", nil)
		r.Host = host
		s.warnOfHost(gen, r, newRequest("", time.Now(), newOrigin(r, nil)))
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "server.trusted_proxies") || !strings.Contains(got, `"host":"backend:5001"`) {
		t.Errorf("the log has\n%s\nwant one line about backend:5001", got)
	}
}
