package ldap_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// TestNamesAreCached: the base is searched for a name once, and once more for another
// entry of that name; a search that fails is not cached.
func TestNamesAreCached(t *testing.T) {
	var fails, twin bool
	groups := func(dns ...string) ldaptest.Answer {
		var a ldaptest.Answer
		for _, dn := range dns {
			a.Entries = append(a.Entries, ldaptest.FakeEntry{DN: dn, Attributes: ldaptest.Attributes{"cn": {"devs"}}})
		}
		return a
	}
	f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
		switch others := strings.Contains(strings.ToLower(r.Filter), "(cn=devs)"); {
		case others && fails:
			return ldaptest.Answer{Code: goldap.LDAPResultSizeLimitExceeded}, true
		case others && twin:
			return groups("cn=devs,ou=groups,dc=x", "cn=Devs,ou=x,ou=groups,dc=x"), true
		case others:
			return groups("cn=devs,ou=groups,dc=x"), true
		case strings.Contains(r.Filter, "member") && twin:
			return groups("cn=Devs,ou=x,ou=groups,dc=x"), true
		case strings.Contains(r.Filter, "member"):
			return groups("cn=devs,ou=groups,dc=x"), true
		}
		return ldaptest.Answer{}, false
	}))
	cfg := fakeConfig(f)
	cfg.Groups = ldap.Groups{Base: new("ou=groups,dc=x"), Filter: "(member={dn})"}
	searches := func() (n int) {
		for _, r := range f.Requests() {
			if strings.Contains(r.Filter, "(cn=") {
				n++
			}
		}
		return n
	}
	p := newProvider(t, shortTimeouts(cfg))
	fails = true
	began := time.Now()
	_, err := login(t, p, "alice", "alicepw")
	wantUnavailable(t, "Authenticate while the search for the name fails", began, err)
	fails = false
	before := searches()
	for range 3 {
		checkGroups(t, p, "alice", "devs", "")
	}
	if n := searches() - before; n != 1 {
		t.Errorf("the name was searched for %d times, want once", n)
	}
	twin = true
	checkGroups(t, p, "alice", "", "Devs")
	if n := searches() - before; n != 2 {
		t.Errorf("the name was searched for %d times, want twice: again for another entry", n)
	}
}

// TestUniqueNamesNeedNoSearch: groups named by sAMAccountName are not searched for
// others of the name: Active Directory keeps it unique.
func TestUniqueNamesNeedNoSearch(t *testing.T) {
	for name, want := range map[string]int{"sAMAccountName": 0, "cn": 1} {
		f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
			alice := ldaptest.Attributes{"sAMAccountName": {"alice"}, "objectGUID": {strings.Repeat("x", 16)}, "userAccountControl": {"512"}, "tokenGroups": {"sid"}}
			switch {
			case r.Operation != goldap.ApplicationSearchRequest:
			case slices.Contains(r.Attributes, "objectSid"):
				return ldaptest.Answer{Entries: []ldaptest.FakeEntry{{DN: "CN=Devs,OU=groups,DC=x", Attributes: ldaptest.Attributes{"objectSid": {"sid"}, name: {"Devs"}}}}}
			case r.DN == "ou=groups,dc=x":
				return ldaptest.Answer{}
			default:
				return ldaptest.Answer{Entries: []ldaptest.FakeEntry{{DN: "CN=alice,OU=people,DC=x", Attributes: alice}}}
			}
			return ldaptest.Answer{}
		})
		cfg := fakeConfig(f)
		cfg.Preset, cfg.Users = "activedirectory", ldap.Users{Base: new("ou=people,dc=x"), Domains: []string{"X"}}
		cfg.Groups = ldap.Groups{Base: new("ou=groups,dc=x"), Name: name}
		checkGroups(t, newProvider(t, cfg), "alice", "Devs", "")
		n := 0
		for _, r := range f.Requests() {
			if strings.Contains(r.Filter, "="+"Devs") {
				n++
			}
		}
		if n != want {
			t.Errorf("groups.name = %q: %d searches for other groups of that name, want %d", name, n, want)
		}
	}
}

// TestGroupNamesUnderPersonalRights: with searches as the person, a name is unsure if
// other people have seen another group of that name.
func TestGroupNamesUnderPersonalRights(t *testing.T) {
	dn := "cn=admins,ou=groups,dc=x"
	f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
		seen := ldaptest.FakeEntry{DN: dn, Attributes: ldaptest.Attributes{"cn": {"admins"}}}
		return ldaptest.Answer{Entries: []ldaptest.FakeEntry{seen}}, r.DN == "ou=groups,dc=x"
	}))
	cfg := fakeConfig(f)
	cfg.Users.DNTemplate, cfg.BindDN, cfg.BindPassword = "uid={user},ou=people,dc=x", "", secret.Text{}
	cfg.Groups = ldap.Groups{Base: new("ou=groups,dc=x"), Filter: "(member={dn})"}
	p := newProvider(t, cfg)
	checkGroups(t, p, "alice", "admins", "")
	dn = "cn=admins,ou=team-x,ou=groups,dc=x"
	checkGroups(t, p, "alice", "", "admins")
}
