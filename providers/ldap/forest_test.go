package ldap_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// forestConfig returns a configuration for the whole forest of ldaptest. slapd has
// neither of Active Directory's own ways of finding nested groups.
func forestConfig(s *ldaptest.Slapd) ldap.Config {
	cfg := sambaConfig(&ldaptest.Samba{LDAPS: s.LDAPS, Authority: s.Authority, BindDN: s.BindDN, Password: s.Password})
	cfg.Users = ldap.Users{Base: new("")}
	cfg.Groups = ldap.Groups{Base: new(""), Filter: "(member={dn})", Nested: "none"}
	return cfg
}

// TestForest: in a forest of several domains a name with a domain is of that domain alone,
// a bare name of two accounts is refused, and groups whose members a global catalog does
// not know are unsure (C7).
func TestForest(t *testing.T) {
	s := ldaptest.StartForest(t)
	p := newProvider(t, forestConfig(s))
	for _, test := range []struct {
		login, password string
		user            string // "": refused
		groups          string
		err             error
	}{
		{"alice", "aliceadpw", "alice", "devs", nil},
		{`ADEX\alice`, "aliceadpw", "alice", "devs", nil},
		{"alice@ad.example", "aliceadpw", "alice", "devs", nil},
		{"alice@corp.example", "aliceadpw", "alice", "devs", nil},
		{`CHILD\alice`, "aliceadpw", "", "", providers.ErrNotMine},
		{"alice@child.ad.example", "aliceadpw", "", "", providers.ErrNotMine},
		{`CHILD\carol`, "carolchpw", "carol", "", nil},
		{`child.ad.example\carol`, "carolchpw", "carol", "", nil},
		{"carol@child.ad.example", "carolchpw", "carol", "", nil},
		{"carol@ad.example", "carolchpw", "carol", "", nil}, // her user principal name has another domain
		{`ADEX\carol`, "carolchpw", "", "", providers.ErrNotMine},
		{`OTHER\dora`, "doraotpw", "dora", "", nil},
		{`NOWHERE\dora`, "doraotpw", "", "", providers.ErrNotMine},
		{"jdoe", "jdoeadpw", "", "", providers.ErrRejected},
		{"jdoe", "jdoechpw", "", "", providers.ErrRejected},
		{`CHILD\jdoe`, "jdoeadpw", "", "", providers.ErrRejected},
		{`ADEX\jdoe`, "jdoechpw", "", "", providers.ErrRejected},
		// The right account and password; rules could not tell the two user names apart.
		{`CHILD\jdoe`, "jdoechpw", "", "", providers.ErrRejected},
	} {
		id, err := login(t, p, test.login, test.password)
		switch {
		case test.err != nil && !errors.Is(err, test.err):
			t.Errorf("Authenticate(%q, %q) = %v, %v, want %v", test.login, test.password, id, err, test.err)
		case test.err == nil && err != nil:
			t.Errorf("Authenticate(%q, %q) = %v, want %s", test.login, test.password, err, test.user)
		case test.err == nil && (id.User != test.user || strings.Join(id.Groups, " ") != test.groups):
			t.Errorf("Authenticate(%q, %q) = %s in %q, want %s in %q", test.login, test.password, id.User, id.Groups, test.user, test.groups)
		case test.err == nil && !slices.Equal(slices.DeleteFunc(id.Unsure, func(name string) bool { return name == "admins" && test.user == "alice" }), []string{"crew", "staff"}):
			t.Errorf("Authenticate(%q): unsure groups %q, want the global one and the one that contains it, and admins for alice alone", test.login, id.Unsure)
		}
		if err == nil {
			if again, err := p.Revalidate(t.Context(), id); err != nil || again.User != id.User {
				t.Errorf("Revalidate(%s) = %v, %v", id.User, again, err)
			}
		}
	}
}

// TestForestNames: with names that are unique in the forest, accounts of one
// sAMAccountName log in with their domain (C7).
func TestForestNames(t *testing.T) {
	s := ldaptest.StartForest(t)
	cfg := forestConfig(s)
	cfg.Users.Name, cfg.Users.Domains = "userPrincipalName", []string{"CHILD", "ad.example", "corp.example"}
	cfg.Groups.Only = []string{"devs"}
	p := newProvider(t, cfg)
	for _, test := range []struct{ login, password, user string }{
		{`CHILD\jdoe`, "jdoechpw", "jdoe@child.ad.example"},
		{"jdoe@ad.example", "jdoeadpw", "jdoe@ad.example"},
		{"alice@corp.example", "aliceadpw", "alice@corp.example"},
		{`corp.example\alice`, "aliceadpw", "alice@corp.example"}, // configured, and no domain of the forest
		{`OTHER\dora`, "doraotpw", ""},                            // not among users.domains
		{"jdoe", "jdoechpw", ""},
	} {
		id, err := login(t, p, test.login, test.password)
		if test.user == "" && err == nil || test.user != "" && (err != nil || id.User != test.user) {
			t.Errorf("Authenticate(%q) = %v, %v, want %q", test.login, id, err, test.user)
		}
		if err == nil && len(id.Unsure) > 0 {
			t.Errorf("Authenticate(%q): unsure groups %q, want none beside groups.only", test.login, id.Unsure)
		}
	}
	t.Run("a base in one domain", func(t *testing.T) {
		cfg := forestConfig(s)
		cfg.Users.Base, cfg.URLs = new("CN=Users,"+ldaptest.ForestRoot), []string{s.LDAPS}
		if id := mustLogin(t, newProvider(t, cfg), "jdoe", "jdoeadpw"); id.User != "jdoe" {
			t.Errorf("Authenticate(jdoe) = %v", id)
		}
	})
	t.Run("with the person's own rights", func(t *testing.T) {
		cfg := forestConfig(s)
		cfg.BindDN, cfg.BindPassword = "", secret.Text{}
		cfg.Users = ldap.Users{DNTemplate: "CN={user},CN=Users," + ldaptest.ForestRoot}
		dns := ldaptest.NewDNS(t)
		dns.Set("_gc._tcp.ad.example", srv(t, s, 1, "dc1.ad.example"))
		cfg.URLs, cfg.TLS.ServerName = []string{"ldaps://_gc._tcp.ad.example"}, "127.0.0.1"
		p := newProvider(t, cfg)
		p.SetResolver(dns.Resolver())
		mustLogin(t, p, "guest", "guestadpw")
		// What guest may not see is unsure for alice nevertheless.
		if id := mustLogin(t, p, "alice", "aliceadpw"); !slices.Contains(id.Unsure, "crew") {
			t.Errorf("Authenticate(alice) after guest: unsure groups %q, want crew among them", id.Unsure)
		}
	})
	t.Run("check --live", func(t *testing.T) {
		testWrongValues(t, forestConfig(s), providers.SeverityWarning, []wrongValue{
			{"users.name", func(*ldap.Config) {}, "users.name", `such as "userPrincipalName"`},
			{"users.stamp", func(*ldap.Config) {}, "users.stamp", "a global catalog"},
			{"groups", func(*ldap.Config) {}, "groups.base", "is not universal"},
			{"nested groups", func(*ldap.Config) {}, "groups.nested", "cn=staff"}, // devs contains people alone
		})
		if got := problems(t, forestConfig(s), providers.SeverityFault); len(got) > 0 {
			t.Errorf("Ping() = %v, want no fault", got)
		}
	})
}
