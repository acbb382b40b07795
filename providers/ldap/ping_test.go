package ldap_test

import (
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// TestPing: Ping reports each server, the people and groups, and what is missing.
func TestPing(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for _, test := range []struct {
		name   string
		change func(c *ldap.Config)
		want   []string // each in some line
	}{
		{"LDAPS", func(*ldap.Config) {}, []string{"OpenLDAP, TLS 1.3, certificate good until 20", "bound as uid=svc", `14 people under "ou=people`, `entries under "ou=groups`}},
		{"without TLS", func(c *ldap.Config) { c.URLs, c.Insecure = []string{s.URL}, true }, []string{"OpenLDAP, without TLS"}},
		{"one of two servers is down", func(c *ldap.Config) { c.URLs = []string{"ldaps://127.0.0.1:" + ldaptest.FreePort(t), s.LDAPS} }, []string{"connect to ldaps://127.0.0.1", "OpenLDAP, TLS"}},
		{"missing attribute", func(c *ldap.Config) { c.Users.Name = "mail" }, []string{"do not show one mail, and cannot log in"}},
		{"missing base", func(c *ldap.Config) { c.Users.Base = new("ou=nowhere," + s.Base) }, []string{"fault (users.base):"}},
		{"no stamp attribute", func(c *ldap.Config) { c.Users.Stamp = []string{"pwdLastSet"} }, []string{"a changed password does not end their sessions"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := slapdConfig(s)
			test.change(&cfg)
			found, err := newProvider(t, cfg).Ping(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if all := found.String(); !strings.Contains(all, want) {
					t.Errorf("Ping() =\n%s\nwant %q", all, want)
				}
			}
		})
	}
}

// TestThresholdOfOpenLDAP: Ping reads the password policies, and reports settings that
// would lock accounts.
func TestThresholdOfOpenLDAP(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 5})
	policy := "cn=default,ou=policies," + s.Base
	for _, test := range []struct {
		set   map[string]string
		cfg   providers.Config
		lines string
		fault string
	}{
		{nil, providers.Config{WrongPasswords: 4, WrongPasswordWindow: time.Minute}, policy + " locks an account at wrong password 5 within 1m\nfor that write:\n  wrong_passwords = 4\n  wrong_password_window = \"1m\"", ""},
		{nil, providers.Config{WrongPasswords: 5, WrongPasswordWindow: time.Minute}, "", "wrong_passwords is 5"},
		{nil, providers.Config{WrongPasswords: 4, WrongPasswordWindow: time.Second}, "", "wrong_password_window is 1s"},
		{map[string]string{"pwdFailureCountInterval": "0"}, providers.Config{WrongPasswords: 4, WrongPasswordWindow: time.Hour}, "", policy + ": pwdFailureCountInterval is 0"},
		{map[string]string{"pwdLockout": "FALSE"}, providers.Config{WrongPasswords: 8, WrongPasswordWindow: time.Second}, "no password policy that is shown locks accounts", ""},
	} {
		for name, value := range test.set {
			s.Set(t, policy, name, value)
		}
		cfg := slapdConfig(s)
		cfg.Config = test.cfg
		found, err := newProvider(t, cfg).Ping(t.Context())
		if all := found.String(); err != nil || !strings.Contains(all, test.lines) {
			t.Errorf("with %v Ping() = %s, %v\nwant %s", test.set, all, err, test.lines)
		}
		switch faults := found.Faults().String(); {
		case test.fault == "" && faults != "":
			t.Errorf("with %v Ping() = %s, want no fault", test.set, faults)
		case !strings.Contains(faults, test.fault):
			t.Errorf("with %v Ping() = %s, want the fault %q", test.set, faults, test.fault)
		}
	}
}

// TestPingTimeLimit: the server ends the searches of Ping before this side does, which
// would take a search through a large directory for a server that is down.
func TestPingTimeLimit(t *testing.T) {
	f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
		return ldaptest.Answer{Code: goldap.LDAPResultTimeLimitExceeded}, r.Filter == "(uid=*)"
	}))
	cfg := fakeConfig(f)
	cfg.Timeout = 10 * time.Second
	p := newProvider(t, cfg)
	if found, err := p.Ping(t.Context()); err != nil || len(found.Faults()) > 0 {
		t.Errorf("Ping() = %v, %v, want no fault", found, err)
	}
	mustLogin(t, p, "alice", "alicepw")
	want := map[string]int64{"(uid=*)": 5, "(uid=alice)": 10}
	for _, r := range f.Requests() {
		if limit, ok := want[r.Filter]; ok && r.TimeLimit != limit {
			t.Errorf("the search %s has a time limit of %d s, want %d", r.Filter, r.TimeLimit, limit)
		}
	}
}
