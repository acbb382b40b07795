package ldap_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers/ldap/ldaptest"
)

// TestServiceAccountRefused: a wrong bind_password is tried once per backoff, however
// many people log in, and the error names the keys.
func TestServiceAccountRefused(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 3})
	cfg := slapdConfig(s)
	cfg.BindPassword = secret.New("wrong")
	p := newProvider(t, cfg)
	for range 20 {
		began := time.Now()
		_, err := login(t, p, "alice", "alicepw")
		wantUnavailable(t, "Authenticate", began, err)
		if err != nil && !strings.Contains(err.Error(), "refuses the service account") {
			t.Errorf("Authenticate = %v, want an error that names the keys", err)
		}
	}
	if n := s.Binds(t, s.BindDN); n != 1 {
		t.Errorf("the service account was tried %d times, want once", n)
	}
}

// TestConnections: concurrent logins share the configured number of connections, and
// Close closes them and ends all goroutines.
func TestConnections(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	cfg := slapdConfig(s)
	cfg.SearchConnections, cfg.BindConnections = 3, 2
	before := runtime.NumGoroutine()
	p := newProvider(t, cfg)
	p.Start(t.Context())
	var logins sync.WaitGroup
	for i := range 60 {
		logins.Go(func() {
			if _, err := login(t, p, []string{"alice", "bob"}[i%2], []string{"alicepw", "bobpw"}[i%2]); err != nil {
				t.Errorf("Authenticate = %v, want an identity", err)
			}
		})
	}
	logins.Wait()
	if open, ever := s.Connections(t); open != ever || ever > 5 {
		t.Errorf("%d connections are open of %d in all, want all of at most 5", open, ever)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if _, err := login(t, p, "alice", "alicepw"); err == nil {
		t.Error("Authenticate after Close gave an identity")
	}
	after := runtime.NumGoroutine()
	for deadline := time.Now().Add(20 * time.Second); after > before && time.Now().Before(deadline); after = runtime.NumGoroutine() {
		time.Sleep(5 * time.Millisecond)
	}
	if after > before {
		t.Errorf("%d goroutines after Close, want %d as before New", after, before)
	}
}

// TestNoSearchAfterBind: no connection has both a person's bind and a search.
func TestNoSearchAfterBind(t *testing.T) {
	kinds := make(map[string]map[string]bool)
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, slapdConfig(s))
	for range 3 {
		mustLogin(t, p, "alice", "alicepw")
		_, _ = login(t, p, "alice", "wrong")
		mustLogin(t, p, "bob", "bobpw")
	}
	for _, line := range s.Log(t) {
		conn, _, _ := strings.Cut(line[strings.Index(line, "conn="):], " ")
		if kinds[conn] == nil {
			kinds[conn] = make(map[string]bool)
		}
		kinds[conn]["search"] = kinds[conn]["search"] || strings.Contains(line, " SRCH base=")
		kinds[conn]["person"] = kinds[conn]["person"] || strings.Contains(line, ` BIND dn="uid=`) && strings.Contains(line, ",ou=people,")
	}
	for conn, kind := range kinds {
		if kind["search"] && kind["person"] {
			t.Errorf("%s has a search and a person's bind", conn)
		}
	}
	if len(kinds) != 2 {
		t.Errorf("%d connections, want 2", len(kinds))
	}
}

// TestWaitersAreBounded: one account has a quarter of the waiters for a connection, the
// logins beyond that fail immediately, and a canceled wait ends.
func TestWaitersAreBounded(t *testing.T) {
	const logins, admitted = 200, 1 + 64/4 // one has the connection, and a quarter of the 64 waiters are the account's
	release := make(chan struct{})
	f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
		if r.Operation == goldap.ApplicationSearchRequest {
			<-release
		}
		return ldaptest.Answer{}, false
	}))
	t.Cleanup(func() { close(release) })
	cfg := fakeConfig(f)
	cfg.SearchConnections, cfg.Timeout = 1, 10*time.Second
	p := newProvider(t, cfg)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	answers := make(chan error)
	for range logins {
		go func() {
			_, err := authenticate(t, ctx, p, "alice", "alicepw")
			answers <- err
		}()
	}
	for range logins - admitted {
		if err := <-answers; err == nil || !strings.Contains(err.Error(), "too many wait") {
			t.Errorf("Authenticate beyond the bound = %v, want too many waiters", err)
		}
	}
	cancel()
	for range admitted {
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("Authenticate of a canceled waiter = %v, want %v", err, context.Canceled)
		}
	}
	if open, _ := f.Connections(); open > 1 {
		t.Errorf("%d connections are open, want at most 1", open)
	}
}
