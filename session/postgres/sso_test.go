package postgres_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/postgres"
)

// sso is two providers. sso issues a refresh token per login, rotates it at each use
// and rejects a reused one; corp is a directory whose logins share a sign-in.
type sso struct {
	latency time.Duration // of an answer

	mu      sync.Mutex
	tokens  map[string]string // by subject
	rotated int
	reused  int
	asked   int
	ended   bool // it reports every account as disabled
}

func newSSO() *sso { return &sso{tokens: make(map[string]string)} }

func (p *sso) login(provider, subject string) *providers.Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := &providers.Identity{Provider: provider, Fingerprint: provider, Subject: subject, User: "alice", Groups: []string{"team"}, Method: providers.MethodPassword, Stamp: "s1"}
	if provider == "sso" {
		p.tokens[subject] = subject + " token 0"
		id.RefreshToken = secret.New(p.tokens[subject])
	}
	return id
}

func (p *sso) Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error) {
	select {
	case <-time.After(p.latency):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.ended {
		return nil, fmt.Errorf("disabled: %w: %w", providers.ErrRejected, providers.ErrEnded)
	}
	found := *id
	if id.Provider != "sso" {
		return &found, nil
	}
	if p.tokens[id.Subject] != id.RefreshToken.Reveal() {
		p.reused++
		return nil, fmt.Errorf("invalid_grant: %w", providers.ErrGone)
	}
	p.rotated++
	p.tokens[id.Subject] = fmt.Sprintf("%s token %d", id.Subject, p.rotated)
	found.RefreshToken = secret.New(p.tokens[id.Subject])
	return &found, nil
}

func (p *sso) Fingerprint(provider string) string                          { return provider }
func (p *sso) PerSignIn(provider string) bool                              { return provider == "sso" }
func (*sso) Reauthenticate(string) time.Duration                           { return 0 }
func (*sso) RevokeWhen(string) providers.RevokeWhen                        { return providers.RevokeSignIn }
func (*sso) RevokeRefreshToken(context.Context, string, secret.Text) error { return nil }
func (*sso) Forget(func(*providers.Identity) bool)                         {}
func (p *sso) counts() (asked, reused int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked, p.reused
}

const service = "registry"

// sealingKey is that of all replicas.
var sealingKey = session.NewSealKey()

func sealed(dsn string) session.Config {
	cfg := config(dsn)
	cfg.SealKey = sealingKey
	return cfg
}

// replica starts a replica on the database of cfg.
func replica(t testing.TB, cfg session.Config, p session.Providers) *session.Sessions {
	t.Helper()
	store, err := postgres.Open(t.Context(), cfg)
	must(t, err)
	s, err := session.New(t.Context(), cfg, store, p, slog.New(slog.NewTextHandler(t.Output(), nil)))
	must(t, err)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func issue(t testing.TB, s *session.Sessions, id *providers.Identity) secret.Text {
	t.Helper()
	token, _, err := s.Issue(t.Context(), id, service, session.Client{ID: "docker"})
	must(t, err)
	return token
}

func redeem(ctx context.Context, s *session.Sessions, token secret.Text) error {
	_, err := s.Redeem(ctx, token, service, session.Client{ID: "docker"}, session.KindRefresh)
	return err
}
