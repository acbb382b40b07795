package server

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/registry"
	"shorepass/session"
)

// newVersionCheckServer returns a server for requests to /v2/ alone, and the issuer of
// its tokens. The first of its services is disabled.
func newVersionCheckServer(t *testing.T) (*Server, *registry.Issuer) {
	t.Helper()
	certFile, keyFile := filepath.Join(t.TempDir(), "RootCA.crt"), filepath.Join(t.TempDir(), "RootCA.key")
	if err := registry.CreateRoot(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	token := registry.Config{Issuer: "gitlab-issuer", Services: []string{"off", "container_registry", "zot"}, RootCertificate: certFile, RootKey: keyFile}.WithDefaults()
	issuer, err := registry.NewIssuer(token, []registry.Service{{Name: "off", Disabled: true}, {Name: "zot", Signing: registry.SigningKID}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := New(nil, NewMetrics(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	s.Open(new(session.Sessions), nil)
	cfg := Config{
		PublicURLs: []string{"https://auth.corp.example/", "http://localhost:5001", "http://127.0.0.1:5001", "https://localhost:5001"},
		Paths:      []string{"/jwt/auth", "/token"},
	}
	if err := s.Reload(Generation{Config: cfg.WithDefaults(), Issuer: issuer}); err != nil {
		t.Fatal(err)
	}
	return s, issuer
}

func TestVersionCheck(t *testing.T) {
	s, issuer := newVersionCheckServer(t)
	_, stranger := newVersionCheckServer(t)
	token := func(i *registry.Issuer, service, user string) string {
		minted, err := i.Mint(service, user, nil, registry.At(time.Now()))
		if err != nil {
			t.Fatal(err)
		}
		return "Bearer " + minted.Reveal()
	}
	good := token(issuer, "container_registry", "josé")
	const (
		in       = http.StatusOK
		asked    = http.StatusUnauthorized // for a token
		refused  = -http.StatusUnauthorized
		notFound = http.StatusNotFound
		method   = http.StatusMethodNotAllowed
	)
	for _, test := range []struct {
		name   string
		method string
		path   string
		auth   []string
		want   int
	}{
		{"without a token", "GET", "/v2/", nil, asked},
		{"without the slash", "GET", "/v2", nil, asked},
		{"with extra slashes", "GET", "//v2//", nil, asked},
		{"HEAD", "HEAD", "/v2/", nil, asked},
		{"POST", "POST", "/v2/", nil, method},
		{"the catalog of a registry", "GET", "/v2/_catalog", []string{good}, notFound},
		{"a manifest", "GET", "/v2/team-demo/app/manifests/1", []string{good}, notFound},

		{"a token", "GET", "/v2/", []string{good}, in},
		{"a token without the slash", "GET", "/v2", []string{good}, in},
		{"a token by HEAD", "HEAD", "/v2/", []string{good}, in},
		{"a token for another service", "GET", "/v2/", []string{token(issuer, "zot", "josé")}, in},
		{"an anonymous token", "GET", "/v2/", []string{token(issuer, "container_registry", "")}, in},
		{"a scheme in lower case", "GET", "/v2/", []string{strings.Replace(good, "Bearer", "bearer", 1)}, in},

		{"another root's token", "GET", "/v2/", []string{token(stranger, "container_registry", "josé")}, refused},
		{"a token cut short", "GET", "/v2/", []string{good[:len(good)-2]}, refused},
		{"a token with something after it", "GET", "/v2/", []string{good + " x"}, refused},
		{"an empty token", "GET", "/v2/", []string{"Bearer "}, refused},
		{"only a scheme", "GET", "/v2/", []string{"Bearer"}, refused},
		{"an empty header", "GET", "/v2/", []string{""}, refused},
		{"a password", "GET", "/v2/", []string{basic("demo:demo")}, refused},
		{"a token as the password", "GET", "/v2/", []string{basic("demo:" + strings.TrimPrefix(good, "Bearer "))}, refused},
		{"two tokens", "GET", "/v2/", []string{good, good}, refused},
		{"a token under another scheme", "GET", "/v2/", []string{strings.Replace(good, "Bearer", "Basic", 1)}, refused},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "http://auth.corp.example/", nil)
			r.URL.Path = test.path
			r.Header["Authorization"] = test.auth
			if test.auth == nil {
				delete(r.Header, "Authorization")
			}
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if want := max(test.want, -test.want); w.Code != want {
				t.Fatalf("%s %s: %d %s, want %d", test.method, test.path, w.Code, w.Body, want)
			}
			challenge := w.Header().Get("WWW-Authenticate")
			switch want := `Bearer realm="https://auth.corp.example/jwt/auth",service="container_registry"`; {
			case test.want == refused && challenge != want+`,error="invalid_token"`, test.want == asked && challenge != want:
				t.Errorf("WWW-Authenticate: %s", challenge)
			case test.want == in && strings.TrimSpace(w.Body.String()) != "{}":
				t.Errorf("body %q, want {}", w.Body)
			case test.want != notFound && test.want != method && w.Header().Get("Docker-Distribution-Api-Version") != "registry/2.0":
				t.Errorf("headers %v, want Docker-Distribution-Api-Version", w.Header())
			}
			if got := w.Header().Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type = %q, want application/json", got)
			}
			if test.want == asked || test.want == refused {
				checkUnauthorized(t, w)
			}
		})
	}
}

// checkUnauthorized checks that the body is an errorBody.
func checkUnauthorized(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	var body errorBody
	d := json.NewDecoder(w.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		t.Fatalf("body: %v", err)
	}
	if len(body.Errors) != 1 || body.Errors[0].Code != "UNAUTHORIZED" || body.Errors[0].Message == "" || body.Details != body.Errors[0].Message || body.ErrorDescription != body.Details {
		t.Errorf("body = %+v, want UNAUTHORIZED and one message", body)
	}
}

// TestVersionCheckRealm: the realm is at the host of the request if that is one of
// public_urls, since crane and others accept no other private host.
func TestVersionCheckRealm(t *testing.T) {
	s, _ := newVersionCheckServer(t)
	for host, want := range map[string]string{
		"auth.corp.example":  "https://auth.corp.example/jwt/auth",
		"AUTH.corp.example":  "https://auth.corp.example/jwt/auth",
		"localhost:5001":     "http://localhost:5001/jwt/auth", // the first of two
		"127.0.0.1:5001":     "http://127.0.0.1:5001/jwt/auth",
		"localhost":          "https://auth.corp.example/jwt/auth",
		"evil.example":       "https://auth.corp.example/jwt/auth",
		`evil",x="`:          "https://auth.corp.example/jwt/auth",
		"":                   "https://auth.corp.example/jwt/auth",
		"auth.corp.example.": "https://auth.corp.example/jwt/auth",
	} {
		r := httptest.NewRequest(http.MethodGet, "/v2/", nil)
		r.Host = host
		r.Header.Set("X-Forwarded-Host", "evil.example")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if got, want := w.Header().Get("WWW-Authenticate"), `Bearer realm="`+want+`",service="container_registry"`; got != want {
			t.Errorf("Host %q: WWW-Authenticate: %s, want %s", host, got, want)
		}
	}
}

// TestVersionCheckQuotesNoToken: neither the answer nor the log has any part of a refused
// token.
func TestVersionCheckQuotesNoToken(t *testing.T) {
	s, issuer := newVersionCheckServer(t)
	var log strings.Builder
	s.log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	minted, err := issuer.Mint("container_registry", "alice", nil, registry.At(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/v2/", nil)
	r.Header.Set("Authorization", "Bearer "+minted.Reveal()+"x")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || !strings.Contains(log.String(), "a token was refused") {
		t.Fatalf("%d, logged %q; want 401 and a line", w.Code, log.String())
	}
	for _, part := range strings.Split(minted.Reveal(), ".") {
		if strings.Contains(log.String()+w.Body.String(), part) {
			t.Errorf("the token is in the log or the answer: %s %s", log.String(), w.Body)
		}
	}
}
