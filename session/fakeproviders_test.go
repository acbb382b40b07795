package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// account is a person's account at a fake provider.
type account struct {
	groups        []string
	stamp         string
	missing       bool // no such entry; the grant is invalid
	disabled      bool // for good
	locked        bool // until the lock lifts
	panics        bool // the provider panics when asked about it
	providerToken string
	used          []string // refresh tokens that were rotated away
}

// fakeProviders is a chain of three providers: "corp", a directory; "sso",
// which issues a refresh token per login, rotates it at each use and ends the
// grant when a token is reused; "file", which cannot revalidate.
type fakeProviders struct {
	slow   time.Duration // how long an answer takes
	revoke providers.RevokeWhen

	mu             sync.Mutex
	accounts       map[string]*account      // by subject
	reauthenticate map[string]time.Duration // by provider
	prints         map[string]string
	isDown         bool
	asked          int
	rotated        int
	reused         int
	revoked        []string // "provider token"
}

func newFakeProviders() *fakeProviders {
	return &fakeProviders{accounts: make(map[string]*account), prints: map[string]string{"corp": "ldap", "sso": "oidc", "file": "file"}}
}

// change changes an account, and creates it if need be.
func (p *fakeProviders) change(subject string, change func(*account)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.accounts[subject] == nil {
		p.accounts[subject] = &account{groups: []string{"team"}, stamp: "s1"}
	}
	change(p.accounts[subject])
}

func (p *fakeProviders) setDown(isDown bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.isDown = isDown
}

// askCount returns how many revalidations there were.
func (p *fakeProviders) askCount() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// login returns the identity of a login, with the account's refresh token at
// "sso".
func (p *fakeProviders) login(provider, subject string) *providers.Identity {
	p.change(subject, func(a *account) {
		if provider == "sso" && a.providerToken == "" {
			a.providerToken = subject + " token 0"
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.identity(provider, subject)
}

func (p *fakeProviders) identity(provider, subject string) *providers.Identity {
	a := p.accounts[subject]
	user, _, _ := strings.Cut(subject, "/")
	return &providers.Identity{
		Provider: provider, Fingerprint: p.prints[provider], Subject: subject, User: user, Groups: a.groups, Claims: map[string]any{"mail": user + "@corp.example"},
		Method: providers.MethodPassword, Stamp: a.stamp, RefreshToken: secret.New(a.providerToken),
	}
}

func (p *fakeProviders) Revalidate(ctx context.Context, id *providers.Identity) (*providers.Identity, error) {
	p.mu.Lock()
	p.asked++
	slow := p.slow
	p.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.accounts[id.Subject]
	switch {
	case a != nil && a.panics:
		panic("an unforeseen answer")
	case p.isDown:
		return nil, errors.New("connection refused")
	case id.Provider == "file":
		return nil, providers.ErrCannotRevalidate
	case a == nil || a.missing:
		return nil, fmt.Errorf("no such entry: %w", providers.ErrGone)
	}
	if id.Provider == "sso" {
		if id.RefreshToken.Reveal() != a.providerToken {
			p.reused++
			a.missing = true
			return nil, fmt.Errorf("invalid_grant: %w", providers.ErrGone)
		}
		p.rotated++
		a.used = append(a.used, a.providerToken)
		a.providerToken = fmt.Sprintf("%s token %d", id.Subject, p.rotated)
	}
	switch {
	case a.disabled:
		return nil, fmt.Errorf("disabled: %w: %w", providers.ErrRejected, providers.ErrEnded)
	case a.locked:
		return nil, &providers.RotatedError{RefreshToken: secret.New(a.providerToken), Err: fmt.Errorf("locked: %w", providers.ErrRejected)}
	}
	return p.identity(id.Provider, id.Subject), nil
}

func (p *fakeProviders) Fingerprint(provider string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.prints[provider]
}

func (p *fakeProviders) PerSignIn(provider string) bool { return provider == "sso" }

func (p *fakeProviders) RevokeWhen(string) providers.RevokeWhen { return p.revoke }
func (p *fakeProviders) Reauthenticate(provider string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reauthenticate[provider]
}

func (p *fakeProviders) Forget(func(*providers.Identity) bool) {}

func (p *fakeProviders) RevokeRefreshToken(_ context.Context, provider string, providerToken secret.Text) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.revoked = append(p.revoked, provider+" "+providerToken.Reveal())
	return nil
}
