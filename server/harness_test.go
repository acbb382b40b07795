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
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"shorepass/internal/secret"
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
	lines      *server.Audit // which writes to audit
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
	lines, err := server.OpenAudit(audit.WithDefaults(), h.audit, server.NewMetrics(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	h.lines = lines
	h.server = server.New(lines, server.NewMetrics(), log)
	h.server.Open(h.sessions, h.sessions.Admin())
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
	if err := json.Unmarshal(body, &a.json); err != nil && resp.StatusCode >= 400 && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
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
