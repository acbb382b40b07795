package ldap_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// groupOf returns the attributes of a group with these members.
func groupOf(members ...string) ldaptest.Attributes {
	return ldaptest.Attributes{"objectClass": {"groupOfNames"}, "member": members}
}

// checkGroups logs a person in and compares Identity.Groups and Identity.Unsure.
func checkGroups(t *testing.T, p *ldap.Provider, name, groups, unsure string) {
	t.Helper()
	id := mustLogin(t, p, name, name+"pw")
	if g, u := strings.Join(id.Groups, " "), strings.Join(id.Unsure, " "); g != groups || u != unsure {
		t.Errorf("%s is in %q, unsure %q, want %q and %q", name, g, u, groups, unsure)
	}
}

// TestGroupNamesKeepTheirCase: groups have the directory's spelling, user names are in
// lower case, and FoldsCase is true.
func TestGroupNamesKeepTheirCase(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	s.Add(t, s.Group("Contractors"), groupOf(s.Person("alice")))
	s.Add(t, s.Group("ÉQUIPE Bleue"), groupOf(s.Person("alice")))
	for _, attribute := range []string{"", "memberOf"} {
		cfg := slapdConfig(s)
		cfg.Groups.Attribute = attribute
		p := newProvider(t, cfg)
		checkGroups(t, p, "alice", "Contractors devs ÉQUIPE Bleue", "")
		if id := mustLogin(t, p, "ALICE", "alicepw"); id.User != "alice" || !id.FoldsCase {
			t.Errorf("ALICE is %q, FoldsCase %v, want alice, true", id.User, id.FoldsCase)
		}
	}
}

// TestGroupBaseInAnySpelling: groups are found below the base in every spelling of it
// that the directory accepts, so that rules that deny them hold.
func TestGroupBaseInAnySpelling(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	team := "ou=E\u0301quipe  Straße," + s.Groups
	s.Add(t, team, ldaptest.Attributes{"objectClass": {"organizationalUnit"}})
	s.Add(t, "cn=contractors,"+team, groupOf(s.Person("alice")))
	for _, base := range []string{"ou=E\u0301quipe  Straße", "ou=Équipe Straße", "OU = équipe straße", "organizationalUnitName=Équipe Straße", "2.5.4.11=ÉQUIPE Straße"} {
		for _, attribute := range []string{"", "memberOf"} {
			cfg := slapdConfig(s)
			cfg.Groups.Base, cfg.Groups.Attribute = new(base+","+s.Groups), attribute
			checkGroups(t, newProvider(t, cfg), "alice", "contractors", "")
		}
	}
}

// TestGroupNameNotUTF8: a group whose DN is not UTF-8 makes every group unsure.
func TestGroupNameNotUTF8(t *testing.T) {
	f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
		alice := ldaptest.FakeEntry{DN: fakeAlice.DN, Attributes: maps.Clone(fakeAlice.Attributes)}
		alice.Attributes["memberOf"] = []string{"cn=Fran\xe7ais,ou=groups,dc=corp,dc=example"}
		return ldaptest.Answer{Entries: []ldaptest.FakeEntry{alice}}, r.Operation == goldap.ApplicationSearchRequest
	}))
	cfg := fakeConfig(f)
	cfg.Groups = ldap.Groups{Base: new("ou=groups,dc=corp,dc=example"), Attribute: "memberOf"}
	id := mustLogin(t, newProvider(t, cfg), "alice", "pw")
	if !slices.Equal(id.Unsure, []string{providers.UnsureAll}) {
		t.Errorf("a group whose name is not UTF-8: %q, unsure %q, want *", id.Groups, id.Unsure)
	}
}

// TestRenameClash: a group whose own name is one that rename gives to another group is
// unsure, and a warning names it.
func TestRenameClash(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	team := "ou=team-x," + s.Groups
	s.Add(t, team, ldaptest.Attributes{"objectClass": {"organizationalUnit"}})
	s.Add(t, s.Group("grp-admins"), groupOf(s.Person("alice")))
	s.Add(t, s.Group("grp-qa"), groupOf(s.Person("bob")))
	for _, name := range []string{"Admins", "QA", "helpers"} {
		s.Add(t, "cn="+name+","+team, groupOf(s.Person("bob")))
	}
	for _, test := range []struct {
		name        string
		rename      map[string]string
		alice       string
		bob, unsure string
		noWarning   bool // rename gives the name to bob's group too
	}{
		{"a name", map[string]string{"grp-admins": "admins"}, "admins", "QA grp-qa helpers", "Admins", false},
		{"a DN", map[string]string{s.Group("grp-admins"): "admins"}, "admins", "QA grp-qa helpers", "Admins", false},
		{"a glob", map[string]string{"grp-*": "*"}, "admins", "helpers qa", "Admins", false},
		{"a glob over DNs", map[string]string{"cn=grp-*," + s.Groups: "*"}, "admins", "helpers qa", "Admins", false},
		{"a glob with one character", map[string]string{"gr?-*": "*"}, "admins", "helpers qa", "Admins", false},
		{"a glob to one name", map[string]string{"grp-a*": "admins"}, "admins", "QA grp-qa helpers", "Admins", false},
		{"both are meant", map[string]string{"grp-admins": "admins", "admins": "admins"}, "admins", "QA admins grp-qa helpers", "", true},
	} {
		for _, attribute := range []string{"", "memberOf"} {
			t.Run(test.name+" "+attribute, func(t *testing.T) {
				cfg := slapdConfig(s)
				cfg.Groups.Attribute = attribute
				cfg.Groups.Only = []string{"grp-*", "admins", "qa", "helpers"}
				cfg.Groups.Rename = test.rename
				p := newProvider(t, cfg)
				for range 2 { // from the directory and from the cache
					checkGroups(t, p, "alice", test.alice, "")
					checkGroups(t, p, "bob", test.bob, test.unsure)
				}
				if all := must(p.Ping(t.Context())).String(); strings.Contains(all, "gives to another group") == test.noWarning {
					t.Errorf("Ping() = %s, want a warning: %v", all, !test.noWarning)
				}
			})
		}
	}
}

// TestOneNameOfTwoGroups: if a team's administrator gives a group the name of another,
// the name is unsure for the members of both, until a DN in only or rename decides.
func TestOneNameOfTwoGroups(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	team := "ou=team-x," + s.Groups
	s.Add(t, team, ldaptest.Attributes{"objectClass": {"organizationalUnit"}})
	s.Add(t, s.Group("Admins"), groupOf(s.Person("alice")))
	s.Add(t, s.Group("contractors"), groupOf(s.Person("alice"), s.Person("bob")))
	ways := []struct {
		name   string
		groups ldap.Groups
	}{
		{"search", ldap.Groups{}}, {"memberOf", ldap.Groups{Attribute: "memberOf"}}, {"walk", ldap.Groups{Nested: "walk", NestedFilter: "(member={dn})", Depth: 1}},
	}
	made := make([]*ldap.Provider, len(ways))
	for i, way := range ways {
		cfg := slapdConfig(s)
		cfg.Groups = way.groups
		cfg.Groups.Base = new(s.Groups)
		cfg.Groups.Only = []string{"admins", "contractors"}
		made[i] = newProvider(t, cfg)
		checkGroups(t, made[i], "alice", "Admins contractors", "")
		checkGroups(t, made[i], "bob", "contractors", "")
	}

	// Now bob is in another group named admins, and in both groups named contractors.
	s.Add(t, "cn=admins,"+team, groupOf(s.Person("bob")))
	s.Add(t, "cn=contractors,"+team, groupOf(s.Person("bob")))
	for i, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			checkGroups(t, made[i], "bob", "", "admins contractors")
			checkGroups(t, made[i], "alice", "", "Admins contractors") // either may be the one that a rule means
			if all := must(made[i].Ping(t.Context())).String(); !strings.Contains(all, `both called "admins"`) || !strings.Contains(all, "groups.only") {
				t.Errorf("Ping() = %s, want a warning that says what to do", all)
			}

			cfg := slapdConfig(s)
			cfg.Groups = way.groups
			cfg.Groups.Base = new(s.Groups)
			cfg.Groups.Only = []string{"CN=admins, " + s.Groups, "contractors"}
			p := newProvider(t, cfg)
			checkGroups(t, p, "bob", "", "contractors")
			checkGroups(t, p, "alice", "Admins", "contractors")

			cfg.Groups.Only = []string{"admins", "contractors"}
			cfg.Groups.Rename = map[string]string{"cn=admins," + team: "team-x-admins", "cn=*," + team: "team-x-*"}
			p = newProvider(t, cfg)
			checkGroups(t, p, "bob", "contractors team-x-admins team-x-contractors", "")
			checkGroups(t, p, "alice", "Admins contractors", "")
		})
	}

	// The first use of the name is by a person in the other group alone.
	p := newProvider(t, func() ldap.Config {
		cfg := slapdConfig(s)
		cfg.Groups.Only = []string{"admins"}
		return cfg
	}())
	checkGroups(t, p, "bob", "", "admins")
}

// TestGroupMoved: a group keeps its name when its entry is moved.
func TestGroupMoved(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	p := newProvider(t, slapdConfig(s))
	checkGroups(t, p, "alice", "devs", "")
	s.Rename(t, s.Group("devs"), "cn=devs", "ou=east,"+s.Groups)
	checkGroups(t, p, "alice", "devs", "")
}

// TestNamelessGroup: a group without a readable name makes every group unsure, unless
// only names other DNs or rename names it.
func TestNamelessGroup(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	s.Set(t, s.Group("devs"), "description", "Developers", "Engineers")
	for _, attribute := range []string{"", "memberOf"} {
		cfg := slapdConfig(s)
		cfg.Groups.Name, cfg.Groups.Attribute = "description", attribute
		checkGroups(t, newProvider(t, cfg), "alice", "", "*")
		cfg.Groups.Only = []string{"dev*"}
		checkGroups(t, newProvider(t, cfg), "alice", "", "*")
		cfg.Groups.Only = []string{s.Group("ops")}
		checkGroups(t, newProvider(t, cfg), "alice", "", "")
		cfg.Groups.Only, cfg.Groups.Rename = nil, map[string]string{s.Group("devs"): "devs"}
		checkGroups(t, newProvider(t, cfg), "alice", "devs", "")
	}
	cfg := slapdConfig(s)
	cfg.Groups.Attribute = "title" // holds no DNs
	checkGroups(t, newProvider(t, cfg), "alice", "", "*")
}

// TestGroupNamesAreNormalized: two names that differ only in a blank at the end or in
// Unicode normalization are one name, also if the server tells them apart.
func TestGroupNamesAreNormalized(t *testing.T) {
	for _, odd := range []string{"\u00a0équipe", "e\u0301quipe"} {
		f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
			if r.DN != "ou=groups,dc=x" {
				return ldaptest.Answer{}, false
			}
			var a ldaptest.Answer
			if strings.Contains(r.Filter, "member=") || strings.Contains(r.Filter, "(description="+goldap.EscapeFilter(odd)+")") {
				a.Entries = append(a.Entries, ldaptest.FakeEntry{DN: "cn=x,ou=groups,dc=x", Attributes: ldaptest.Attributes{"description": {odd}}})
			}
			if strings.Contains(r.Filter, "(description="+goldap.EscapeFilter("équipe")+")") {
				a.Entries = append(a.Entries, ldaptest.FakeEntry{DN: "cn=y,ou=groups,dc=x", Attributes: ldaptest.Attributes{"description": {"équipe"}}})
			}
			return a, true
		}))
		cfg := fakeConfig(f)
		cfg.Groups = ldap.Groups{Base: new("ou=groups,dc=x"), Filter: "(member={dn})", Name: "description"}
		checkGroups(t, newProvider(t, cfg), "alice", "", "équipe")
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(fmt.Sprint("unexpected: ", err))
	}
	return value
}
