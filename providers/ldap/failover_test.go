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
				// Only the first may wait for the one that hangs.
				if took := time.Since(began); i > 0 && took >= cfg.DialTimeout {
					t.Errorf("login %d with one server down took %s", i, took)
				}
			}
			if got := two.Binds(t, two.People) - before; got != 5 {
				t.Errorf("the second server saw %d binds of people, want 5", got)
			}
			test.up()
			// What the background finds within its rest is used again.
			for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
				before = one.Binds(t, one.People)
				mustLogin(t, p, "alice", "alicepw")
				if one.Binds(t, one.People) > before {
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the first server is up again and not asked")
				}
			}
		})
	}
}

// TestAllServersDown checks that whoever has nobody to ask says so soon, and finds out by
// itself, without Start, that somebody is there again.
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
	var everybody sync.WaitGroup
	for range 50 {
		everybody.Go(func() {
			_, err := authenticate(t, t.Context(), p, "alice", "alicepw")
			wantUnavailable(t, "Authenticate of many while the server hangs", began, err)
		})
	}
	everybody.Wait()
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

// TestRestart checks that connections that died while they lay about cost
// nobody a login.
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

// TestHalfOpen checks connections that a network has lost without a word.
func TestHalfOpen(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	proxy := ldaptest.NewProxy(t, strings.TrimPrefix(s.LDAPS, "ldaps://"))
	cfg := shortTimeouts(slapdConfig(s))
	cfg.URLs = []string{"ldaps://" + proxy.Address}
	p := newProvider(t, cfg)
	mustLogin(t, p, "alice", "alicepw")
	proxy.CloseAll()
	mustLogin(t, p, "alice", "alicepw") // closed is noticed

	proxy.Blackhole()
	before := s.Binds(t, s.People)
	began := time.Now()
	_, err := login(t, p, "alice", "alicepw")
	wantUnavailable(t, "Authenticate on lost connections", began, err)
	if sent := s.Binds(t, s.People) - before; sent != 0 {
		t.Errorf("%d binds came through a connection that was lost", sent)
	}
	time.Sleep(300 * time.Millisecond) // the first rest
	mustLogin(t, p, "alice", "alicepw")
}

// TestBlackHole checks a first server that takes connections and says nothing:
// the first login gets past it, and the next one does not turn to it.
func TestBlackHole(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var swallowed atomic.Int64
	var accepting sync.WaitGroup
	accepting.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			swallowed.Add(1)
		}
	})
	t.Cleanup(func() { l.Close(); accepting.Wait() })
	cfg := shortTimeouts(slapdConfig(s))
	cfg.URLs = []string{fmt.Sprintf("ldaps://%s", l.Addr()), s.LDAPS}
	p := newProvider(t, cfg)
	mustLogin(t, p, "alice", "alicepw")
	before := swallowed.Load()
	if before == 0 {
		t.Error("the first server was not asked first")
	}
	mustLogin(t, p, "alice", "alicepw")
	if more := swallowed.Load() - before; more != 0 {
		t.Errorf("the second login turned %d times to the server that says nothing", more)
	}
}

// TestCanceledLoginTakesNoServerDown checks that whoever goes away takes the connection along, and
// that the server is not taken for down because of it.
func TestCanceledLoginTakesNoServerDown(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, slapdConfig(s))
	mustLogin(t, p, "alice", "alicepw")
	s.Hang()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	_, err := authenticate(t, ctx, p, "alice", "alicepw")
	wantUnavailable(t, "Authenticate of one who went away", began, err)
	s.Resume()
	mustLogin(t, p, "alice", "alicepw")
}
