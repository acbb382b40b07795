package session_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

const service = "registry"

var laptop = session.Client{ID: "docker", UserAgent: "docker/28"}

// account is a person at a provider of the house.
type account struct {
	groups        []string
	stamp         string
	missing       bool // no such entry; the grant is invalid
	disabled      bool // for good
	locked        bool // until the lock lifts
	panics        bool // whoever asks about it
	providerToken string
	used          []string // refresh tokens that were rotated away
}

// house is all providers: "corp", a directory; "sso", which gives each session
// a refresh token, rotates it at each use, and ends the grant when one is used twice;
// "file", which can never be asked again.
type house struct {
	slow   time.Duration // how long an answer takes
	revoke providers.RevokeWhen

	mu       sync.Mutex
	accounts map[string]*account // by subject
	prints   map[string]string
	isDown   bool
	asked    int
	rotated  int
	reused   int
	revoked  []string // refresh tokens, each behind its provider
}

func newHouse() *house {
	return &house{accounts: make(map[string]*account), prints: map[string]string{"corp": "ldap", "sso": "oidc", "file": "file"}}
}

// change changes a person, made if need be.
func (h *house) change(subject string, change func(*account)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.accounts[subject] == nil {
		h.accounts[subject] = &account{groups: []string{"team"}, stamp: "s1"}
	}
	change(h.accounts[subject])
}

func (h *house) setDown(isDown bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.isDown = isDown
}

func (h *house) questions() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asked
}

// login proves a person anew. At "sso" each login is an account of its own
// here, since each has a refresh token of its own.
func (h *house) login(provider, subject string) *providers.Identity {
	h.change(subject, func(a *account) {
		if provider == "sso" && a.providerToken == "" {
			a.providerToken = subject + " token 0"
		}
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.identity(provider, subject)
}

func (h *house) identity(provider, subject string) *providers.Identity {
	a := h.accounts[subject]
	user, _, _ := strings.Cut(subject, "/")
	return &providers.Identity{
		Provider: provider, Fingerprint: h.prints[provider], Subject: subject, User: user, Groups: a.groups, Claims: map[string]any{"mail": user + "@corp.example"},
		Method: providers.MethodPassword, Stamp: a.stamp, RefreshToken: secret.New(a.providerToken),
	}
}

func (h *house) Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error) {
	h.mu.Lock()
	h.asked++
	slow := h.slow
	h.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.accounts[id.Subject]
	switch {
	case a != nil && a.panics:
		panic("an unforeseen answer")
	case h.isDown:
		return nil, errors.New("connection refused")
	case id.Provider == "file":
		return nil, providers.ErrCannotRevalidate
	case a == nil || a.missing:
		return nil, fmt.Errorf("no such entry: %w", providers.ErrGone)
	}
	if id.Provider == "sso" {
		if id.RefreshToken.Reveal() != a.providerToken {
			h.reused++
			a.missing = true
			return nil, fmt.Errorf("invalid_grant: %w", providers.ErrGone)
		}
		h.rotated++
		a.used = append(a.used, a.providerToken)
		a.providerToken = fmt.Sprintf("%s token %d", id.Subject, h.rotated)
	}
	switch {
	case a.disabled:
		return nil, fmt.Errorf("disabled: %w: %w", providers.ErrRejected, providers.ErrEnded)
	case a.locked:
		return nil, &providers.RotatedError{RefreshToken: secret.New(a.providerToken), Err: fmt.Errorf("locked: %w", providers.ErrRejected)}
	}
	return h.identity(id.Provider, id.Subject), nil
}

func (h *house) Fingerprint(provider string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.prints[provider]
}

func (h *house) PerSession(provider string) bool { return provider == "sso" }

func (h *house) RevokeWhen(string) providers.RevokeWhen { return h.revoke }

func (h *house) Forget(func(*providers.Identity) bool) {}

func (h *house) RevokeRefreshToken(_ context.Context, provider string, providerToken secret.Text) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revoked = append(h.revoked, provider+" "+providerToken.Reveal())
	return nil
}

// site is replicas over one store.
type site struct {
	t        *testing.T
	house    *house
	file     string
	replicas []*session.Sessions
}

func newSite(t *testing.T, replicas int, cfg session.Config) *site {
	t.Helper()
	s := &site{t: t, house: newHouse(), file: filepath.Join(t.TempDir(), "data", "shorepass.db")}
	for range replicas {
		s.start(cfg)
	}
	return s
}

// start starts one more replica, which the test's end closes.
func (s *site) start(cfg session.Config) *session.Sessions {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), s.file)
	must(s.t, err)
	return s.startOn(store, cfg)
}

// startWithClock starts a replica whose store has another clock.
func (s *site) startWithClock(ahead time.Duration) *session.Sessions {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), s.file)
	must(s.t, err)
	return s.startOn(clock{store, ahead}, session.Config{})
}

// clock is a store whose clock is ahead.
type clock struct {
	*sqlite.Store
	ahead time.Duration
}

func (c clock) Now(context.Context) (time.Time, error) { return time.Now().Add(c.ahead), nil }

func (s *site) startOn(store session.Store, cfg session.Config) *session.Sessions {
	s.t.Helper()
	return s.startFor(store, cfg, s.house)
}

// startFor starts a replica with other providers than the house.
func (s *site) startFor(store session.Store, cfg session.Config, p session.Providers) *session.Sessions {
	s.t.Helper()
	sessions, err := session.New(s.t.Context(), cfg.WithDefaults(), store, p, slog.New(slog.NewTextHandler(s.t.Output(), nil)))
	must(s.t, err)
	s.replicas = append(s.replicas, sessions)
	return sessions
}

// rekey seals everything with the first key of a ring, beside the replicas.
func (s *site) rekey(ring secret.Text) (int, error) {
	s.t.Helper()
	store, err := sqlite.Open(s.t.Context(), s.file)
	must(s.t, err)
	defer store.Close()
	keys, err := session.ParseKeys(ring)
	must(s.t, err)
	return session.Rekey(s.t.Context(), store, keys)
}

// close closes all replicas, which has to happen inside a synctest bubble.
func (s *site) close() {
	for _, r := range s.replicas {
		if err := r.Close(); err != nil {
			s.t.Error(err)
		}
	}
	s.replicas = nil
}

// issue logs a person in.
func (s *site) issue(provider, subject string) secret.Text {
	s.t.Helper()
	token, _, err := s.replicas[0].Issue(s.t.Context(), s.house.login(provider, subject), service, laptop)
	must(s.t, err)
	return token
}

func (s *site) redeem(token secret.Text) (*session.Session, error) {
	return s.replicas[0].Redeem(s.t.Context(), token, service, laptop, session.KindRefresh)
}

// outcome is what a client would see: "ok", "401" or "503".
func outcome(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, providers.ErrUnavailable):
		return "503"
	case errors.Is(err, session.ErrRefused):
		return "401"
	}
	return err.Error()
}

// expect redeems a token and holds what comes of it against what is wanted.
func (s *site) expect(when string, token secret.Text, want string) {
	s.t.Helper()
	if _, err := s.redeem(token); outcome(err) != want {
		s.t.Errorf("%s: Redeem = %v, want %s", when, err, want)
	}
}

// why returns why a session ended, or "".
func (s *site) why(token secret.Text) session.Reason {
	s.t.Helper()
	all, err := s.replicas[0].Admin().List(s.t.Context(), session.Selector{Ended: true})
	must(s.t, err)
	for _, one := range all {
		if one.ID == session.ExportID(token) {
			return one.Reason
		}
	}
	s.t.Fatal("the session is not in the list")
	return ""
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
