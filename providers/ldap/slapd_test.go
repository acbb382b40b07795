package ldap_test

import (
	"testing"

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
					h.Unknown, h.Subject = providers.ErrRejected, false
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
		Disabled: &providertest.Account{Logins: []string{"carol"}, Password: "carolpw"},
		Unknown:  providers.ErrNotMine,
		Subject:  true,
		Secrets:  func() int { return s.Binds(t, s.People) },
		Stop:     func(*testing.T) { s.Kill() },
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
			Logins: []string{name}, Password: name + "pw", User: lower(name), Groups: []string{"odd, names"},
		})
	}
	return h
}
