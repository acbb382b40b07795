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

// answerLimit is when an answer must be there that waits for no more than the limits
// of quick: long after these, for a machine with other things to do, and before
// the end of what waits for ever, which login cuts off.
const answerLimit = 8 * time.Second

// wantUnavailable checks that an error is not one of the outcomes that say something
// of the account, and that it came in time.
func wantUnavailable(t *testing.T, what string, began time.Time, err error) {
	t.Helper()
	if err == nil || errors.Is(err, providers.ErrNotMine) || errors.Is(err, providers.ErrRejected) || errors.Is(err, providers.ErrGone) {
		t.Errorf("%s = %v, want an error that says nothing of the account", what, err)
	}
	if took := time.Since(began); took > answerLimit {
		t.Errorf("%s took %s, want at most %s", what, took, answerLimit)
	}
}

// shortTimeouts makes the time limits those of a test.
func shortTimeouts(cfg ldap.Config) ldap.Config {
	cfg.Timeout, cfg.DialTimeout = 2*time.Second, 1500*time.Millisecond
	return cfg
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

func personBinds(f *ldaptest.Fake) int {
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
			p := newProvider(t, shortTimeouts(fakeConfig(f)))
			began := time.Now()
			id, err := login(t, p, "alice", "alicepw")
			if test.want != "" && (!errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != test.want) {
				t.Errorf("Authenticate = %v, %v, want ErrRejected: %s", id, err, test.want)
			}
			if test.want == "" {
				wantUnavailable(t, "Authenticate", began, err)
				if !providers.MayHaveArrived(err) {
					t.Errorf("Authenticate = %v, want that the password may have arrived: the server is healthy", err)
				}
			}
			if n := personBinds(f); n != 1 {
				t.Errorf("the password was sent %d times, want once", n)
			}
			mustLogin(t, p, "alice", "another") // whatever came, the server is healthy
		})
	}
}

// TestUnwillingToBindDisabledAccount checks 389 Directory Server's answer to an account
// that is disabled, which the entry says too.
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

// TestRangeRetrieval checks attributes that come in parts.
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
				wantUnavailable(t, "Authenticate", time.Now(), err)
				return
			}
			if err != nil || len(id.Groups) != test.want || !slices.Contains(id.Groups, "group0000") {
				t.Errorf("Authenticate = %v, want %d groups", err, test.want)
			}
		})
	}
}
