package ldap_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// answerLimit is the time within which a login with shortTimeouts must fail. It leaves
// time for a busy machine, and is shorter than the timeout of login.
const answerLimit = 8 * time.Second

// wantUnavailable checks that an error says nothing of the account, and that it came
// within answerLimit.
func wantUnavailable(t *testing.T, what string, began time.Time, err error) {
	t.Helper()
	if err == nil || errors.Is(err, providers.ErrNotMine) || errors.Is(err, providers.ErrRejected) || errors.Is(err, providers.ErrGone) {
		t.Errorf("%s = %v, want an error that says nothing of the account", what, err)
	}
	if took := time.Since(began); took > answerLimit {
		t.Errorf("%s took %s, want at most %s", what, took, answerLimit)
	}
}

// shortTimeouts returns the configuration with short timeouts.
func shortTimeouts(cfg ldap.Config) ldap.Config {
	cfg.Timeout, cfg.DialTimeout = 2*time.Second, 1500*time.Millisecond
	return cfg
}

func fakeConfig(f *ldaptest.Fake) ldap.Config {
	return ldap.Config{
		Preset: "openldap", URLs: []string{f.URL}, Insecure: true,
		BindDN: "cn=svc,dc=x", BindPassword: secret.New("svcpw"),
		Users: ldap.Users{Base: new("ou=people,dc=x")},
	}
}

var fakeAlice = ldaptest.FakeEntry{DN: "uid=alice,ou=people,dc=x", Attributes: ldaptest.Attributes{"uid": {"alice"}, "entryUUID": {"1-2-3"}}}

// fakeDirectory answers as a directory with alice in it, except for requests that special
// answers.
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

func personBinds(f *ldaptest.Fake) int {
	n := 0
	for _, r := range f.Requests() {
		if r.Operation == goldap.ApplicationBindRequest && r.DN != "cn=svc,dc=x" {
			n++
		}
	}
	return n
}

// TestBindAnswers: an answer to a person's bind that concerns the account is a rejection
// with its reason, and every other is unavailable. An unwilling server concerns the
// account if the probe finds the server healthy.
func TestBindAnswers(t *testing.T) {
	const unavailable = providers.Reason("")
	for _, test := range []struct {
		name   string
		answer ldaptest.Answer
		want   providers.Reason // "" for unavailable
	}{
		{"wrong password", ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials}, providers.WrongPassword},
		{"no such entry", ldaptest.Answer{Code: goldap.LDAPResultNoSuchObject}, providers.Unknown},
		{"no password on the entry", ldaptest.Answer{Code: goldap.LDAPResultInappropriateAuthentication}, providers.WrongPassword},
		{"too many wrong passwords", ldaptest.Answer{Code: goldap.LDAPResultConstraintViolation}, providers.Locked},
		{"unwilling (nextcloud#25860)", ldaptest.Answer{Code: goldap.LDAPResultUnwillingToPerform}, providers.Locked},
		{"locked for wrong passwords, in eDirectory", ldaptest.Answer{Code: goldap.LDAPResultUnwillingToPerform, Message: "NDS error: login lockout (-197)"}, providers.Locked},
		{"disabled, in eDirectory", ldaptest.Answer{Code: goldap.LDAPResultUnwillingToPerform, Message: "NDS error: log account expired (-220)"}, providers.Disabled},
		{"password expired, in Active Directory", ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials, Message: "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 532, v4563"}, providers.Expired},
		{"read-only domain controller without another one", ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials, Message: "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 51f, v4563"}, unavailable},
		{"busy", ldaptest.Answer{Code: goldap.LDAPResultBusy}, unavailable},
		{"unavailable", ldaptest.Answer{Code: goldap.LDAPResultUnavailable}, unavailable},
		{"other", ldaptest.Answer{Code: goldap.LDAPResultOther}, unavailable},
		{"operations error", ldaptest.Answer{Code: goldap.LDAPResultOperationsError}, unavailable},
		{"time limit", ldaptest.Answer{Code: goldap.LDAPResultTimeLimitExceeded}, unavailable},
		{"strong authentication required", ldaptest.Answer{Code: goldap.LDAPResultStrongAuthRequired}, unavailable},
		{"confidentiality required", ldaptest.Answer{Code: goldap.LDAPResultConfidentialityRequired}, unavailable},
		{"unknown code", ldaptest.Answer{Code: 118}, unavailable},
		{"referral", ldaptest.Answer{Code: goldap.LDAPResultReferral, Referral: []string{"ldap://evil.example/"}}, unavailable},
		{"connection closed without an answer", ldaptest.Answer{Hangup: true}, unavailable},
		{"connection closed within the answer", ldaptest.Answer{Raw: []byte{0x30, 0x0c, 0x02}, Hangup: true}, unavailable},
		{"no answer", ldaptest.Answer{Silence: true}, unavailable},
		{"garbage", ldaptest.Answer{Raw: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, unavailable},
		{"a length beyond the limit", ldaptest.Answer{Raw: []byte{0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02, 0x01, 0x03}}, unavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
				return test.answer, r.Operation == goldap.ApplicationBindRequest && r.DN == fakeAlice.DN && r.Password == "alicepw"
			}))
			p := newProvider(t, shortTimeouts(fakeConfig(f)))
			began := time.Now()
			id, err := login(t, p, "alice", "alicepw")
			if test.want != "" && (!errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != test.want) {
				t.Errorf("Authenticate = %v, %v, want ErrRejected: %s", id, err, test.want)
			}
			if test.want == "" {
				wantUnavailable(t, "Authenticate", began, err)
				if !providers.MayBeCounted(err) {
					t.Errorf("Authenticate = %v, want an error of a password that may have arrived: the server is healthy", err)
				}
			}
			if n := personBinds(f); n != 1 {
				t.Errorf("the password was sent %d times, want once", n)
			}
			mustLogin(t, p, "alice", "another") // the server still counts as up
		})
	}
}

// TestUnwillingToBindDisabledAccount: 389 Directory Server is unwilling to bind a disabled
// account, and the reason comes from the entry.
func TestUnwillingToBindDisabledAccount(t *testing.T) {
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

// TestSearchAnswers: each of these answers to the search for an account has its outcome,
// and none leads to a bind.
func TestSearchAnswers(t *testing.T) {
	several := []ldaptest.FakeEntry{fakeAlice, fakeAlice}
	elsewhere := ldaptest.FakeEntry{DN: "uid=alice,ou=otherpeople,dc=x", Attributes: fakeAlice.Attributes}
	lacking := ldaptest.FakeEntry{DN: fakeAlice.DN, Attributes: ldaptest.Attributes{"uid": {"alice"}}}
	for _, test := range []struct {
		name   string
		answer ldaptest.Answer
		want   error // nil for unavailable
	}{
		{"no entry", ldaptest.Answer{}, providers.ErrNotMine},
		{"several entries", ldaptest.Answer{Entries: several}, providers.ErrRejected},
		{"several entries, and the size limit", ldaptest.Answer{Entries: several, Code: goldap.LDAPResultSizeLimitExceeded}, providers.ErrRejected},
		{"no entry, and the size limit", ldaptest.Answer{Code: goldap.LDAPResultSizeLimitExceeded}, nil},
		{"one entry, and the size limit", ldaptest.Answer{Entries: several[:1], Code: goldap.LDAPResultSizeLimitExceeded}, nil},
		{"entry that is not under the base", ldaptest.Answer{Entries: []ldaptest.FakeEntry{elsewhere}}, providers.ErrNotMine},
		{"entry without subject", ldaptest.Answer{Entries: []ldaptest.FakeEntry{lacking}}, providers.ErrRejected},
		{"only a reference", ldaptest.Answer{References: []string{"ldap://evil.example/"}}, providers.ErrNotMine},
		{"referral", ldaptest.Answer{Code: goldap.LDAPResultReferral, Referral: []string{"ldap://evil.example/"}}, nil},
		{"base that does not exist", ldaptest.Answer{Code: goldap.LDAPResultNoSuchObject}, nil},
		{"insufficient access rights", ldaptest.Answer{Code: goldap.LDAPResultInsufficientAccessRights}, nil},
		{"time limit of the server", ldaptest.Answer{Code: goldap.LDAPResultTimeLimitExceeded}, nil},
		{"unavailable", ldaptest.Answer{Code: goldap.LDAPResultUnavailable}, nil},
		{"no answer", ldaptest.Answer{Silence: true}, nil},
		{"closed", ldaptest.Answer{Hangup: true}, nil},
		{"garbage", ldaptest.Answer{Raw: []byte("\x30\x05garbage")}, nil},
		{"malformed entry", ldaptest.Answer{Raw: []byte("\x30\x07\x02\x01\x02\x64\x02\x04\x00")}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
				return test.answer, r.Operation == goldap.ApplicationSearchRequest
			}))
			p := newProvider(t, shortTimeouts(fakeConfig(f)))
			began := time.Now()
			id, err := login(t, p, "alice", "alicepw")
			if test.want != nil && !errors.Is(err, test.want) {
				t.Errorf("Authenticate = %v, %v, want %v", id, err, test.want)
			}
			if test.want == nil {
				wantUnavailable(t, "Authenticate", began, err)
			}
			for _, r := range f.Requests() {
				if r.Password == "alicepw" {
					t.Errorf("the password was sent to %s", r.DN)
				}
			}
		})
	}
}

// TestRangeRetrieval: an attribute that comes in ranges has all its values; a range that
// repeats is an error.
func TestRangeRetrieval(t *testing.T) {
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
		{"three ranges", func(asked string) (string, []string) {
			if asked == "memberof;range=1500-*" {
				return "memberOf;range=1500-2999", all[1500:3000]
			}
			return "memberOf;range=3000-*", all[3000:]
		}, 3200},
		{"a range that repeats", func(string) (string, []string) { return "memberOf;range=0-1499", all[:1500] }, -1},
		{"an empty range", func(string) (string, []string) { return "memberOf;range=1500-2999", nil }, 1500},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
				if r.Operation != goldap.ApplicationSearchRequest || r.DN == "ou=groups,dc=x" {
					return ldaptest.Answer{} // no namesakes
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
			cfg.Groups = ldap.Groups{Base: new("ou=groups,dc=x"), Attribute: "memberOf"}
			id, err := login(t, newProvider(t, cfg), "alice", "alicepw")
			if test.want < 0 {
				wantUnavailable(t, "Authenticate", time.Now(), err)
				return
			}
			if err != nil || len(id.Groups) != test.want || !slices.Contains(id.Groups, "group0000") {
				t.Errorf("Authenticate = %v, want %d groups", err, test.want)
			}
		})
	}
}
