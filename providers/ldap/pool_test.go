package ldap

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap/ldaptest"
)

// newTestDirectory returns a directory whose one server is a fake.
func newTestDirectory(t *testing.T, f *ldaptest.Fake) *directory {
	t.Helper()
	cfg := Config{
		Preset: "openldap", URLs: []string{f.URL}, Insecure: true,
		BindDN: "cn=svc,dc=x", BindPassword: secret.New("x"), Users: Users{Base: new("dc=x")},
	}.WithDefaults()
	d, err := newDirectory(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range d.list.all() {
		s.features.Store(new(features)) // known, so that tests see their own requests alone
	}
	t.Cleanup(d.close)
	return d
}

// ageIdleConns makes the idle connections of a pool older by this time.
func ageIdleConns(p *pool, by time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.idle {
		c.idleSince, c.opened = c.idleSince.Add(-by), c.opened.Add(-by)
	}
}

// TestConnectionsExpire: a connection is not used after maxIdle without use, nor after
// maxAge.
func TestConnectionsExpire(t *testing.T) {
	f := ldaptest.NewFake(t, func(ldaptest.Request) ldaptest.Answer { return ldaptest.Answer{} })
	d := newTestDirectory(t, f)
	connections := func() int { _, ever := f.Connections(); return ever }
	for _, step := range []struct {
		after time.Duration
		want  int // connections in all
	}{
		{0, 1},
		{time.Second, 1},
		{maxIdle, 1},
		{maxIdle + time.Second, 2},
		{maxIdle, 2}, {maxIdle, 2}, {maxIdle, 2}, {maxIdle, 2}, // busy enough, and an hour old after five
		{maxIdle, 2}, {maxIdle, 3},
	} {
		ageIdleConns(d.bind, step.after-time.Second/2) // the test itself takes some time
		if err := d.checkPassword(t.Context(), "a", "uid=a,dc=x", secret.New("x")); err != nil {
			t.Fatal(err)
		}
		if got := connections(); got != step.want {
			t.Fatalf("%d connections after another %s, want %d", got, step.after, step.want)
		}
	}
	ageIdleConns(d.bind, maxIdle+time.Second)
	d.bind.sweep()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if open, _ := f.Connections(); open == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("sweep left an idle connection open")
		}
	}
}

// TestServerBackoff: a server that failed is tried again after a backoff, which doubles
// up to its maximum, and by one caller at a time.
func TestServerBackoff(t *testing.T) {
	synctest.Test(t, testServerBackoff)
}

func testServerBackoff(t *testing.T) {
	s := new(server)
	down := errors.New("down")
	current, ok := s.tryAcquire()
	if !ok {
		t.Fatal("tryAcquire of a server that never failed = false")
	}
	for i, want := range []time.Duration{250 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 5 * time.Second, 5 * time.Second} {
		s.recordFailure(current, down)
		s.recordFailure(nil, down) // another operation that failed with it
		time.Sleep(want - 1)
		if _, ok := s.tryAcquire(); ok {
			t.Errorf("failure %d: tried again before %s", i, want)
		}
		time.Sleep(time.Nanosecond)
		if current, ok = s.tryAcquire(); !ok {
			t.Errorf("failure %d: not tried again after %s", i, want)
		}
		if _, ok := s.tryAcquire(); ok {
			t.Errorf("failure %d: tried by a second caller at the same time", i)
		}
	}
	s.recordSuccess(current)
	for range 2 {
		if _, ok := s.tryAcquire(); !ok || !s.up() || s.lastError() != nil {
			t.Error("a server that is up again is not used by all callers")
		}
	}
}

// TestRetryOnABrokenConnection: when a connection breaks, a search is retried, and a bind
// only if no byte of it was sent.
func TestRetryOnABrokenConnection(t *testing.T) {
	var dying atomic.Bool
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		return ldaptest.Answer{Hangup: r.DN != "cn=svc,dc=x" && dying.CompareAndSwap(true, false)}
	})
	d := newTestDirectory(t, f)
	count := func(operation int) int {
		n := 0
		for _, r := range f.Requests() {
			if r.Operation == operation && r.DN == "uid=a,dc=x" {
				n++
			}
		}
		return n
	}
	search := func() error {
		_, err := d.find(t.Context(), query{base: "uid=a,dc=x", filter: "(uid=a)"})
		return err
	}
	bind := func() error { return d.checkPassword(t.Context(), "a", "uid=a,dc=x", secret.New("x")) }
	for _, step := range []struct {
		name      string
		do        func() error
		operation int
		dying     bool
		want      int // requests
		fails     bool
	}{
		{"search", search, ldap.ApplicationSearchRequest, false, 1, false},
		{"search on a connection that dies", search, ldap.ApplicationSearchRequest, true, 2, false},
		{"bind", bind, ldap.ApplicationBindRequest, false, 1, false},
		{"bind on a connection that dies", bind, ldap.ApplicationBindRequest, true, 1, true},
		{"bind after it", bind, ldap.ApplicationBindRequest, false, 1, false},
	} {
		before := count(step.operation)
		dying.Store(step.dying)
		if err := step.do(); (err != nil) != step.fails || errors.Is(err, providers.ErrRejected) {
			t.Errorf("%s: %v, want an error: %v", step.name, err, step.fails)
		}
		if got := count(step.operation) - before; got != step.want {
			t.Errorf("%s was sent %d times, want %d", step.name, got, step.want)
		}
	}
	f.HangUp() // while both are idle
	noticed := func() bool { return d.search.idle[0].dead() && d.bind.idle[0].dead() }
	for deadline := time.Now().Add(20 * time.Second); !noticed() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	if err := errors.Join(search(), bind()); err != nil {
		t.Errorf("search and bind after the server closed idle connections: %v", err)
	}
}

// TestAnonymousBind: sendBind itself refuses an empty name or password.
func TestAnonymousBind(t *testing.T) {
	f := ldaptest.NewFake(t, func(ldaptest.Request) ldaptest.Answer { return ldaptest.Answer{} })
	d := newTestDirectory(t, f)
	for _, test := range []struct{ dn, password string }{{"uid=a,dc=x", ""}, {"", "x"}, {"", ""}} {
		if err := d.checkPassword(t.Context(), "a", test.dn, secret.New(test.password)); !errors.Is(err, providers.ErrRejected) {
			t.Errorf("checkPassword(%q, %q) = %v, want ErrRejected", test.dn, test.password, err)
		}
	}
	if n := len(f.Requests()); n != 0 {
		t.Errorf("%d requests came, want none", n)
	}
}

// TestSlowAccountsShareConnections: accounts whose last bind had no answer have one share
// key together, until a bind is answered or slowTTL has passed.
func TestSlowAccountsShareConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newSlowAccounts()
		shares := func(want ...string) {
			t.Helper()
			for i, of := range []string{"a", "b"} {
				if got := l.shareKey(of); got != want[i] {
					t.Errorf("shareKey(%q) = %q, want %q", of, got, want[i])
				}
			}
		}
		shares("a", "b")
		l.add("a")
		shares(slowShare, "b")
		l.add("b")
		shares(slowShare, slowShare)
		l.remove("b")
		shares(slowShare, "b")
		time.Sleep(slowTTL)
		shares("a", "b")
	})
}

// TestProbesAreSingleFlight: concurrent callers share one probe of a server.
func TestProbesAreSingleFlight(t *testing.T) {
	var probes atomic.Int32
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		if r.Operation == ldap.ApplicationBindRequest && r.DN == "cn=svc,dc=x" {
			probes.Add(1)
			time.Sleep(200 * time.Millisecond)
		}
		return ldaptest.Answer{Silence: r.Operation == ldap.ApplicationBindRequest && r.DN != "cn=svc,dc=x"}
	})
	d := newTestDirectory(t, f)
	s := d.list.all()[0]
	first, lead := s.joinProbe()
	if again, second := s.joinProbe(); !lead || second || again != first {
		t.Error("a second probe has a leader of its own")
	}
	s.endProbe(first, nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := d.probe(t.Context(), s, nil); err != nil {
				t.Errorf("probe = %v, want nil", err)
			}
		})
	}
	all.Wait()
	if n := probes.Load(); n < 1 || n > 3 {
		t.Errorf("20 concurrent probes were %d binds of the service account, want one", n)
	}
}
