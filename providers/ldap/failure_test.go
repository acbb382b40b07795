package ldap_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
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
	"shorepass/providers/providertest"
)

// soon is when an answer must be there that waits for no more than the limits
// of quick: long after these, for a machine with other things to do, and before
// the end of what waits for ever, which login cuts off.
const soon = 8 * time.Second

// cannotTell checks that an error is not one of the outcomes that say something
// of the account, and that it came in time.
func cannotTell(t *testing.T, what string, began time.Time, err error) {
	t.Helper()
	if err == nil || errors.Is(err, providers.ErrNotMine) || errors.Is(err, providers.ErrRejected) || errors.Is(err, providers.ErrGone) {
		t.Errorf("%s = %v, want an error that says nothing of the account", what, err)
	}
	if took := time.Since(began); took > soon {
		t.Errorf("%s took %s, want at most %s", what, took, soon)
	}
}

// quick makes the time limits those of a test.
func quick(cfg ldap.Config) ldap.Config {
	cfg.Timeout, cfg.DialTimeout = 2*time.Second, 1500*time.Millisecond
	return cfg
}

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

// TestAllDown checks that whoever has nobody to ask says so soon, and finds out by
// itself, without Start, that somebody is there again.
func TestAllDown(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, quick(slapdConfig(s)))
	id := mustLogin(t, p, "alice", "alicepw")
	s.Hang()
	for range 3 {
		began := time.Now()
		_, err := login(t, p, "alice", "alicepw")
		cannotTell(t, "Authenticate while the server hangs", began, err)
	}
	began := time.Now()
	var everybody sync.WaitGroup
	for range 50 {
		everybody.Go(func() {
			_, err := authenticate(t, t.Context(), p, "alice", "alicepw")
			cannotTell(t, "Authenticate of many while the server hangs", began, err)
		})
	}
	everybody.Wait()
	began = time.Now()
	_, err := p.Revalidate(t.Context(), id)
	cannotTell(t, "Revalidate while the server hangs", began, err)
	_, err = p.Ping(t.Context())
	cannotTell(t, "Ping while the server hangs", began, err)
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
	cfg := quick(slapdConfig(s))
	cfg.URLs = []string{"ldaps://" + proxy.Address}
	p := newProvider(t, cfg)
	mustLogin(t, p, "alice", "alicepw")
	proxy.CloseAll()
	mustLogin(t, p, "alice", "alicepw") // closed is noticed

	proxy.Blackhole()
	before := s.Binds(t, s.People)
	began := time.Now()
	_, err := login(t, p, "alice", "alicepw")
	cannotTell(t, "Authenticate on lost connections", began, err)
	if sent := s.Binds(t, s.People) - before; sent != 0 {
		t.Errorf("%d binds came through a connection that was lost", sent)
	}
	time.Sleep(300 * time.Millisecond) // the first rest
	mustLogin(t, p, "alice", "alicepw")
}

// TestPlainAndTLS checks what must not work: a certificate of nobody we know,
// or of another name, or a server that wants TLS and gets none.
func TestPlainAndTLS(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{RequireTLS: true})
	other := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Authority: s.Authority, Names: []string{"dc1.corp.example"}})
	stranger := ldaptest.NewAuthority(t)
	for _, test := range []struct {
		name   string
		change func(cfg *ldap.Config)
		want   string // in the error; "" for success
	}{
		{"unknown authority", func(c *ldap.Config) { c.TLS.CA = stranger.CA }, "certificate"},
		{"unknown authority, StartTLS", func(c *ldap.Config) { c.URLs, c.StartTLS, c.TLS.CA = []string{s.URL}, true, stranger.CA }, "certificate"},
		{"system's authorities", func(c *ldap.Config) { c.TLS.CA = "" }, "certificate"},
		{"another name", func(c *ldap.Config) { c.URLs = []string{other.LDAPS} }, "127.0.0.1"},
		{"another name, StartTLS", func(c *ldap.Config) { c.URLs, c.StartTLS = []string{other.URL}, true }, "TLS"},
		{"another name that is configured", func(c *ldap.Config) { c.URLs, c.TLS.ServerName = []string{other.LDAPS}, "dc1.corp.example" }, ""},
		{"in clear where TLS is wanted", func(c *ldap.Config) { c.URLs, c.Insecure = []string{s.URL}, true }, "use ldaps or start_tls"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := slapdConfig(s)
			test.change(&cfg)
			p := newProvider(t, cfg)
			began := time.Now()
			_, err := login(t, p, "alice", "alicepw")
			if test.want == "" {
				if err != nil {
					t.Errorf("Authenticate = %v, want an identity", err)
				}
				return
			}
			cannotTell(t, "Authenticate", began, err)
			if err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("Authenticate = %v, want an error with %q", err, test.want)
			}
		})
	}
	if n := other.Binds(t, other.Base) + s.Binds(t, s.People); n != 2 { // service account and alice, where it is configured
		t.Errorf("%d binds came to servers that were not to be trusted, want none beside the 2 of the good one", n)
	}
}

// TestStartTLSRefused checks that nothing is sent in clear where the server has
// no StartTLS, or hangs in it.
func TestStartTLSRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer ldaptest.Answer
	}{
		{"refused", ldaptest.Answer{Code: goldap.LDAPResultProtocolError, Message: "unsupported extended operation"}},
		{"no answer", ldaptest.Answer{Silence: true}},
		{"closed", ldaptest.Answer{Hangup: true}},
		{"said yes, and no TLS comes", ldaptest.Answer{}},
		{"said yes, and clear answers come with it", ldaptest.Answer{Raw: []byte("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := ldaptest.NewFake(t, func(ldaptest.Request) ldaptest.Answer { return test.answer })
			cfg := quick(fakeConfig(f))
			cfg.StartTLS = true
			p := newProvider(t, cfg)
			began := time.Now()
			_, err := login(t, p, "alice", "alicepw")
			cannotTell(t, "Authenticate", began, err)
			for _, r := range f.Requests() {
				if r.Operation != goldap.ApplicationExtendedRequest {
					t.Errorf("request %v came in clear", r)
				}
			}
		})
	}
}

func fakeConfig(f *ldaptest.Fake) ldap.Config {
	return ldap.Config{
		Preset: "openldap", URLs: []string{f.URL}, Insecure: true,
		BindDN: "cn=svc,dc=x", BindPassword: secret.New("svcpw"),
		Users: ldap.Users{Base: "ou=people,dc=x"},
	}
}

var fakeAlice = ldaptest.FakeEntry{DN: "uid=alice,ou=people,dc=x", Attributes: ldaptest.Attributes{"uid": {"alice"}, "entryUUID": {"1-2-3"}}}

// fakeDirectory answers like a directory with alice in it, but for what
// special answers.
func fakeDirectory(special func(ldaptest.Request) (ldaptest.Answer, bool)) func(ldaptest.Request) ldaptest.Answer {
	return func(r ldaptest.Request) ldaptest.Answer {
		if a, ok := special(r); ok {
			return a
		}
		if r.Operation == goldap.ApplicationSearchRequest {
			return ldaptest.Answer{Entries: []ldaptest.FakeEntry{fakeAlice}}
		}
		return ldaptest.Answer{}
	}
}

func userBinds(f *ldaptest.Fake) int {
	n := 0
	for _, r := range f.Requests() {
		if r.Operation == goldap.ApplicationBindRequest && r.DN != "cn=svc,dc=x" {
			n++
		}
	}
	return n
}

// TestBindAnswers plays every kind of answer to a person's bind (B11). A server that
// the service account can still bind to and read from means the account where it is
// unwilling.
func TestBindAnswers(t *testing.T) {
	const cannotTellYet = providers.Reason("")
	for _, test := range []struct {
		name   string
		answer ldaptest.Answer
		want   providers.Reason // "" for "cannot tell"
	}{
		{"wrong password", ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials}, providers.WrongPassword},
		{"no such entry", ldaptest.Answer{Code: goldap.LDAPResultNoSuchObject}, providers.Unknown},
		{"no password on the entry", ldaptest.Answer{Code: goldap.LDAPResultInappropriateAuthentication}, providers.WrongPassword},
		{"too many wrong passwords", ldaptest.Answer{Code: goldap.LDAPResultConstraintViolation}, providers.Locked},
		{"unwilling (nextcloud#25860)", ldaptest.Answer{Code: goldap.LDAPResultUnwillingToPerform}, providers.Locked},
		{"locked by an intruder, in eDirectory", ldaptest.Answer{Code: goldap.LDAPResultUnwillingToPerform, Message: "NDS error: login lockout (-197)"}, providers.Locked},
		{"disabled, in eDirectory", ldaptest.Answer{Code: goldap.LDAPResultUnwillingToPerform, Message: "NDS error: log account expired (-220)"}, providers.Disabled},
		{"password expired, in Active Directory", ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials, Message: "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 532, v4563"}, providers.Expired},
		{"no domain controller behind a read-only one", ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials, Message: "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 51f, v4563"}, cannotTellYet},
		{"busy", ldaptest.Answer{Code: goldap.LDAPResultBusy}, cannotTellYet},
		{"unavailable", ldaptest.Answer{Code: goldap.LDAPResultUnavailable}, cannotTellYet},
		{"other", ldaptest.Answer{Code: goldap.LDAPResultOther}, cannotTellYet},
		{"operations error", ldaptest.Answer{Code: goldap.LDAPResultOperationsError}, cannotTellYet},
		{"time limit", ldaptest.Answer{Code: goldap.LDAPResultTimeLimitExceeded}, cannotTellYet},
		{"strong authentication required", ldaptest.Answer{Code: goldap.LDAPResultStrongAuthRequired}, cannotTellYet},
		{"confidentiality required", ldaptest.Answer{Code: goldap.LDAPResultConfidentialityRequired}, cannotTellYet},
		{"a code that nobody knows", ldaptest.Answer{Code: 118}, cannotTellYet},
		{"referral", ldaptest.Answer{Code: goldap.LDAPResultReferral, Referral: []string{"ldap://evil.example/"}}, cannotTellYet},
		{"dies in the middle", ldaptest.Answer{Hangup: true}, cannotTellYet},
		{"dies in the middle of its answer", ldaptest.Answer{Raw: []byte{0x30, 0x0c, 0x02}, Hangup: true}, cannotTellYet},
		{"no answer", ldaptest.Answer{Silence: true}, cannotTellYet},
		{"garbage", ldaptest.Answer{Raw: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, cannotTellYet},
		{"an endless length", ldaptest.Answer{Raw: []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02, 0x01, 0x03}}, cannotTellYet},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
				return test.answer, r.Operation == goldap.ApplicationBindRequest && r.DN == fakeAlice.DN && r.Password == "alicepw"
			}))
			p := newProvider(t, quick(fakeConfig(f)))
			began := time.Now()
			id, err := login(t, p, "alice", "alicepw")
			if test.want != "" && (!errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != test.want) {
				t.Errorf("Authenticate = %v, %v, want ErrRejected: %s", id, err, test.want)
			}
			if test.want == "" {
				cannotTell(t, "Authenticate", began, err)
				if !providers.MayHaveArrived(err) {
					t.Errorf("Authenticate = %v, want that the password may have arrived: the server is healthy", err)
				}
			}
			if n := userBinds(f); n != 1 {
				t.Errorf("the password was sent %d times, want once", n)
			}
			mustLogin(t, p, "alice", "another") // whatever came, the server is healthy
		})
	}
}

// TestUnwillingOfDisabled checks 389 Directory Server's answer to an account
// that is disabled, which the entry says too.
func TestUnwillingOfDisabled(t *testing.T) {
	locked := fakeAlice
	locked.Attributes = ldaptest.Attributes{"uid": {"alice"}, "nsUniqueId": {"1-2-3"}, "nsAccountLock": {"true"}}
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		switch {
		case r.Operation == goldap.ApplicationSearchRequest:
			return ldaptest.Answer{Entries: []ldaptest.FakeEntry{locked}}
		case r.DN == locked.DN:
			return ldaptest.Answer{Code: goldap.LDAPResultUnwillingToPerform, Message: "Account inactivated. Contact system administrator."}
		}
		return ldaptest.Answer{}
	})
	cfg := fakeConfig(f)
	cfg.Preset = "389ds"
	if _, err := login(t, newProvider(t, cfg), "alice", "alicepw"); !errors.Is(err, providers.ErrRejected) || !strings.Contains(err.Error(), "nsAccountLock") {
		t.Errorf("Authenticate = %v, want ErrRejected, nsAccountLock", err)
	}
}

// TestSearchAnswers plays answers to the search for the account.
func TestSearchAnswers(t *testing.T) {
	several := []ldaptest.FakeEntry{fakeAlice, fakeAlice}
	elsewhere := ldaptest.FakeEntry{DN: "uid=alice,ou=otherpeople,dc=x", Attributes: fakeAlice.Attributes}
	lacking := ldaptest.FakeEntry{DN: fakeAlice.DN, Attributes: ldaptest.Attributes{"uid": {"alice"}}}
	for _, test := range []struct {
		name   string
		answer ldaptest.Answer
		want   error // nil for "cannot tell"
	}{
		{"nobody", ldaptest.Answer{}, providers.ErrNotMine},
		{"several", ldaptest.Answer{Entries: several}, providers.ErrRejected},
		{"more than asked for", ldaptest.Answer{Entries: several, Code: goldap.LDAPResultSizeLimitExceeded}, providers.ErrRejected},
		{"nobody, by a limit of the server", ldaptest.Answer{Code: goldap.LDAPResultSizeLimitExceeded}, nil},
		{"one, by a limit of the server", ldaptest.Answer{Entries: several[:1], Code: goldap.LDAPResultSizeLimitExceeded}, nil},
		{"entry that is not under the base", ldaptest.Answer{Entries: []ldaptest.FakeEntry{elsewhere}}, providers.ErrNotMine},
		{"entry without subject", ldaptest.Answer{Entries: []ldaptest.FakeEntry{lacking}}, providers.ErrRejected},
		{"reference alone", ldaptest.Answer{References: []string{"ldap://evil.example/"}}, providers.ErrNotMine},
		{"referral", ldaptest.Answer{Code: goldap.LDAPResultReferral, Referral: []string{"ldap://evil.example/"}}, nil},
		{"base that does not exist", ldaptest.Answer{Code: goldap.LDAPResultNoSuchObject}, nil},
		{"no right", ldaptest.Answer{Code: goldap.LDAPResultInsufficientAccessRights}, nil},
		{"time limit of the server", ldaptest.Answer{Code: goldap.LDAPResultTimeLimitExceeded}, nil},
		{"unavailable", ldaptest.Answer{Code: goldap.LDAPResultUnavailable}, nil},
		{"no answer", ldaptest.Answer{Silence: true}, nil},
		{"closed", ldaptest.Answer{Hangup: true}, nil},
		{"garbage", ldaptest.Answer{Raw: []byte("\x30\x05garbage")}, nil},
		{"entry that is none", ldaptest.Answer{Raw: []byte("\x30\x07\x02\x01\x02\x64\x02\x04\x00")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
				return test.answer, r.Operation == goldap.ApplicationSearchRequest
			}))
			p := newProvider(t, quick(fakeConfig(f)))
			began := time.Now()
			id, err := login(t, p, "alice", "alicepw")
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Authenticate = %v, %v, want %v", id, err, test.want)
			}
			if test.want == nil {
				cannotTell(t, "Authenticate", began, err)
			}
			for _, r := range f.Requests() {
				if r.Password == "alicepw" {
					t.Errorf("the password was sent to %s", r.DN)
				}
			}
		})
	}
}

// TestEmptyPassword checks that nothing at all is sent for a password that a
// directory would take for an anonymous bind: by the chain, which refuses it
// before the account is looked up, nor by the provider alone at the proof.
func TestEmptyPassword(t *testing.T) {
	f := ldaptest.NewFake(t, func(ldaptest.Request) ldaptest.Answer { return ldaptest.Answer{} })
	for _, template := range []string{"", "uid={user},ou=people,dc=x"} {
		cfg := fakeConfig(f)
		cfg.Users.DNTemplate = template
		p := newProvider(t, cfg)
		chain, err := providers.NewChain([]providers.Member{{Provider: p, Config: providers.Config{Name: "corp", Kind: "ldap"}.WithDefaults()}}, providertest.NewThrottle(), providers.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, password := range emptyPasswords {
			if _, err := chain.Authenticate(t.Context(), providers.Credential{Login: "alice", Secret: secret.New(password)}); !errors.Is(err, providers.ErrRejected) {
				t.Errorf("Authenticate with %q = %v, want ErrRejected", password, err)
			}
		}
	}
	if _, ever := f.Connections(); ever != 0 || len(f.Requests()) != 0 {
		t.Errorf("%d connections and %d requests came, want none", ever, len(f.Requests()))
	}
}

var emptyPasswords = []string{"", " ", "\t \n", "\x00", "\x00abc", "abc\x00"}

// TestEmptyPasswordOfAnAccount checks that Prove itself refuses an empty password
// without a bind, though the chain refuses it before.
func TestEmptyPasswordOfAnAccount(t *testing.T) {
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		if r.Operation == goldap.ApplicationSearchRequest {
			return ldaptest.Answer{Entries: []ldaptest.FakeEntry{fakeAlice}}
		}
		return ldaptest.Answer{}
	})
	for _, template := range []string{"", "uid={user},ou=people,dc=x"} {
		cfg := fakeConfig(f)
		cfg.Users.DNTemplate = template
		account, err := newProvider(t, cfg).Lookup(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		before := len(f.Requests())
		for _, password := range emptyPasswords {
			if _, err := account.Prove(t.Context(), providers.Proof{Secret: secret.New(password)}); !errors.Is(err, providers.ErrRejected) {
				t.Errorf("Prove(%q) = %v, want ErrRejected", password, err)
			}
		}
		if n := len(f.Requests()) - before; n != 0 {
			t.Errorf("%d requests came, want none", n)
		}
	}
}

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
		cannotTell(t, "Authenticate", began, err)
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

// TestWaiters checks that those who wait for a connection are bounded in number,
// and go when they are told to.
func TestWaiters(t *testing.T) {
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

// TestCanceled checks that whoever goes away takes the connection along, and
// that the server is not taken for down because of it.
func TestCanceled(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, slapdConfig(s))
	mustLogin(t, p, "alice", "alicepw")
	s.Hang()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	began := time.Now()
	_, err := authenticate(t, ctx, p, "alice", "alicepw")
	cannotTell(t, "Authenticate of one who went away", began, err)
	s.Resume()
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
	cfg := quick(slapdConfig(s))
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

// TestRanges checks attributes that come in parts.
func TestRanges(t *testing.T) {
	member := func(n int) string { return fmt.Sprintf("cn=group%04d,ou=groups,dc=x", n) }
	all := make([]string, 3200)
	for i := range all {
		all[i] = member(i)
	}
	for _, test := range []struct {
		name string
		next func(asked string) (string, []string)
		want int // groups; -1 for an error
	}{
		{"three parts", func(asked string) (string, []string) {
			if asked == "memberof;range=1500-*" {
				return "memberOf;range=1500-2999", all[1500:3000]
			}
			return "memberOf;range=3000-*", all[3000:]
		}, 3200},
		{"the same part for ever", func(string) (string, []string) { return "memberOf;range=0-1499", all[:1500] }, -1},
		{"nothing for ever", func(string) (string, []string) { return "memberOf;range=1500-2999", nil }, 1500},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
				if r.Operation != goldap.ApplicationSearchRequest || r.DN == "ou=groups,dc=x" {
					return ldaptest.Answer{} // no other group has one of these names
				}
				attributes := ldaptest.Attributes{}
				if r.DN == fakeAlice.DN {
					name, values := test.next(r.Attributes[0])
					attributes[name] = values
				} else {
					attributes = ldaptest.Attributes{"uid": {"alice"}, "entryUUID": {"1-2-3"}, "memberOf;range=0-1499": all[:1500]}
				}
				return ldaptest.Answer{Entries: []ldaptest.FakeEntry{{DN: fakeAlice.DN, Attributes: attributes}}}
			})
			cfg := fakeConfig(f)
			cfg.Groups = ldap.Groups{Base: "ou=groups,dc=x", Attribute: "memberOf"}
			id, err := login(t, newProvider(t, cfg), "alice", "alicepw")
			if test.want < 0 {
				cannotTell(t, "Authenticate", time.Now(), err)
				return
			}
			if err != nil || len(id.Groups) != test.want || !slices.Contains(id.Groups, "group0000") {
				t.Errorf("Authenticate = %v, want %d groups", err, test.want)
			}
		})
	}
}
