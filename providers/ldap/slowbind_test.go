package ldap_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// withSecondFactor answers as a directory in which a bind as a person whose name begins with
// "phone" waits for a second factor that never comes.
func withSecondFactor(r ldaptest.Request) ldaptest.Answer {
	if r.Operation == goldap.ApplicationSearchRequest {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.Filter, "(uid="), ")")
		if r.DN == "" {
			return ldaptest.Answer{}
		}
		return ldaptest.Answer{Entries: []ldaptest.FakeEntry{{
			DN: "uid=" + name + ",ou=people,dc=x", Attributes: ldaptest.Attributes{"uid": {name}, "entryUUID": {"id of " + name}},
		}}}
	}
	return ldaptest.Answer{Silence: strings.HasPrefix(r.DN, "uid=phone")}
}

// TestSlowBindsDelayNoOthers: people whose binds hang again and again delay no other
// person's login, and take no server down. Sixteen are as many as the pool for binds has
// connections.
func TestSlowBindsDelayNoOthers(t *testing.T) {
	for _, people := range []int{8, 16} {
		t.Run(fmt.Sprint(people), func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, shortTimeouts(fakeConfig(ldaptest.NewFake(t, withSecondFactor))))
			p.Start(t.Context())
			var slow, others sync.WaitGroup
			over := make(chan struct{})
			for i := range people {
				slow.Go(func() {
					for tries := 0; ; tries++ {
						_, err := login(t, p, fmt.Sprint("phone", i), "right")
						wantUnavailable(t, "Authenticate with a second factor that never comes", time.Now(), err)
						if tries == 0 && !providers.MayBeCounted(err) {
							t.Errorf("Authenticate = %v, want an error of a password that may have arrived: the server is healthy", err)
						}
						select {
						case <-over:
							return
						default:
						}
					}
				})
			}
			for i := range 14 {
				others.Go(func() {
					for range 10 {
						if _, err := login(t, p, fmt.Sprint("person", i), "right"); err != nil {
							t.Errorf("Authenticate of another person while %d wait for a second factor = %v, want an identity", people, err)
						}
						time.Sleep(200 * time.Millisecond)
					}
				})
			}
			others.Wait()
			close(over)
			slow.Wait()
		})
	}
}

// TestPasswordMayBeCounted: MayBeCounted is false for a password that was not sent, and
// true for one that may have arrived. If a bind has no answer, the probe of the server
// decides.
func TestPasswordMayBeCounted(t *testing.T) {
	const (
		healthy = iota
		slow    // at binds of people
		dying   // at binds of people, and healthy again
		dead
		silent
		unwilling // at binds of people
		unwillingForAll
		busy
	)
	for _, test := range []struct {
		name    string
		state   int32 // of the server, after Lookup
		context func(context.Context) (context.Context, context.CancelFunc)
		arrived bool
		reason  providers.Reason
	}{
		{"the bind hangs, and the server is healthy", slow, nil, true, ""},
		{"the server closes the connection, and is healthy", dying, nil, true, ""},
		{"the server dies", dead, nil, false, ""},
		{"the server hangs", silent, nil, false, ""},
		{"the server is busy", busy, nil, false, ""},
		{"the server is unwilling", unwillingForAll, nil, true, ""},
		{"the server is unwilling as this account", unwilling, nil, true, providers.Locked},
		{"the deadline has passed before", healthy, func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(ctx, time.Now().Add(-time.Second))
		}, false, ""},
	} {
		for _, servers := range []string{"one server", "two servers"} {
			t.Run(test.name+", "+servers, func(t *testing.T) {
				t.Parallel()
				var state atomic.Int32
				answer := func(r ldaptest.Request) ldaptest.Answer {
					person := r.Operation == goldap.ApplicationBindRequest && r.DN == fakeAlice.DN
					switch s := state.Load(); {
					case s == dead, person && s == dying:
						return ldaptest.Answer{Hangup: true}
					case s == silent, person && s == slow:
						return ldaptest.Answer{Silence: true}
					case person && s == unwilling, r.Operation == goldap.ApplicationBindRequest && s == unwillingForAll:
						return ldaptest.Answer{Code: goldap.LDAPResultUnwillingToPerform}
					case s == busy:
						return ldaptest.Answer{Code: goldap.LDAPResultBusy}
					}
					return fakeDirectory(func(ldaptest.Request) (ldaptest.Answer, bool) { return ldaptest.Answer{}, false })(r)
				}
				f := ldaptest.NewFake(t, answer)
				cfg := shortTimeouts(fakeConfig(f))
				second := ldaptest.NewFake(t, fakeDirectory(func(ldaptest.Request) (ldaptest.Answer, bool) { return ldaptest.Answer{}, false }))
				if servers == "two servers" {
					cfg.URLs = append(cfg.URLs, second.URL)
				}
				p := newProvider(t, cfg)
				mustLogin(t, p, "alice", "before") // opens connections
				ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
				defer cancel()
				account, err := p.Lookup(ctx, "alice")
				if err != nil {
					t.Fatal(err)
				}
				state.Store(test.state)
				if test.context != nil {
					ctx, cancel = test.context(ctx)
					defer cancel()
				}
				before := personBinds(f)
				_, err = account.Prove(ctx, providers.LoginPassword{Secret: secret.New("alicepw")})
				switch {
				case test.reason != "" && (!errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != test.reason):
					t.Errorf("Prove = %v, want ErrRejected: %s", err, test.reason)
				case test.reason == "" && (err == nil || errors.Is(err, providers.ErrRejected) || providers.MayBeCounted(err) != test.arrived):
					t.Errorf("Prove = %v, MayBeCounted %v, want an error that says nothing of the account, MayBeCounted %v", err, providers.MayBeCounted(err), test.arrived)
				}
				if n := personBinds(f) - before + personBinds(second); n > 1 {
					t.Errorf("the password was sent %d times, want at most once", n)
				}
			})
		}
	}
}

// TestProveWithoutConnectionSendsNothing: without a free connection in time, and after Close,
// Prove returns the error of a password that was not sent.
func TestProveWithoutConnectionSendsNothing(t *testing.T) {
	f := ldaptest.NewFake(t, withSecondFactor)
	cfg := shortTimeouts(fakeConfig(f))
	cfg.BindConnections = 1
	p := newProvider(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	account, err := p.Lookup(ctx, "alice")
	if err != nil {
		t.Fatal(err)
	}
	var waiting sync.WaitGroup
	waiting.Go(func() { _, _ = login(t, p, "phone", "right") })
	for personBinds(f) == 0 {
		time.Sleep(time.Millisecond)
	}
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if _, err := account.Prove(short, providers.LoginPassword{Secret: secret.New("right")}); err == nil || errors.Is(err, providers.ErrRejected) || providers.MayBeCounted(err) {
		t.Errorf("Prove while the one connection is taken = %v, want an error of a password that was not sent", err)
	}
	waiting.Wait()
	if account, err = p.Lookup(ctx, "alice"); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := account.Prove(ctx, providers.LoginPassword{Secret: secret.New("right")}); err == nil || errors.Is(err, providers.ErrRejected) || providers.MayBeCounted(err) {
		t.Errorf("Prove of a provider that is closed = %v, want an error of a password that was not sent", err)
	}
}

// TestErrorAfterTheBindIsNotCounted: if the groups cannot be read after a successful bind,
// the error is not one of a password that a directory counts as wrong.
func TestErrorAfterTheBindIsNotCounted(t *testing.T) {
	f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
		return ldaptest.Answer{Code: goldap.LDAPResultUnavailable}, r.DN == "ou=groups,dc=x"
	}))
	cfg := shortTimeouts(fakeConfig(f))
	cfg.Groups = ldap.Groups{Base: new("ou=groups,dc=x")}
	began := time.Now()
	_, err := login(t, newProvider(t, cfg), "alice", "alicepw")
	wantUnavailable(t, "Authenticate without groups", began, err)
	if providers.MayBeCounted(err) {
		t.Errorf("Authenticate = %v, want MayBeCounted false", err)
	}
}

// TestOneAccountLeavesConnectionsToOthers: 700 concurrent logins of one account, under
// several spellings, use at most a quarter of the connections.
func TestOneAccountLeavesConnectionsToOthers(t *testing.T) {
	var now, most [2]atomic.Int64 // searches and binds of the one account
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		if strings.Contains(strings.ToLower(r.Filter+r.DN), "uid=flood") {
			kind := 0
			if r.Operation == goldap.ApplicationBindRequest {
				kind = 1
			}
			for n := now[kind].Add(1); n > most[kind].Load(); {
				most[kind].Store(n)
			}
			time.Sleep(20 * time.Millisecond)
			now[kind].Add(-1)
		}
		r.Filter = strings.ToLower(r.Filter)
		return withSecondFactor(r)
	})
	p := newProvider(t, fakeConfig(f))
	mustLogin(t, p, "flood", "right")
	var flood sync.WaitGroup
	over, stop := context.WithCancel(t.Context())
	for i := range 700 {
		flood.Go(func() {
			ctx, cancel := context.WithTimeout(over, 10*time.Second)
			defer cancel()
			_, _ = authenticate(t, ctx, p, []string{"flood", "FLOOD", "Flood"}[i%3], fmt.Sprint("right", i))
		})
	}
	for now[0].Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	for i := range 10 {
		mustLogin(t, p, fmt.Sprint("person", i), "right")
	}
	if now[0].Load()+now[1].Load() == 0 {
		t.Error("the others waited until the one account was done")
	}
	// A canceled request gives its slot back while the fake still answers it: count before.
	searches, binds := most[0].Load(), most[1].Load()
	stop()
	flood.Wait()
	if searches > 4 || binds > 4 {
		t.Errorf("%d concurrent searches and %d binds of one account, want at most 4 of 16", searches, binds)
	}
}
