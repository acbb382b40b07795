package server_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/providers/file"
	"shorepass/providers/providertest"
	"shorepass/registry"
	"shorepass/server"
	"shorepass/session"
	"shorepass/session/sqlite"
)

const password = "correct-horse"

// harness is a test server on the real packages: users of a file provider, sessions in
// SQLite, keys under a new root.
type harness struct {
	*httptest.Server
	server     *server.Server
	sessions   *session.Sessions
	generation server.Generation
	audit      *auditLog
	local      *countingProvider
	store      *failingStore
}

// countingProvider is a file provider that counts its lookups.
type countingProvider struct {
	*file.Provider
	logins atomic.Int64
}

func (c *countingProvider) Lookup(ctx context.Context, login providers.Login) (*providers.Account, error) {
	c.logins.Add(1)
	return c.Provider.Lookup(ctx, login)
}

// failingStore is a store that cannot end sessions while it is broken.
type failingStore struct {
	*sqlite.Store
	broken atomic.Bool
}

func (f *failingStore) End(ctx context.Context, tokens []session.Hash, e session.Ending) (int, error) {
	if f.broken.Load() {
		return 0, errors.New("disk full at /var/lib/secret")
	}
	return f.Store.End(ctx, tokens, e)
}

// auditLog is the audit log in memory. It is safe for concurrent use.
type auditLog struct {
	mu   sync.Mutex
	text bytes.Buffer
	fail error
}

func (l *auditLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return 0, l.fail
	}
	return l.text.Write(p)
}

// last returns the last line, decoded.
func (l *auditLog) last(t *testing.T) map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	all := strings.Split(strings.TrimSpace(l.text.String()), "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(all[len(all)-1]), &line); err != nil {
		t.Fatalf("the audit line %q: %v", all[len(all)-1], err)
	}
	return line
}

func newHarness(t *testing.T, audit server.AuditConfig) *harness {
	t.Helper()
	dir := t.TempDir()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	users := file.Config{Config: providers.Config{Name: "local", Kind: "file"}, Users: []file.User{
		{Name: "alice", Password: secret.New(string(hash)), Groups: []string{"team-blue"}},
		{Name: "bob", Password: secret.New(string(hash)), Groups: []string{"team-blue"}},
		{Name: "carol", Password: secret.New(string(hash)), Groups: []string{"registry-admins"}},
		{Name: "gone", Password: secret.New(string(hash)), Disabled: true},
	}}.WithDefaults()
	local, err := file.New(users)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{audit: &auditLog{}, local: &countingProvider{Provider: local}}
	log := slog.New(slog.DiscardHandler)
	chain, err := providers.NewChain([]providers.Member{{Provider: h.local, Config: users.Config.WithDefaults()}}, providertest.NewThrottle(), providers.Options{Log: log})
	if err != nil {
		t.Fatal(err)
	}
	root, key := filepath.Join(dir, "root.crt"), filepath.Join(dir, "root.key")
	if err := registry.CreateRoot(root, key); err != nil {
		t.Fatal(err)
	}
	issuer, err := registry.NewIssuer(registry.Config{Issuer: "test", Services: []string{"blue", "red", "off"}, RootCertificate: root, RootKey: key}.WithDefaults(),
		[]registry.Service{{Name: "off", Disabled: true}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rules := policy.Compile([]policy.Rule{
		{Name: "own", Groups: []string{"team-*"}, Repositories: []string{"{group}/**"}, Actions: []string{"pull", "push"}},
		{Name: "public", Groups: []string{"anonymous", "authenticated"}, Repositories: []string{"public/**"}, Actions: []string{"pull"}},
	}, func(key, problem string) { t.Fatalf("%s: %s", key, problem) })
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "data", "sessions.db"))
	if err != nil {
		t.Fatal(err)
	}
	h.store = &failingStore{Store: store}
	if h.sessions, err = session.New(t.Context(), session.Config{}.WithDefaults(), h.store, chain, log); err != nil {
		t.Fatal(err)
	}
	lines, err := server.OpenAudit(audit.WithDefaults(), h.audit, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	h.server = server.New(h.sessions, h.sessions.Admin(), lines, server.NewMetrics(), log)
	cfg := server.Config{Paths: []string{"/jwt/auth", "/token"}, Operators: []string{"registry-admins"}}
	h.generation = server.Generation{Config: cfg.WithDefaults(), Chain: chain, Policy: rules, Issuer: issuer}
	h.Server = httptest.NewServer(h.server)
	t.Cleanup(func() {
		h.Close()
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
		if err := errors.Join(h.sessions.Close(), lines.Close()); err != nil {
			t.Error(err)
		}
	})
	return h
}

// reload puts the harness's generation in force.
func (h *harness) reload(t *testing.T) *harness {
	t.Helper()
	if err := h.server.Reload(h.generation); err != nil {
		t.Fatal(err)
	}
	return h
}

// answer is a response, read whole.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (h *harness) do(t *testing.T, req *http.Request) answer {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, body: string(body)}
	if err := json.Unmarshal(body, &a.json); err != nil && resp.StatusCode != http.StatusOK {
		t.Errorf("%s %s answers %d with %q, which is not JSON", req.Method, req.URL, resp.StatusCode, body)
	}
	return a
}

func (h *harness) get(t *testing.T, query string, userPassword ...string) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, h.URL+"/jwt/auth?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(userPassword) == 2 {
		req.SetBasicAuth(userPassword[0], userPassword[1])
	}
	return h.do(t, req)
}

func (h *harness) post(t *testing.T, form url.Values) answer {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, h.URL+"/jwt/auth", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return h.do(t, req)
}

func passwordForm(user, secret, service string) url.Values {
	return url.Values{"grant_type": {"password"}, "username": {user}, "password": {secret}, "service": {service}, "client_id": {"test"}}
}

func refreshForm(token, service string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}, "service": {service}, "client_id": {"test"}}
}

// access reads the access claim of the answer's token.
func (a answer) access(t *testing.T) []string {
	t.Helper()
	parts := strings.Split(fmt.Sprint(a.json["token"]), ".")
	if len(parts) != 3 {
		t.Fatalf("the answer %d %q holds no token", a.status, a.body)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct{ Access []registry.Access }
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	granted := []string{}
	for _, e := range claims.Access {
		granted = append(granted, e.Type+":"+e.Name+":"+strings.Join(e.Actions, ","))
	}
	return granted
}

func TestTokenAnswer(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	a := h.get(t, "service=blue&scope=repository:team-blue/app:pull,push,delete&scope=repository:team-red/app:pull", "alice", password)
	if a.status != http.StatusOK || a.json["token"] != a.json["access_token"] || a.json["expires_in"] != 300.0 {
		t.Fatalf("GET answers %d %s", a.status, a.body)
	}
	for _, absent := range []string{"issued_at", "refresh_token", "scope"} {
		if _, found := a.json[absent]; found {
			t.Errorf("the answer to a GET holds %s", absent)
		}
	}
	if got, want := a.access(t), []string{"repository:team-blue/app:pull,push"}; !slices.Equal(got, want) {
		t.Errorf("granted %q, want %q", got, want)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control = %q, want no-store", got)
	}

	form := passwordForm("alice", password, "blue")
	form["scope"] = []string{"repository:team-blue/app:pull repository:public/x:pull,push", "repository:team-blue/app:push"}
	a = h.post(t, form)
	if want := "repository:team-blue/app:pull,push repository:public/x:pull"; a.json["scope"] != want {
		t.Errorf("POST answers scope %q, want %q", a.json["scope"], want)
	}
}

// TestTokenAnswerIsBounded: an answer that would be too long for clients is 400, by GET
// and, where the scope is repeated, by POST.
func TestTokenAnswerIsBounded(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	const most = 60 << 10
	for _, length := range []int{20, 120, 240} {
		longest := map[string]int{}
		for n := 8; n <= 256; n += 8 {
			form := passwordForm("alice", password, "blue")
			form.Set("access_type", "offline")
			for i := range n {
				name := fmt.Sprintf("public/%d/", i)
				form.Add("scope", "repository:"+name+strings.Repeat("a", length-len(name))+":pull")
			}
			query := url.Values{"service": {"blue"}, "offline_token": {"true"}, "scope": form["scope"]}
			for method, a := range map[string]answer{"GET": h.get(t, query.Encode(), "alice", password), "POST": h.post(t, form)} {
				switch {
				case a.status == http.StatusOK && len(a.body) <= most:
					longest[method] = len(a.body)
				case a.status != http.StatusBadRequest || n < 60:
					t.Fatalf("%s of %d scopes with names of %d bytes: %d and %d bytes, want 200 and no more than %d, or 400", method, n, length, a.status, len(a.body), most)
				}
			}
		}
		for method, bytes := range longest {
			if length > 100 && bytes < most*8/10 {
				t.Errorf("%s with names of %d bytes: no answer is longer than %d, want nearly %d", method, length, bytes, most)
			}
		}
	}
}

// TestEveryEntryMeetsEveryCheck: every endpoint and every kind of credential is refused
// for every reason, so that none misses a check that another has.
func TestEveryEntryMeetsEveryCheck(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	login := h.get(t, "service=blue&offline_token=true", "alice", password)
	token, _ := login.json["refresh_token"].(string)
	if !strings.HasPrefix(token, "sp_r_") {
		t.Fatalf("a login that asked for an offline token got %s", login.body)
	}
	entries := map[string]func(user, secret, service string) answer{
		"GET Basic":     func(u, s, service string) answer { return h.get(t, "service="+service, u, s) },
		"POST password": func(u, s, service string) answer { return h.post(t, passwordForm(u, s, service)) },
		"POST refresh":  func(_, s, service string) answer { return h.post(t, refreshForm(s, service)) },
	}
	mangled := token[:len(token)-1] + string('A'+(token[len(token)-1]-'A'+1)%26)
	for _, test := range []struct {
		name, user, secret, service string
		status                      int
		code, oauth                 string
	}{
		{"empty secret", "alice", "", "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"wrong secret", "alice", "wrong", "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"unknown user", "nobody", "wrong", "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"disabled user", "gone", password, "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"disabled service", "alice", password, "off", 401, "UNAUTHORIZED", "invalid_grant"},
		{"unknown service", "alice", password, "green", 400, "UNSUPPORTED", "invalid_request"},
		{"no service where there are several", "alice", password, "", 400, "UNSUPPORTED", "invalid_request"},
		{"a mangled token", "alice", mangled, "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"a token of another service", "alice", token, "red", 401, "UNAUTHORIZED", "invalid_grant"},
		{"an access token", "alice", fmt.Sprint(login.json["token"]), "blue", 401, "UNAUTHORIZED", "invalid_grant"},
		{"a personal access token that was never issued", "alice", "sp_p_" + token[5:], "blue", 401, "UNAUTHORIZED", "invalid_grant"},
	} {
		for name, enter := range entries {
			a := enter(test.user, test.secret, test.service)
			errs, _ := a.json["errors"].([]any)
			if a.status != test.status || len(errs) != 1 || errs[0].(map[string]any)["code"] != test.code || a.json["error"] != test.oauth {
				t.Errorf("%s, %s: %d %s; want %d, %s, %s", name, test.name, a.status, a.body, test.status, test.code, test.oauth)
			}
			if _, found := a.json["details"]; found != (test.status == 401) {
				t.Errorf("%s, %s: details is there: %v, want it at 401 only", name, test.name, found)
			}
			if strings.Contains(a.body, test.secret) && test.secret != "" {
				t.Errorf("%s, %s: the answer repeats the secret", name, test.name)
			}
		}
	}
}

func TestRefreshToken(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	token := fmt.Sprint(h.get(t, "service=blue&offline_token=true&account=alice&client_id=docker", "alice", password).json["refresh_token"])

	form := refreshForm(token, "blue")
	form.Set("scope", "repository:team-blue/app:pull")
	if a := h.post(t, form); a.status != http.StatusOK || a.json["refresh_token"] != token || len(a.access(t)) != 1 {
		t.Errorf("redeemed by POST: %d %s; want 200, the same refresh token, one grant", a.status, a.body)
	}
	for _, user := range []string{"alice", "<token>", "", "somebody-else"} {
		a := h.get(t, "service=blue&offline_token=true&scope=repository:team-blue/app:pull&account=other", user, token)
		if _, found := a.json["refresh_token"]; a.status != http.StatusOK || found || len(a.access(t)) != 1 {
			t.Errorf("redeemed by Basic as %q: %d %s; want 200 and no refresh token", user, a.status, a.body)
		}
	}
	if n, err := h.sessions.Admin().Revoke(t.Context(), session.Selector{User: "alice"}, "test"); n != 1 || err != nil {
		t.Fatalf("Revoke = %d, %v, want 1 session", n, err)
	}
	if a := h.post(t, form); a.status != http.StatusUnauthorized {
		t.Errorf("a revoked token: %d, want 401", a.status)
	}
}

// TestGrantTakesRefreshTokensOnly: grant_type=refresh_token takes no token of
// another kind, which Basic and the password grant do (RFC 6749, section 6).
func TestGrantTakesRefreshTokensOnly(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	refresh := h.issue(t, "alice")
	for prefix, kind := range map[string]session.Kind{"sp_p_": session.KindPAT, "sp_b_": session.KindRobot} {
		token := h.copySession(t, refresh, prefix, kind, 0)
		if a := h.post(t, refreshForm(token, "blue")); a.status != http.StatusUnauthorized {
			t.Errorf("%s… as a refresh token: %d %s, want 401", prefix, a.status, a.body)
		}
		if a := h.post(t, passwordForm("alice", token, "blue")); a.status != http.StatusOK {
			t.Errorf("%s… as a password: %d %s, want 200", prefix, a.status, a.body)
		}
		if a := h.get(t, "service=blue", "alice", token); a.status != http.StatusOK {
			t.Errorf("%s… by Basic: %d %s, want 200", prefix, a.status, a.body)
		}
	}
}

func TestAnonymous(t *testing.T) {
	h := newHarness(t, server.AuditConfig{}).reload(t)
	for query, status := range map[string]int{
		"service=blue": 401,
		"service=blue&scope=repository:public/app:pull,push":          200,
		"service=blue&scope=repository:team-blue/app:pull":            401,
		"service=blue&scope=repository:public/app:pull&account=alice": 200, // podman with a name and no password
		"service=blue&scope=": 401,
		"service=blue&scope=Repository:x:pull&scope=repository::pull":    401,
		"service=blue&scope=repository:public/a:pull&offline_token=true": 200,
	} {
		a := h.get(t, query)
		if a.status != status {
			t.Errorf("anonymous, %s: %d %s, want %d", query, a.status, a.body, status)
		}
		if _, found := a.json["refresh_token"]; found {
			t.Errorf("anonymous, %s: a refresh token, want none", query)
		}
	}
}

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
