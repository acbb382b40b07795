package ldap_test

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
	"shorepass/providers/providertest"
)

// TestContract plays the contract of all providers on OpenLDAP.
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

// slapdHarness says who has an account at a slapd that ldaptest started.
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

func TestGroups(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for _, test := range []struct {
		name   string
		groups ldap.Groups
		alice  []string
		erin   []string
		bob    []string
	}{
		{"member", ldap.Groups{}, []string{"devs"}, []string{"round-a"}, []string{"all"}},
		{"uniqueMember", ldap.Groups{Filter: "(uniqueMember={dn})"}, []string{"uniques"}, nil, nil},
		{"memberUid", ldap.Groups{Filter: "(memberUid={user})"}, []string{"ops"}, nil, []string{"ops"}},
		{"all three", ldap.Groups{Filter: "(|(member={dn})(uniqueMember={dn})(memberUid={uid}))"}, []string{"devs", "ops", "uniques"}, []string{"round-a"}, []string{"all", "ops"}},
		{"memberOf", ldap.Groups{Attribute: "memberOf"}, []string{"devs"}, []string{"round-a"}, []string{"all"}},
		{"memberOf, by another name", ldap.Groups{Attribute: "memberOf", Name: "description"}, []string{"Developers"}, nil, nil},
		{"walk", ldap.Groups{Nested: "walk"}, []string{"all", "company", "devs"}, []string{"round-a", "round-b"}, []string{"all", "company"}},
		{"walk, one up", ldap.Groups{Nested: "walk", Depth: 1}, []string{"all", "devs"}, []string{"round-a", "round-b"}, []string{"all", "company"}},
		{"walk from memberOf", ldap.Groups{Attribute: "memberOf", Nested: "walk"}, []string{"all", "company", "devs"}, []string{"round-a", "round-b"}, []string{"all", "company"}},
		{"walk from several kinds", ldap.Groups{Filter: "(|(member={dn})(memberUid={user}))", Nested: "walk"},
			[]string{"all", "company", "devs", "ops"}, []string{"round-a", "round-b"}, []string{"all", "company", "ops"}},
		{"right below the base", ldap.Groups{Base: s.Base, Scope: "one"}, nil, nil, nil},
		{"another base", ldap.Groups{Base: "ou=east," + s.Groups}, nil, nil, []string{"same"}},
		{"another base, memberOf", ldap.Groups{Base: "ou=west," + s.Groups, Attribute: "memberOf"}, nil, nil, []string{"Same"}},
		{"everything", ldap.Groups{Base: s.Base}, []string{"devs", "outside"}, []string{"round-a"}, []string{"all"}},
		{"only and rename", ldap.Groups{Nested: "walk", GroupNames: providers.GroupNames{Only: []string{"ALL", "dev*"}, Rename: map[string]string{"Devs": "developers"}}},
			[]string{"all", "developers"}, nil, []string{"all"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := slapdConfig(s)
			if test.groups.Base == "" {
				test.groups.Base = s.Groups
			}
			cfg.Groups = test.groups
			p := newProvider(t, cfg)
			s.Set(t, s.Person("erin"), "shadowExpire")
			if test.groups.Name == "description" {
				s.Set(t, s.Group("devs"), "description", "Developers")
				defer s.Set(t, s.Group("devs"), "description")
			}
			for _, who := range []struct {
				name string
				want []string
			}{{"alice", test.alice}, {"erin", test.erin}, {"bob", test.bob}, {"nameless", nil}} {
				if id := mustLogin(t, p, who.name, who.name+"pw"); !slices.Equal(id.Groups, who.want) {
					t.Errorf("groups of %s = %q, want %q", who.name, id.Groups, who.want)
				}
			}
		})
	}
}

// TestSameName checks that two groups of one name are unsure, and say so.
func TestSameName(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, slapdConfig(s))
	var log strings.Builder
	p.SetLog(slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		checkGroups(t, p, "bob", "all", "Same")
	}
	if n := strings.Count(log.String(), `are both called`); n != 1 {
		t.Errorf("the log is %q, want one warning", log.String())
	}
	found, err := p.Ping(t.Context())
	if all := strings.Join(found, "\n"); err != nil || !strings.Contains(all, `are both called "same"`) {
		t.Errorf("Ping() = %s, %v, want the warning", all, err)
	}
}

// TestGroupsThatCannotBeTold checks that nobody is let in with some groups
// left out, since a rule may deny one of them.
func TestGroupsThatCannotBeTold(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for _, test := range []struct {
		name   string
		groups ldap.Groups
		want   error // nil for "cannot tell"
	}{
		{"base that does not exist", ldap.Groups{Base: "ou=nowhere," + s.Base}, nil},
		{"attribute that the entry lacks", ldap.Groups{Base: s.Groups, Filter: "(gidNumber={gidNumber})"}, providers.ErrRejected},
	} {
		cfg := slapdConfig(s)
		cfg.Groups = test.groups
		_, err := login(t, newProvider(t, cfg), "bob", "bobpw")
		if test.want == nil {
			cannotTell(t, test.name, time.Now(), err)
		} else if !errors.Is(err, test.want) {
			t.Errorf("%s: Authenticate = %v, want %v", test.name, err, test.want)
		}
	}
}

// TestManyGroups checks searches that come in pages, and filters that come in
// batches: a walk from 1,200 groups, where slapd shows 500 entries at once.
func TestManyGroups(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	s.Do(t, func(c *goldap.Conn) error {
		for i := range 1200 {
			request := goldap.NewAddRequest(s.Group(fmt.Sprintf("g%04d", i)), nil)
			request.Attribute("objectClass", []string{"groupOfNames"})
			request.Attribute("member", []string{s.Person("alice")})
			if err := c.Add(request); err != nil {
				return err
			}
		}
		return nil
	})
	for _, groups := range []ldap.Groups{
		{Base: s.Groups, Nested: "walk"},
		{Base: s.Groups, Nested: "walk", Attribute: "memberOf"},
		{Base: s.Groups, Nested: "walk", Attribute: "memberOf", Name: "entryUUID"},
	} {
		cfg := slapdConfig(s)
		cfg.Groups = groups
		if id := mustLogin(t, newProvider(t, cfg), "alice", "alicepw"); len(id.Groups) != 1203 {
			t.Errorf("%d groups with %v, want 1203", len(id.Groups), groups)
		}
	}
}

func TestPeople(t *testing.T) {
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
		{"own domain behind", func(c *ldap.Config) { c.Users.Domains = []string{"CORP", "corp.example"} }, "alice@CORP.example", "alicepw", nil, "alice"},
		{"own domain before", func(c *ldap.Config) { c.Users.Domains = []string{"CORP", "corp.example"} }, `corp\ALICE`, "alicepw", nil, "alice"},
		{"other domain", func(c *ldap.Config) { c.Users.Domains = []string{"CORP"} }, `other\alice`, "alicepw", providers.ErrNotMine, ""},
		{"no domain configured", func(*ldap.Config) {}, "alice@corp.example", "alicepw", providers.ErrNotMine, ""},
		{"a backslash that is part of the name", func(c *ldap.Config) { c.Users.Domains = []string{"CORP"} }, `dom\user`, `dom\userpw`, nil, `dom\user`},
		{"two entries", func(*ldap.Config) {}, "twin", "twinpw", providers.ErrRejected, "several entries"},
		{"name by mail", func(c *ldap.Config) { c.Users.Name = "mail" }, "alice", "alicepw", nil, "alice@example.org"},
		{"name by an attribute that is missing", func(c *ldap.Config) { c.Users.Name = "mail" }, "nameless", "namelesspw", providers.ErrRejected, "mail"},
		{"name by an attribute with two values", func(c *ldap.Config) { c.Users.Name = "title" }, "alice", "alicepw", providers.ErrRejected, "2 values of title"},
		{"subject by an attribute that is missing", func(c *ldap.Config) { c.Users.Subject = "employeeNumber" }, "alice", "alicepw", providers.ErrRejected, "employeeNumber"},
		{"left out by the filter", func(c *ldap.Config) { c.Users.Filter = "(&(uid={user})(title=Captain))" }, "bob", "bobpw", providers.ErrNotMine, ""},
		{"let in by the filter", func(c *ldap.Config) { c.Users.Filter = "(&(uid={user})(title=Captain))" }, "alice", "alicepw", nil, "alice"},
		{"right below the base", func(c *ldap.Config) { c.Users.Base, c.Users.Scope = s.Base, "one" }, "alice", "alicepw", providers.ErrNotMine, ""},
		{"locked for good", func(*ldap.Config) {}, "carol", "carolpw", providers.ErrRejected, "uid=carol"},
		{"must change the password", func(*ldap.Config) {}, "dave", "davepw", providers.ErrRejected, "must change the password"},
		{"expired", func(*ldap.Config) {}, "erin", "erinpw", providers.ErrRejected, "expired (shadowExpire)"},
		{"without a preset", func(c *ldap.Config) {
			c.Preset = ""
			c.Users = ldap.Users{Base: s.People, Filter: "(uid={login})", Name: "uid", Subject: "entryUUID"}
			c.Groups.Filter = "(member={dn})"
		}, "alice", "alicepw", nil, "alice"},
		{"without a preset, expired", func(c *ldap.Config) {
			c.Preset = ""
			c.Users = ldap.Users{Base: s.People, Filter: "(uid={login})", Name: "uid", Subject: "entryUUID"}
			c.Groups.Filter = "(member={dn})"
		}, "erin", "erinpw", providers.ErrRejected, "expired (shadowExpire)"},
		{"template", func(c *ldap.Config) { c.Users.DNTemplate = "uid={user}," + s.People }, "josé", "josépw", nil, "josé"},
		{"template, as oneself", func(c *ldap.Config) {
			c.Users.DNTemplate, c.BindDN, c.BindPassword = "uid={user},"+s.People, "", secret.Text{}
		}, `CN=Doe\, J`, `CN=Doe\, Jpw`, nil, `cn=doe\, j`},
		{"template, as oneself, wrong", func(c *ldap.Config) {
			c.Users.DNTemplate, c.BindDN, c.BindPassword = "uid={user},"+s.People, "", secret.Text{}
		}, "alice", "wrong", providers.ErrRejected, "Invalid Credentials"},
		{"template, locked for good", func(c *ldap.Config) { c.Users.DNTemplate = "uid={user}," + s.People }, "carol", "carolpw", providers.ErrRejected, ""},
		{"template that leads out of the tree", func(c *ldap.Config) { c.Users.DNTemplate = "uid={user}," + s.People }, "svc,ou=services", "svcpw", providers.ErrRejected, ""},
		{"template and a filter", func(c *ldap.Config) {
			c.Users.DNTemplate, c.Users.Filter = "uid={user},"+s.People, "(title=Captain)"
		}, "bob", "bobpw", providers.ErrRejected, "users.filter leaves it out"},
		{"template and a base beside it", func(c *ldap.Config) {
			c.Users.DNTemplate, c.Users.Base = "uid={user},"+s.People, "ou=elsewhere,"+s.Base
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

// TestRevalidate checks what ends a session, what refuses it, and what leaves
// it alone.
func TestRevalidate(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 2})
	cfg := slapdConfig(s)
	cfg.Users.Filter = "(&(uid={user})(!(title=Retired)))"
	p := newProvider(t, cfg)
	alice := mustLogin(t, p, "alice", "alicepw")
	revalidate := func(what string, wants ...error) *providers.Identity {
		t.Helper()
		id, err := p.Revalidate(t.Context(), alice)
		for _, want := range wants {
			if !errors.Is(err, want) {
				t.Errorf("Revalidate of one who is %s = %v, want %v", what, err, want)
			}
		}
		if len(wants) == 0 && err != nil {
			t.Errorf("Revalidate of one who is %s = %v, want an identity", what, err)
		}
		return id
	}
	dn := s.Person("alice")
	revalidate("as before")

	for range 3 {
		_, _ = login(t, p, "alice", "wrong")
	}
	if _, err := login(t, p, "alice", "alicepw"); !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != providers.Locked {
		t.Errorf("Authenticate of a locked account = %v, want ErrRejected, locked", err)
	}
	if id := revalidate("locked for a minute"); id != nil && id.Stamp != alice.Stamp {
		t.Errorf("Stamp of one who is locked for a minute = %q, want %q", id.Stamp, alice.Stamp)
	}
	s.Set(t, dn, "pwdAccountLockedTime", "000001010000Z")
	revalidate("locked for good", providers.ErrRejected, providers.ErrEnded)
	s.Set(t, dn, "pwdAccountLockedTime")
	revalidate("unlocked")

	s.Set(t, dn, "pwdEndTime", "20200101000000Z")
	revalidate("expired", providers.ErrRejected, providers.ErrEnded)
	s.Set(t, dn, "pwdEndTime", "29990101000000Z")
	revalidate("to expire")

	s.Set(t, dn, "title", "Retired")
	revalidate("left out by the filter", providers.ErrGone)
	s.Set(t, dn, "title", "Captain")
	s.Rename(t, dn, "uid=alicia", "ou=elsewhere,"+s.Base)
	revalidate("moved out of the base", providers.ErrGone)
	s.Rename(t, "uid=alicia,ou=elsewhere,"+s.Base, "uid=alicia", s.People)
	if id := revalidate("called otherwise"); id != nil && (id.User != "alicia" || id.Subject != alice.Subject || id.Method != alice.Method) {
		t.Errorf("Revalidate of one who is called otherwise = %v, want alicia", id)
	}
	s.Set(t, s.Person("alicia"), "pwdReset", "TRUE")
	if id := revalidate("to change the password"); id != nil && id.Stamp == alice.Stamp {
		t.Errorf("Stamp after pwdReset is %q as before", id.Stamp)
	}

	// Somebody who takes the subject of another must not become the other.
	for _, subject := range []string{"", "*", "x)(uid=*", `\2a`} {
		if _, err := p.Revalidate(t.Context(), &providers.Identity{Subject: subject}); !errors.Is(err, providers.ErrGone) && err == nil {
			t.Errorf("Revalidate of the subject %q = %v, want an error", subject, err)
		}
	}
}

// TestRevalidateWithoutServiceAccount checks who cannot be asked about again.
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
	if open, _ := s.Connections(t); open != 0 {
		t.Errorf("%d connections are left of logins as oneself, want none", open)
	}
}

func TestPing(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for _, test := range []struct {
		name   string
		change func(c *ldap.Config)
		want   []string // each in some line
	}{
		{"all is well", func(*ldap.Config) {}, []string{"OpenLDAP, TLS 1.3, certificate good until 20", "bound as uid=svc", `14 people under "ou=people`, `entries under "ou=groups`}},
		{"in clear", func(c *ldap.Config) { c.URLs, c.Insecure = []string{s.URL}, true }, []string{"OpenLDAP, without TLS"}},
		{"one of two is down", func(c *ldap.Config) { c.URLs = []string{"ldaps://127.0.0.1:" + ldaptest.FreePort(t), s.LDAPS} }, []string{"warning: connect to ldaps://127.0.0.1", "OpenLDAP, TLS"}},
		{"attributes that are missing", func(c *ldap.Config) { c.Users.Name = "mail" }, []string{"do not show one mail, and cannot log in"}},
		{"base that does not exist", func(c *ldap.Config) { c.Users.Base = "ou=nowhere," + s.Base }, []string{"warning: search for people"}},
		{"no mark of passwords", func(c *ldap.Config) { c.Users.Stamp = []string{"pwdLastSet"} }, []string{"a changed password does not end sessions"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := slapdConfig(s)
			test.change(&cfg)
			found, err := newProvider(t, cfg).Ping(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if all := strings.Join(found, "\n"); !strings.Contains(all, want) {
					t.Errorf("Ping() =\n%s\nwant %q", all, want)
				}
			}
		})
	}
}

// TestEqualize checks that an account that does not exist takes as long as a
// wrong password, where the directory hashes passwords slowly: so slowly that
// nothing else on the way is a quarter of it.
func TestEqualize(t *testing.T) {
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		switch {
		case r.Operation == goldap.ApplicationSearchRequest && strings.Contains(r.Filter, "alice"):
			return ldaptest.Answer{Entries: []ldaptest.FakeEntry{fakeAlice}}
		case r.Operation == goldap.ApplicationBindRequest && r.DN == fakeAlice.DN:
			time.Sleep(400 * time.Millisecond)
			return ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials}
		case r.Operation == goldap.ApplicationBindRequest && r.DN != "cn=svc,dc=x":
			return ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials}
		}
		return ldaptest.Answer{}
	})
	p := newProvider(t, fakeConfig(f))
	timed := func(name string) time.Duration {
		began := time.Now()
		if _, err := authenticate(t, t.Context(), p, name, "typed-by-a-person"); errors.Is(err, providers.ErrNotMine) {
			p.Pad(t.Context(), began, "nobody", providers.Proof{}) // as the chain does
		}
		return time.Since(began)
	}
	var known, unknown []time.Duration
	for range 5 {
		known, unknown = append(known, timed("alice")), append(unknown, timed("nobody"))
	}
	slices.Sort(known)
	slices.Sort(unknown)
	if a, b := known[2], unknown[2]; (a - b).Abs() > a/4 {
		t.Errorf("a wrong password takes %s, a name that nobody has %s", a, b)
	}
	for _, r := range f.Requests() {
		if r.Password == "typed-by-a-person" && r.DN != fakeAlice.DN {
			t.Errorf("what was typed for nobody was sent to %s", r.DN)
		}
	}
}

// TestThresholdOfOpenLDAP: check --live reads the password policies, and names one
// that never forgets.
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
		if all := strings.Join(found, "\n"); !strings.Contains(all, test.lines) {
			t.Errorf("with %v Ping() = %s\nwant %s", test.set, all, test.lines)
		}
		switch {
		case test.fault == "" && err != nil:
			t.Errorf("with %v Ping() = %v, want no fault", test.set, err)
		case test.fault != "" && (!errors.Is(err, providers.ErrMismatch) || !strings.Contains(err.Error(), test.fault)):
			t.Errorf("with %v Ping() = %v, want ErrMismatch with %q", test.set, err, test.fault)
		}
	}
}
