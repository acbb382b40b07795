package ldap_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
	"shorepass/providers/providertest"
)

// TestContract runs the contract of all providers on OpenLDAP.
func TestContract(t *testing.T) {
	for _, way := range []struct {
		name   string
		change func(s *ldaptest.Slapd, cfg *ldap.Config)
	}{
		{"LDAPS", func(*ldaptest.Slapd, *ldap.Config) {}},
		{"StartTLS", func(s *ldaptest.Slapd, cfg *ldap.Config) { cfg.URLs, cfg.StartTLS = []string{s.URL}, true }},
		{"plain", func(s *ldaptest.Slapd, cfg *ldap.Config) { cfg.URLs, cfg.Insecure = []string{s.URL}, true }},
		{"template", func(s *ldaptest.Slapd, cfg *ldap.Config) { cfg.Users.DNTemplate = "uid={user}," + s.People }},
	} {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			providertest.Run(t, func(t *testing.T) providertest.Harness {
				s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
				cfg := slapdConfig(s)
				way.change(s, &cfg)
				h := slapdHarness(t, s)
				h.Provider = newProvider(t, cfg)
				if cfg.Users.DNTemplate != "" {
					h.Unknown, h.SubjectAtLookup = providers.ErrRejected, false
				}
				return h
			})
		})
	}
}

// slapdHarness returns the accounts of a slapd of ldaptest, and how to change them.
func slapdHarness(t *testing.T, s *ldaptest.Slapd) providertest.Harness {
	h := providertest.Harness{
		Accounts: []providertest.Account{
			{Logins: []string{"alice", "ALICE", " Alice "}, Password: "alicepw", User: "alice", Groups: []string{"devs"}},
			{Logins: []string{"bob"}, Password: "bobpw", User: "bob", Groups: []string{"all"}},
		},
		Disabled:        &providertest.Account{Logins: []string{"carol"}, Password: "carolpw"},
		Unknown:         providers.ErrNotMine,
		SubjectAtLookup: true,
		PasswordsSent:   func() int { return s.Binds(t, s.People) },
		Stop:            func(*testing.T) { s.Kill() },
		Disable: func(t *testing.T, a providertest.Account) {
			s.Set(t, s.Person(a.User), "pwdAccountLockedTime", "000001010000Z")
		},
		Delete:         func(t *testing.T, a providertest.Account) { s.Delete(t, s.Person(a.User)) },
		ChangePassword: func(t *testing.T, a providertest.Account) { s.SetPassword(t, s.Person(a.User), "another") },
		ChangeGroups: func(t *testing.T, a providertest.Account) []string {
			s.Add(t, s.Group("new"), ldaptest.Attributes{"objectClass": {"groupOfNames"}, "member": {s.Person(a.User)}})
			s.Delete(t, s.Group("devs"))
			return []string{"new"}
		},
	}
	for _, name := range ldaptest.OddNames {
		h.Accounts = append(h.Accounts, providertest.Account{
			Logins: []string{name}, Password: name + "pw", User: lower(name), Groups: []string{"Odd, Names"},
		})
	}
	return h
}

// TestLogins: each configuration finds or refuses a login name, with the reason.
func TestLogins(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	cfg := slapdConfig(s)
	cfg.Claims = []string{"mail", "title", "telephoneNumber"}
	for _, test := range []struct {
		name     string
		change   func(c *ldap.Config)
		login    string
		password string
		want     error  // nil for success
		text     string // in the error, or the user name
	}{
		{"by mail", func(c *ldap.Config) { c.Users.Filter = "(|(uid={login})(mail={login}))" }, "Alice@example.org", "alicepw", nil, "alice"},
		{"own domain after @", func(c *ldap.Config) { c.Users.Domains = []string{"CORP", "corp.example"} }, "alice@CORP.example", "alicepw", nil, "alice"},
		{"own domain before a backslash", func(c *ldap.Config) { c.Users.Domains = []string{"CORP", "corp.example"} }, `corp\ALICE`, "alicepw", nil, "alice"},
		{"another domain", func(c *ldap.Config) { c.Users.Domains = []string{"CORP"} }, `other\alice`, "alicepw", providers.ErrNotMine, ""},
		{"no domain configured", func(*ldap.Config) {}, "alice@corp.example", "alicepw", providers.ErrNotMine, ""},
		{"a backslash that is part of the name", func(c *ldap.Config) { c.Users.Domains = []string{"CORP"} }, `dom\user`, `dom\userpw`, nil, `dom\user`},
		{"login name of two entries", func(*ldap.Config) {}, "twin", "twinpw", providers.ErrRejected, "several entries"},
		{"user name by mail", func(c *ldap.Config) { c.Users.Name = "mail" }, "alice", "alicepw", nil, "alice@example.org"},
		{"user name by a missing attribute", func(c *ldap.Config) { c.Users.Name = "mail" }, "nameless", "namelesspw", providers.ErrRejected, "mail"},
		{"user name by an attribute with two values", func(c *ldap.Config) { c.Users.Name = "title" }, "alice", "alicepw", providers.ErrRejected, "2 values of title"},
		{"subject by a missing attribute", func(c *ldap.Config) { c.Users.Subject = "employeeNumber" }, "alice", "alicepw", providers.ErrRejected, "employeeNumber"},
		{"excluded by the filter", func(c *ldap.Config) { c.Users.Filter = "(&(uid={user})(title=Captain))" }, "bob", "bobpw", providers.ErrNotMine, ""},
		{"included by the filter", func(c *ldap.Config) { c.Users.Filter = "(&(uid={user})(title=Captain))" }, "alice", "alicepw", nil, "alice"},
		{"scope one", func(c *ldap.Config) { c.Users.Base, c.Users.Scope = new(s.Base), "one" }, "alice", "alicepw", providers.ErrNotMine, ""},
		{"locked for good", func(*ldap.Config) {}, "carol", "carolpw", providers.ErrRejected, "uid=carol"},
		{"must change the password", func(*ldap.Config) {}, "dave", "davepw", providers.ErrRejected, "must change the password"},
		{"expired", func(*ldap.Config) {}, "erin", "erinpw", providers.ErrRejected, "expired (shadowExpire)"},
		{"without a preset", func(c *ldap.Config) {
			c.Preset = ""
			c.Users = ldap.Users{Base: new(s.People), Filter: "(uid={login})", Name: "uid", Subject: "entryUUID"}
			c.Groups.Filter = "(member={dn})"
		}, "alice", "alicepw", nil, "alice"},
		{"without a preset, expired", func(c *ldap.Config) {
			c.Preset = ""
			c.Users = ldap.Users{Base: new(s.People), Filter: "(uid={login})", Name: "uid", Subject: "entryUUID"}
			c.Groups.Filter = "(member={dn})"
		}, "erin", "erinpw", providers.ErrRejected, "expired (shadowExpire)"},
		{"template", func(c *ldap.Config) { c.Users.DNTemplate = "uid={user}," + s.People }, "josé", "josépw", nil, "josé"},
		{"template without a service account", func(c *ldap.Config) {
			c.Users.DNTemplate, c.BindDN, c.BindPassword = "uid={user},"+s.People, "", secret.Text{}
		}, `CN=Doe\, J`, `CN=Doe\, Jpw`, nil, `cn=doe\, j`},
		{"template without a service account, wrong password", func(c *ldap.Config) {
			c.Users.DNTemplate, c.BindDN, c.BindPassword = "uid={user},"+s.People, "", secret.Text{}
		}, "alice", "wrong", providers.ErrRejected, "Invalid Credentials"},
		{"template, locked for good", func(c *ldap.Config) { c.Users.DNTemplate = "uid={user}," + s.People }, "carol", "carolpw", providers.ErrRejected, ""},
		{"template with a name that leaves the base", func(c *ldap.Config) { c.Users.DNTemplate = "uid={user}," + s.People }, "svc,ou=services", "svcpw", providers.ErrRejected, ""},
		{"template and a filter", func(c *ldap.Config) {
			c.Users.DNTemplate, c.Users.Filter = "uid={user},"+s.People, "(title=Captain)"
		}, "bob", "bobpw", providers.ErrRejected, "users.filter leaves it out"},
		{"template outside the base", func(c *ldap.Config) {
			c.Users.DNTemplate, c.Users.Base = "uid={user},"+s.People, new("ou=elsewhere,"+s.Base)
		}, "bob", "bobpw", providers.ErrRejected, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := cfg
			test.change(&cfg)
			id, err := login(t, newProvider(t, cfg), test.login, test.password)
			switch {
			case test.want == nil && (err != nil || id.User != test.text):
				t.Errorf("Authenticate(%q) = %v, %v, want the user %q", test.login, id, err, test.text)
			case test.want != nil && (!errors.Is(err, test.want) || !strings.Contains(err.Error(), test.text)):
				t.Errorf("Authenticate(%q) = %v, want %v with %q", test.login, err, test.want, test.text)
			}
			if id != nil && id.User == "alice" {
				want := map[string]any{"mail": "alice@example.org", "title": []any{"Captain", "Pilot"}}
				if diff := cmp.Diff(want, id.Claims); diff != "" {
					t.Errorf("Claims: %s", diff)
				}
			}
		})
	}
}

// TestRevalidate: the entry's state decides whether Revalidate ends sessions, reports the
// account as gone, or returns the identity.
func TestRevalidate(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 2})
	cfg := slapdConfig(s)
	cfg.Users.Filter = "(&(uid={user})(!(title=Retired)))"
	p := newProvider(t, cfg)
	alice := mustLogin(t, p, "alice", "alicepw")
	revalidate := func(state string, wants ...error) *providers.Identity {
		t.Helper()
		id, err := p.Revalidate(t.Context(), alice)
		for _, want := range wants {
			if !errors.Is(err, want) {
				t.Errorf("Revalidate of an account that is %s = %v, want %v", state, err, want)
			}
		}
		if len(wants) == 0 && err != nil {
			t.Errorf("Revalidate of an account that is %s = %v, want an identity", state, err)
		}
		return id
	}
	dn := s.Person("alice")
	revalidate("unchanged")

	for range 3 {
		_, _ = login(t, p, "alice", "wrong")
	}
	if _, err := login(t, p, "alice", "alicepw"); !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != providers.Locked {
		t.Errorf("Authenticate of a locked account = %v, want ErrRejected, locked", err)
	}
	if id := revalidate("locked for a minute"); id != nil && id.Stamp != alice.Stamp {
		t.Errorf("Stamp of an account that is locked for a minute = %q, want %q", id.Stamp, alice.Stamp)
	}
	s.Set(t, dn, "pwdAccountLockedTime", "000001010000Z")
	for _, password := range []string{"alicepw", "wrong"} { // slapd answers Invalid Credentials (49) to both (F7)
		_, err := login(t, p, "alice", password)
		if !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != providers.Locked || !strings.Contains(err.Error(), "locked for good (pwdAccountLockedTime)") {
			t.Errorf("Authenticate of an account that is locked for good with the password %q = %v, want ErrRejected, locked for good", password, err)
		}
	}
	revalidate("locked for good", providers.ErrRejected, providers.ErrEnded)
	s.Set(t, dn, "pwdAccountLockedTime")
	revalidate("unlocked")

	s.Set(t, dn, "pwdEndTime", "20200101000000Z")
	revalidate("expired", providers.ErrRejected, providers.ErrEnded)
	s.Set(t, dn, "pwdEndTime", "29990101000000Z")
	revalidate("going to expire")

	s.Set(t, dn, "title", "Retired")
	revalidate("excluded by the filter", providers.ErrGone)
	s.Set(t, dn, "title", "Captain")
	s.Rename(t, dn, "uid=alicia", "ou=elsewhere,"+s.Base)
	revalidate("moved out of the base", providers.ErrGone)
	s.Rename(t, "uid=alicia,ou=elsewhere,"+s.Base, "uid=alicia", s.People)
	if id := revalidate("renamed"); id != nil && (id.User != "alicia" || id.Subject != alice.Subject || id.Method != alice.Method) {
		t.Errorf("Revalidate of a renamed account = %v, want alicia", id)
	}
	s.Set(t, s.Person("alicia"), "pwdReset", "TRUE")
	if id := revalidate("required to change the password"); id != nil && id.Stamp == alice.Stamp {
		t.Errorf("Stamp after pwdReset is %q as before", id.Stamp)
	}

	// A subject with special characters of filters must match no other account.
	for _, subject := range []string{"", "*", "x)(uid=*", `\2a`} {
		if _, err := p.Revalidate(t.Context(), &providers.Identity{Subject: subject}); !errors.Is(err, providers.ErrGone) && err == nil {
			t.Errorf("Revalidate of the subject %q = %v, want an error", subject, err)
		}
	}
}

// TestRevalidateWithoutServiceAccount: with a DN template and no service account no
// revalidation is possible, and logins leave no connection open.
func TestRevalidateWithoutServiceAccount(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	cfg := slapdConfig(s)
	cfg.Users.DNTemplate, cfg.BindDN, cfg.BindPassword = "uid={user},"+s.People, "", secret.Text{}
	p := newProvider(t, cfg)
	if _, err := p.Revalidate(t.Context(), mustLogin(t, p, "alice", "alicepw")); !errors.Is(err, providers.ErrCannotRevalidate) {
		t.Errorf("Revalidate = %v, want ErrCannotRevalidate", err)
	}
	if !p.CatchesAll() {
		t.Error("CatchesAll() = false with a DN template, want true")
	}
	mustLogin(t, p, "bob", "bobpw")
	if open, _ := s.Connections(t); open > 1 {
		t.Errorf("%d connections are open after logins, want at most the probe's", open)
	}
}
