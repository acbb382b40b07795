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

// TestServiceAccountRefused checks that a mistyped bind_password is tried
// seldom, however many log in, and says what is wrong.
func TestServiceAccountRefused(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 3})
	cfg := slapdConfig(s)
	cfg.BindPassword = secret.New("wrong")
	p := newProvider(t, cfg)
	for range 20 {
		began := time.Now()
		_, err := login(t, p, "alice", "alicepw")
		wantUnavailable(t, "Authenticate", began, err)
		if err != nil && !strings.Contains(err.Error(), "refuses bind_dn or bind_password") {
			t.Errorf("Authenticate = %v, want what to look at", err)
		}
	}
	if n := s.Binds(t, s.BindDN); n != 1 {
		t.Errorf("the service account was tried %d times, want once", n)
	}
}

// TestConnections checks that there are never more than configured, that they
// are used again, and that those that tried passwords are not searched on.
func TestConnections(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	cfg := slapdConfig(s)
	cfg.SearchConnections, cfg.BindConnections = 3, 2
	before := runtime.NumGoroutine()
	p := newProvider(t, cfg)
	p.Start(t.Context())
	var everybody sync.WaitGroup
	for i := range 60 {
		everybody.Go(func() {
			if _, err := login(t, p, []string{"alice", "bob"}[i%2], []string{"alicepw", "bobpw"}[i%2]); err != nil {
				t.Errorf("Authenticate = %v, want an identity", err)
			}
		})
	}
	everybody.Wait()
	open, ever := s.Connections(t)
	if open != 5 || ever != 5 {
		t.Errorf("%d connections are open of %d that ever were, want 5 of 5", open, ever)
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
		t.Errorf("%d goroutines after Close, want the %d of before", after, before)
	}
}

// TestNoSearchAfterBind checks on each connection that nobody searches where
// a password was tried.
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
			t.Errorf("%s was searched on and tried passwords", conn)
		}
	}
	if len(kinds) != 2 {
		t.Errorf("%d connections, want 2", len(kinds))
	}
}

// TestWaitersAreBounded checks that those who wait for a connection are bounded in number,
// and go when they are told to.
func TestWaitersAreBounded(t *testing.T) {
	const people, places = 200, 1 + 64/4 // one login of alice has the connection, and a quarter of those who may wait are hers
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
	for range people {
		go func() {
			_, err := authenticate(t, ctx, p, "alice", "alicepw")
			answers <- err
		}()
	}
	for range people - places {
		if err := <-answers; err == nil || !strings.Contains(err.Error(), "too many wait") {
			t.Errorf("Authenticate beyond those who may wait = %v, want that it is busy", err)
		}
	}
	cancel()
	for range places {
		if err := <-answers; !errors.Is(err, context.Canceled) {
			t.Errorf("Authenticate of one who waited and went = %v, want %v", err, context.Canceled)
		}
	}
	if open, _ := f.Connections(); open > 1 {
		t.Errorf("%d connections are open, want at most 1", open)
	}
}
