package ldap_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

// TestFailover: while the first server is down the second serves all logins, and the
// first is used again once it is up.
func TestFailover(t *testing.T) {
	authority := ldaptest.NewAuthority(t)
	one := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Authority: authority})
	two := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Authority: authority})
	cfg := slapdConfig(one)
	cfg.URLs = []string{one.LDAPS, two.LDAPS}
	cfg.Timeout, cfg.DialTimeout = 5*time.Second, 4*time.Second
	for _, test := range []struct {
		name string
		down func()
		up   func()
	}{
		{"killed", one.Kill, func() { one.Start(t) }},
		{"stopped", one.Stop, func() { one.Start(t) }},
		{"hanging", one.Hang, one.Resume},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newProvider(t, cfg)
			p.Start(t.Context())
			mustLogin(t, p, "alice", "alicepw")
			before := two.Binds(t, two.People)
			test.down()
			for i := range 5 {
				began := time.Now()
				mustLogin(t, p, "alice", "alicepw")
				// Only the first login may wait for the hanging server.
				if took := time.Since(began); i > 0 && took >= cfg.DialTimeout {
					t.Errorf("login %d with one server down took %s", i, took)
				}
			}
			if got := two.Binds(t, two.People) - before; got != 5 {
				t.Errorf("the second server saw %d binds of people, want 5", got)
			}
			test.up()
			// The health check finds the server up, and it is used again.
			for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				before = one.Binds(t, one.People)
				mustLogin(t, p, "alice", "alicepw")
				if one.Binds(t, one.People) > before {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the first server is up again and gets no binds")
				}
			}
		})
	}
}

// TestAllServersDown: while no server answers, logins fail within the timeouts; once a
// server is up again they succeed, without Start too.
func TestAllServersDown(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, shortTimeouts(slapdConfig(s)))
	id := mustLogin(t, p, "alice", "alicepw")
	s.Hang()
	for range 3 {
		began := time.Now()
		_, err := login(t, p, "alice", "alicepw")
		wantUnavailable(t, "Authenticate while the server hangs", began, err)
	}
	began := time.Now()
	var logins sync.WaitGroup
	for range 50 {
		logins.Go(func() {
			_, err := authenticate(t, t.Context(), p, "alice", "alicepw")
			wantUnavailable(t, "50 concurrent logins while the server hangs", began, err)
		})
	}
	logins.Wait()
	began = time.Now()
	_, err := p.Revalidate(t.Context(), id)
	wantUnavailable(t, "Revalidate while the server hangs", began, err)
	_, err = p.Ping(t.Context())
	wantUnavailable(t, "Ping while the server hangs", began, err)
	s.Resume()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if _, err := login(t, p, "alice", "alicepw"); err == nil {
			return
		} else if time.Now().After(deadline) {
			t.Fatalf("the server is up again, and Authenticate = %v", err)
		}
	}
}

// TestRestart: logins succeed after a restart of the server, which broke the idle
// connections.
func TestRestart(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, slapdConfig(s))
	for range 3 {
		mustLogin(t, p, "alice", "alicepw")
		s.Stop()
		s.Start(t)
		mustLogin(t, p, "bob", "bobpw")
		s.Kill()
		s.Start(t)
	}
}

// TestHalfOpen: no password is sent on a half-open connection, and the next login uses a
// new one.
func TestHalfOpen(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	proxy := ldaptest.NewProxy(t, strings.TrimPrefix(s.LDAPS, "ldaps://"))
	cfg := shortTimeouts(slapdConfig(s))
	cfg.URLs = []string{"ldaps://" + proxy.Address}
	p := newProvider(t, cfg)
	mustLogin(t, p, "alice", "alicepw")
	proxy.CloseAll()
	mustLogin(t, p, "alice", "alicepw") // a closed connection is replaced

	proxy.Blackhole()
	before := s.Binds(t, s.People)
	began := time.Now()
	_, err := login(t, p, "alice", "alicepw")
	wantUnavailable(t, "Authenticate on half-open connections", began, err)
	if sent := s.Binds(t, s.People) - before; sent != 0 {
		t.Errorf("%d binds arrived through a half-open connection", sent)
	}
	time.Sleep(300 * time.Millisecond) // the first backoff
	mustLogin(t, p, "alice", "alicepw")
}

// TestBlackHole: if the first server accepts connections and never answers, the first
// login fails over to the second server, and the next login does not try the first.
func TestBlackHole(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var accepted atomic.Int64
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			accepted.Add(1)
		}
	})
	t.Cleanup(func() { l.Close(); accepting.Wait() })
	cfg := shortTimeouts(slapdConfig(s))
	cfg.URLs = []string{fmt.Sprintf("ldaps://%s", l.Addr()), s.LDAPS}
	p := newProvider(t, cfg)
	mustLogin(t, p, "alice", "alicepw")
	before := accepted.Load()
	if before == 0 {
		t.Error("the first server was not asked first")
	}
	mustLogin(t, p, "alice", "alicepw")
	if more := accepted.Load() - before; more != 0 {
		t.Errorf("the second login made %d connections to the server that never answers", more)
	}
}

// TestCanceledLoginTakesNoServerDown: a canceled login closes its connection, and the
// server does not count as down.
func TestCanceledLoginTakesNoServerDown(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, slapdConfig(s))
	mustLogin(t, p, "alice", "alicepw")
	s.Hang()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	_, err := authenticate(t, ctx, p, "alice", "alicepw")
	wantUnavailable(t, "a canceled Authenticate", began, err)
	s.Resume()
	mustLogin(t, p, "alice", "alicepw")
}
