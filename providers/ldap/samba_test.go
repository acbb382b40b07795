package ldap_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
	"shorepass/providers/providertest"
)

// sambaConfig returns a configuration for a domain controller of ldaptest, with long
// timeouts: several at a time take seconds.
func sambaConfig(s *ldaptest.Samba) ldap.Config {
	return ldap.Config{
		Config: wrongPasswordLimits,
		Preset: "activedirectory", URLs: []string{s.LDAPS}, TLS: tlsconf.Config{CA: s.CA},
		BindDN: s.BindDN, BindPassword: secret.New(s.Password),
		Timeout: 10 * time.Second, DialTimeout: 5 * time.Second,
		Users:  ldap.Users{Base: new(s.People)},
		Groups: ldap.Groups{Base: new(s.Groups)},
	}
}

// TestActiveDirectoryContract runs the contract of all providers on an Active Directory
// domain controller.
func TestActiveDirectoryContract(t *testing.T) {
	t.Parallel()
	providertest.Run(t, func(t *testing.T) providertest.Harness {
		s := ldaptest.StartSamba(t, ldaptest.SambaOptions{})
		return providertest.Harness{
			Provider: newProvider(t, sambaConfig(s)),
			Accounts: []providertest.Account{
				{
					Logins:   []string{"alice", "Alice", "alice@ad.example.org", "ALICE@AD.EXAMPLE.ORG", `ADEX\alice`, `adex\Alice`, `ad.example.org\alice`},
					Password: "alice-Pw1", User: "alice", Groups: []string{"inner", "middle", "outer"},
				},
				{Logins: []string{"bob"}, Password: "bob-Pw1", User: "bob"},
				{Logins: []string{"frank"}, Password: "frank-Pw1", User: "frank", Groups: []string{"crew", "fleet", "middle", "outer"}},
				{Logins: []string{"josé", `ADEX\JOSÉ`, "jose\u0301"}, Password: "josé-Pw1", User: "josé"},
				{Logins: []string{"o(brien", "o(brien@ad.example.org"}, Password: "o(brien-Pw1", User: "o(brien"},
				{Logins: []string{"doej"}, Password: "doej-Pw1", User: "doej"},
			},
			Disabled:        &providertest.Account{Logins: []string{"carol", `ADEX\carol`}, Password: "carol-Pw1"},
			Unknown:         providers.ErrNotMine,
			SubjectAtLookup: true,
			Stop:            func(*testing.T) { s.Kill() },
			Disable: func(t *testing.T, a providertest.Account) {
				s.Set(t, s.Person(a.User), "userAccountControl", "514")
			},
			Delete:         func(t *testing.T, a providertest.Account) { s.Delete(t, s.Person(a.User)) },
			ChangePassword: func(t *testing.T, a providertest.Account) { s.SetPassword(t, s.Person(a.User), "Another-Pw1") },
			ChangeGroups: func(t *testing.T, a providertest.Account) []string {
				s.Remove(t, s.Group("inner"), "member", s.Person(a.User))
				s.Insert(t, s.Group("outer"), "member", s.Person(a.User))
				return []string{"outer"}
			},
		}
	})
}

// TestActiveDirectory tests what is specific to Active Directory, on one domain
// controller. Tests that change the domain come last.
func TestActiveDirectory(t *testing.T) {
	s := ldaptest.StartSamba(t, ldaptest.SambaOptions{Lockout: 3})
	t.Run("the subject is the GUID as Windows tools write it", func(t *testing.T) {
		p := newProvider(t, sambaConfig(s))
		id := mustLogin(t, p, "alice", "alice-Pw1")
		// Windows finds an entry by a GUID in this form.
		if got := s.Get(t, "<GUID="+id.Subject+">", "sAMAccountName"); !slices.Equal(got, []string{"alice"}) {
			t.Errorf("<GUID=%s> is %q, want alice", id.Subject, got)
		}
	})
	t.Run("Inspect shows what a login would see", func(t *testing.T) { // F4
		for login, want := range map[providers.Login]string{
			`ADEX\Alice`: "alice: inner middle outer",
			"carol":      "carol: ; refused, ends sessions: disabled (userAccountControl)",
			"dave":       "dave: ; refused: must change the password (pwdLastSet)",
			"erin":       "erin: ; refused, ends sessions: expired (accountExpires)",
		} {
			found, err := newProvider(t, sambaConfig(s)).Inspect(t.Context(), login)
			if err != nil || inspected(found) != want {
				t.Errorf("Inspect(%q) = %v, %v, want %s", login, found, err, want)
			}
		}
	})
	t.Run("a refused bind has its reason", func(t *testing.T) {
		p := newProvider(t, sambaConfig(s))
		for _, test := range []struct{ name, password, want string }{
			{"bob", "wrong", "wrong password (data 52e)"},
			{"carol", "carol-Pw1", "account disabled (data 533)"},
			{"dave", "dave-Pw1", "must change the password (data 773)"},
			{"erin", "erin-Pw1", "account expired (data 701)"},
		} {
			_, err := login(t, p, test.name, test.password)
			if !errors.Is(err, providers.ErrRejected) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Authenticate(%q) = %v, want ErrRejected with %q", test.name, err, test.want)
			}
		}
	})
	t.Run("a bind name", func(t *testing.T) { testBindName(t, s) })
	t.Run("a name with another domain is not mine", func(t *testing.T) {
		p := newProvider(t, sambaConfig(s))
		for _, name := range []string{`OTHER\alice`, "alice@other.example", `\alice`, "@ad.example.org"} {
			if _, err := login(t, p, name, "alice-Pw1"); !errors.Is(err, providers.ErrNotMine) {
				t.Errorf("Authenticate(%q) = %v, want ErrNotMine", name, err)
			}
		}
	})
	t.Run("each way finds the groups", func(t *testing.T) { testActiveDirectoryGroups(t, s) })
	t.Run("the login name is searched for as typed", func(t *testing.T) {
		s.Set(t, s.Person("Doe, J"), "sAMAccountName", "weiß")
		defer s.Set(t, s.Person("Doe, J"), "sAMAccountName", "doej")
		for _, name := range []string{"weiß", "Weiß", `ADEX\weiß`} {
			if id, err := login(t, newProvider(t, sambaConfig(s)), name, "doej-Pw1"); err != nil || id.User != "weiß" || !id.FoldsCase {
				t.Errorf("Authenticate(%q) = %v, %v, want weiß", name, id, err)
			}
		}
	})
	t.Run("references to other servers are counted and not followed", func(t *testing.T) {
		cfg := sambaConfig(s)
		cfg.Users.Base = new(s.Base) // whose search ends with references to the DNS partitions and the configuration
		p := newProvider(t, cfg)
		mustLogin(t, p, "alice", "alice-Pw1")
		found, err := p.Ping(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if all := found.String(); !strings.Contains(all, "references to other servers were not followed") {
			t.Errorf("Ping() = %s\nwant a line on references", all)
		}
	})
	t.Run("the whole forest at the global catalog (C7)", func(t *testing.T) {
		cfg := sambaConfig(s)
		cfg.URLs, cfg.Users.Base, cfg.Groups.Base = []string{s.LDAPS + ":3269"}, new(""), new("")
		for _, nested := range []string{"token_groups", "in_chain"} {
			cfg.Groups.Nested = nested
			p := newProvider(t, cfg)
			for _, name := range []string{"alice", `ADEX\alice`, "alice@ad.example.org", `ad.example.org\alice`} {
				// A forest of one domain: its global catalogs know all members.
				id := mustLogin(t, p, name, "alice-Pw1")
				if want := []string{"Domain Users", "Users", "inner", "middle", "outer"}; id.User != "alice" || !slices.Equal(id.Groups, want) || len(id.Unsure) > 0 {
					t.Errorf("Authenticate(%q) with %s = %s in %q, unsure %q, want alice in %q", name, nested, id.User, id.Groups, id.Unsure, want)
				}
				if _, err := p.Revalidate(t.Context(), id); err != nil {
					t.Errorf("Revalidate(%q) = %v", name, err)
				}
			}
			if _, err := login(t, p, `OTHER\alice`, "alice-Pw1"); !errors.Is(err, providers.ErrNotMine) {
				t.Errorf("Authenticate with another domain = %v, want ErrNotMine", err)
			}
			if got := problems(t, cfg, providers.SeverityFault); len(got) > 0 {
				t.Errorf("Ping() = %v, want no fault", got)
			}
		}
		cfg.URLs = []string{s.LDAPS} // no global catalog
		if got := problems(t, cfg, providers.SeverityFault); len(got) != 1 || got[0].Key != "urls" {
			t.Errorf("Ping() with an empty base at a domain controller = %v, want a fault", got)
		}
	})
	t.Run("the service account binds with its UPN", func(t *testing.T) {
		cfg := sambaConfig(s)
		cfg.BindDN = "svc@ad.example.org"
		mustLogin(t, newProvider(t, cfg), "alice", "alice-Pw1")
	})
	t.Run("a DN template works without a service account", func(t *testing.T) {
		cfg := sambaConfig(s)
		cfg.Users.DNTemplate, cfg.BindDN, cfg.BindPassword = "CN={user},"+s.People, "", secret.Text{}
		id := mustLogin(t, newProvider(t, cfg), "alice", "alice-Pw1")
		if want := []string{"inner", "middle", "outer"}; !slices.Equal(id.Groups, want) {
			t.Errorf("Groups = %q, want %q", id.Groups, want)
		}
	})
	t.Run("a wrong value has its key", func(t *testing.T) { testActiveDirectoryWrongValues(t, s) })
	t.Run("Ping advises by the lockout policy", func(t *testing.T) { testActiveDirectoryThreshold(t, s) })
	t.Run("a lock that expires ends no session", func(t *testing.T) {
		p := newProvider(t, sambaConfig(s))
		id := mustLogin(t, p, "doej", "doej-Pw1")
		for range 4 {
			if _, err := login(t, p, "doej", "wrong"); !errors.Is(err, providers.ErrRejected) {
				t.Fatalf("Authenticate with a wrong password = %v, want ErrRejected", err)
			}
		}
		if _, err := login(t, p, "doej", "doej-Pw1"); !errors.Is(err, providers.ErrRejected) || !strings.Contains(err.Error(), "account locked (data 775)") {
			t.Errorf("Authenticate of a locked account = %v, want ErrRejected, data 775", err)
		}
		again, err := p.Revalidate(t.Context(), id)
		if err != nil || again.Stamp != id.Stamp {
			t.Errorf("Revalidate of a locked account = %v, %v, want the same stamp", again, err)
		}
		testActiveDirectoryPermanentLock(t, s, id)
	})
	t.Run("account state ends sessions", func(t *testing.T) { testActiveDirectoryEnds(t, s) })
}

// testActiveDirectoryThreshold: Ping reads the domain's lockout policy, and fine-grained
// ones if the service account may.
func testActiveDirectoryThreshold(t *testing.T, s *ldaptest.Samba) {
	ping := func(as func(*ldap.Config)) (found, faults string) {
		t.Helper()
		cfg := sambaConfig(s)
		as(&cfg)
		all, err := newProvider(t, cfg).Ping(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return all.String(), all.Faults().String()
	}
	found, faults := ping(func(*ldap.Config) {})
	if want := s.Base + " locks an account at wrong password 3 within 30m\nfor that write:\n  wrong_passwords = 2\n  wrong_password_window = \"30m\""; faults != "" || !strings.Contains(found, want) {
		t.Errorf("Ping() = %s, want no fault and %s", found, want)
	}
	if _, faults := ping(func(c *ldap.Config) { c.WrongPasswords = 3 }); !strings.HasPrefix(faults, "fault (wrong_passwords): ") {
		t.Errorf("Ping with wrong_passwords at the threshold = %q, want a fault", faults)
	}
	if _, faults := ping(func(c *ldap.Config) { c.WrongPasswordWindow = 10 * time.Minute }); !strings.HasPrefix(faults, "fault (wrong_password_window): ") {
		t.Errorf("Ping with a shorter window = %q, want a fault", faults)
	}
	pso := "CN=strict,CN=Password Settings Container,CN=System," + s.Base
	s.Add(t, pso, ldaptest.Attributes{
		"objectClass": {"msDS-PasswordSettings"}, "msDS-PasswordSettingsPrecedence": {"10"},
		"msDS-PasswordReversibleEncryptionEnabled": {"FALSE"}, "msDS-PasswordHistoryLength": {"0"}, "msDS-PasswordComplexityEnabled": {"FALSE"},
		"msDS-MinimumPasswordLength": {"0"}, "msDS-MinimumPasswordAge": {"0"}, "msDS-MaximumPasswordAge": {"-9223372036854775808"},
		"msDS-LockoutThreshold": {"2"}, "msDS-LockoutObservationWindow": {"-36000000000"}, "msDS-LockoutDuration": {"-36000000000"},
		"msDS-PSOAppliesTo": {s.Person("bob")},
	})
	defer s.Delete(t, pso)
	found, faults = ping(func(c *ldap.Config) {
		dn, password := s.Credentials()
		c.BindDN, c.BindPassword = dn, secret.New(password)
	})
	if want := "wrong_passwords = 1\n  wrong_password_window = \"1h\""; faults == "" || !strings.Contains(found, want) {
		t.Errorf("Ping as an administrator, who sees a strict policy = %s\nwant a fault and %s", found, want)
	}
	if found, faults = ping(func(*ldap.Config) {}); faults != "" || !strings.Contains(found, "no fine-grained password policy is shown") {
		t.Errorf("Ping as the service account, which does not = %s, want that none is shown", found)
	}
}

// testActiveDirectoryPermanentLock: a lock ends sessions if the policy of the account has
// no lockout duration, and otherwise does not.
func testActiveDirectoryPermanentLock(t *testing.T, s *ldaptest.Samba, locked *providers.Identity) {
	const never, halfAnHour = "-9223372036854775808", "-18000000000"
	asAdministrator := func(cfg *ldap.Config) {
		dn, password := s.Credentials()
		cfg.BindDN, cfg.BindPassword = dn, secret.New(password)
	}
	asService := func(*ldap.Config) {}
	revalidate := func(policy string, as func(*ldap.Config), ends bool) {
		t.Helper()
		cfg := sambaConfig(s)
		as(&cfg)
		p := newProvider(t, cfg)
		if _, err := p.Revalidate(t.Context(), locked); errors.Is(err, providers.ErrEnded) != ends || !ends && err != nil {
			t.Errorf("Revalidate of an account locked by %s = %v, want ErrEnded: %v", policy, err, ends)
		}
		found, err := p.Ping(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if warned, want := strings.Contains(found.String(), "locked for good keeps its sessions"), policy == "a policy that is not shown"; warned != want {
			t.Errorf("%s: Ping() = %q, want a line on the policy that is not shown: %v", policy, found, want)
		}
	}
	s.Set(t, s.Base, "lockoutDuration", never)
	revalidate("the domain's policy without a duration", asService, true)
	pso := "CN=strict,CN=Password Settings Container,CN=System," + s.Base
	s.Add(t, pso, ldaptest.Attributes{
		"objectClass": {"msDS-PasswordSettings"}, "msDS-PasswordSettingsPrecedence": {"10"},
		"msDS-PasswordReversibleEncryptionEnabled": {"FALSE"}, "msDS-PasswordHistoryLength": {"0"}, "msDS-PasswordComplexityEnabled": {"FALSE"},
		"msDS-MinimumPasswordLength": {"0"}, "msDS-MinimumPasswordAge": {"0"}, "msDS-MaximumPasswordAge": {never},
		"msDS-LockoutThreshold": {"3"}, "msDS-LockoutObservationWindow": {halfAnHour}, "msDS-LockoutDuration": {halfAnHour},
		"msDS-PSOAppliesTo": {s.Person("Doe, J")},
	})
	revalidate("a fine-grained policy with a duration", asAdministrator, false)
	s.Set(t, s.Base, "lockoutDuration", halfAnHour)
	s.Set(t, pso, "msDS-LockoutDuration", never)
	revalidate("a fine-grained policy without a duration", asAdministrator, true)
	revalidate("a policy that is not shown", asService, false)
	s.Delete(t, pso)
	revalidate("the domain's policy with a duration", asService, false)
}

func testActiveDirectoryEnds(t *testing.T, s *ldaptest.Samba) {
	p := newProvider(t, sambaConfig(s))
	bob := mustLogin(t, p, "bob", "bob-Pw1")
	revalidate := func(state string, wants ...error) *providers.Identity {
		t.Helper()
		id, err := p.Revalidate(t.Context(), bob)
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
	filetime := func(at time.Time) string {
		return itoa((at.Unix() + 11_644_473_600) * 10_000_000)
	}
	s.Set(t, s.Person("bob"), "accountExpires", filetime(time.Now().Add(-time.Minute)))
	revalidate("expired", providers.ErrRejected, providers.ErrEnded)
	for _, good := range []string{"0", "9223372036854775807", filetime(time.Now().Add(time.Hour))} {
		s.Set(t, s.Person("bob"), "accountExpires", good)
		revalidate("not expired with " + good)
	}
	s.Set(t, s.Person("bob"), "userAccountControl", "514")
	revalidate("disabled", providers.ErrRejected, providers.ErrEnded)
	s.Set(t, s.Person("bob"), "userAccountControl", "512")
	if id := revalidate("enabled again"); id != nil && id.Stamp != bob.Stamp {
		t.Errorf("Stamp = %q, want %q as before", id.Stamp, bob.Stamp)
	}
	s.Rename(t, s.Person("bob"), "CN=robert", "OU=Services,"+s.Base)
	revalidate("moved out of users.base", providers.ErrGone)
	s.Rename(t, "CN=robert,OU=Services,"+s.Base, "CN=robert", s.People)
	s.Set(t, s.Person("robert"), "sAMAccountName", "robert")
	if id := revalidate("renamed"); id != nil && (id.User != "robert" || id.Subject != bob.Subject) {
		t.Errorf("Revalidate after a rename = %q, %q, want robert and the same subject", id.User, id.Subject)
	}
	s.Set(t, s.Person("robert"), "pwdLastSet", "0")
	if id := revalidate("required to change the password"); id != nil && id.Stamp == bob.Stamp {
		t.Errorf("Stamp after pwdLastSet = 0 is %q as before", id.Stamp)
	}
}
