package ldap_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// addPerson adds a person with the password "pw" to a slapd.
func addPerson(t *testing.T, s *ldaptest.Slapd, dn string, attributes ldaptest.Attributes) {
	t.Helper()
	all := ldaptest.Attributes{"objectClass": {"inetOrgPerson", "foreignPerson"}, "cn": {"Some One"}, "sn": {"One"}, "userPassword": {"pw"}}
	for name, values := range attributes {
		all[name] = values
	}
	s.Add(t, dn, all)
}

// TestAttributes tests values and names of attributes that directories have besides the
// usual ones, on one slapd.
func TestAttributes(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	t.Run("a binary subject", func(t *testing.T) { testBinarySubject(t, s) })
	t.Run("several names", func(t *testing.T) { testSeveralNames(t, s) })
	t.Run("aliases", func(t *testing.T) { testAliases(t, s) })
	t.Run("other names", func(t *testing.T) { testOtherNames(t, s) })
}

// testAliases: searches follow alias entries as deref says, and an alias lets no entry
// from outside a base in unless deref says so (C5).
func testAliases(t *testing.T, s *ldaptest.Slapd) {
	elsewhere := "ou=elsewhere," + s.Base
	alias := func(dn, target string, more ldaptest.Attributes) {
		t.Helper()
		all := ldaptest.Attributes{"objectClass": {"alias", "extensibleObject"}, "aliasedObjectName": {target}}
		for name, values := range more {
			all[name] = values
		}
		s.Add(t, dn, all)
	}
	addPerson(t, s, "uid=jane,"+elsewhere, ldaptest.Attributes{"uid": {"jane"}})
	addPerson(t, s, s.Person("june"), ldaptest.Attributes{"uid": {"june"}})
	s.Add(t, "cn=pilots,"+elsewhere, groupOf("uid=jane,"+elsewhere, s.Person("june")))
	alias("cn=jane,"+s.People, "uid=jane,"+elsewhere, nil)
	alias("cn=again,"+s.People, "uid=jane,"+elsewhere, nil)
	alias("cn=june,"+s.People, s.Person("june"), nil)
	alias("cn=the-pilots,"+s.Groups, "cn=pilots,"+elsewhere, nil)
	alias("ou=staff,"+s.Base, s.People, nil)
	alias("ou=teams,"+s.Base, s.Groups, nil)
	// An alias with the attributes of an account is none.
	alias("uid=jack,"+s.People, s.Person("june"), ldaptest.Attributes{"uid": {"jack"}, "userPassword": {"pw"}})
	const notMine, refused = "not mine", "refused"
	for _, test := range []struct {
		deref, base, groups, attribute string
		jane, june, jack               string // the groups, or why there is no identity
	}{
		{"never", s.People, s.Groups, "", notMine, "", refused},
		{"searching", s.People, s.Groups, "", "pilots", "pilots", notMine},
		{"finding", s.People, s.Groups, "", notMine, "", refused},
		{"always", s.People, s.Groups, "", "pilots", "pilots", notMine},
		{"always", s.People, s.Groups, "memberOf", "pilots", "pilots", notMine},
		{"never", s.People, s.Groups, "memberOf", notMine, "", refused},
		{"finding", "ou=staff," + s.Base, "ou=teams," + s.Base, "", notMine, "", refused},
		{"always", "ou=staff," + s.Base, "ou=teams," + s.Base, "memberOf", "pilots", "pilots", notMine},
	} {
		cfg := slapdConfig(s)
		cfg.Deref, cfg.Users.Base, cfg.Groups.Base, cfg.Groups.Attribute = test.deref, new(test.base), new(test.groups), test.attribute
		p := newProvider(t, cfg)
		for name, want := range map[string]string{"jane": test.jane, "june": test.june, "jack": test.jack} {
			id, err := login(t, p, name, "pw")
			got := notMine
			switch {
			case err == nil:
				got = strings.Join(id.Groups, " ")
			case errors.Is(err, providers.ErrRejected):
				got = refused
			case !errors.Is(err, providers.ErrNotMine):
				got = err.Error()
			}
			if got != want || err == nil && id.User != name {
				t.Errorf("deref %q, base %q, attribute %q: %s is %q (%v), want %q", test.deref, test.base, test.attribute, name, got, err, want)
			}
			if err == nil {
				if again, err := p.Revalidate(t.Context(), id); err != nil || again.User != name {
					t.Errorf("deref %q, base %q: Revalidate of %s = %v, %v", test.deref, test.base, name, again, err)
				}
			}
		}
	}
}

// testSeveralNames: of several values of users.name or groups.name the one in the RDN
// counts (C9).
func testSeveralNames(t *testing.T, s *ldaptest.Slapd) {
	for _, test := range []struct {
		rdn, login, nameAttribute string
		attributes                ldaptest.Attributes
		want                      string // "" for a rejection
	}{
		{"uid=ida", "ida", "", ldaptest.Attributes{"uid": {"1001", "ida", "Idalia"}}, "ida"},
		{"uid=ivo", "ivo2", "", ldaptest.Attributes{"uid": {"ivo2", "ivo"}}, "ivo"}, // whichever is typed
		{"userid=INA", "ina", "", ldaptest.Attributes{"uid": {"x-ina", "INA"}}, "ina"},
		{`uid=in\,a`, "in,a", "", ldaptest.Attributes{"uid": {"x-in,a", "in,a"}}, "in,a"},
		{"uid=iris+cn=Iris", "iris", "", ldaptest.Attributes{"cn": {"Iris", "I"}, "uid": {"iris", "x-iris"}}, "iris"},
		{"uid=ilse+cn=Ilse", "ilse", "cn", ldaptest.Attributes{"cn": {"Ilse", "Il"}, "uid": {"ilse"}}, "ilse"},
		{"cn=Igor", "igor", "", ldaptest.Attributes{"cn": {"Igor"}, "uid": {"igor", "x-igor"}}, ""},
		{"badgeName=i-1", "isa", "badge", ldaptest.Attributes{"badge": {"i-1", "i-2"}, "uid": {"isa"}}, "i-1"},
	} {
		addPerson(t, s, test.rdn+","+s.People, test.attributes)
		cfg := slapdConfig(s)
		cfg.Users.Name = test.nameAttribute
		id, err := login(t, newProvider(t, cfg), test.login, "pw")
		switch {
		case test.want == "" && (!errors.Is(err, providers.ErrRejected) || !strings.Contains(err.Error(), "users.name")):
			t.Errorf("%s: Authenticate = %v, %v, want a rejection that names users.name", test.rdn, id, err)
		case test.want != "" && (err != nil || id.User != test.want):
			t.Errorf("%s: Authenticate = %v, %v, want %q", test.rdn, id, err, test.want)
		}
	}
	member := []string{s.Person("alice")}
	s.Add(t, "cn=sailors,"+s.Groups, ldaptest.Attributes{"objectClass": {"groupOfNames"}, "cn": {"mates", "sailors"}, "member": member})
	s.Add(t, "ou=pilots,"+s.Groups, ldaptest.Attributes{"objectClass": {"groupOfNames"}, "cn": {"captains", "masters"}, "ou": {"pilots"}, "member": member})
	checkGroups(t, newProvider(t, slapdConfig(s)), "alice", "devs sailors", "*")
}

// testOtherNames: each key takes an attribute by any of its names, by its object
// identifier, and with options (C6).
func testOtherNames(t *testing.T, s *ldaptest.Slapd) {
	addPerson(t, s, s.Person("hugo"), ldaptest.Attributes{
		"uid": {"hugo"}, "badge": {"h-1"}, "cn": {"Hugo"}, "cn;lang-en": {"Hugh"}, "shadowExpire": {"29999"}, "shadowLastChange": {"20000"},
		"objectClass": {"inetOrgPerson", "foreignPerson", "shadowAccount"},
	})
	s.Add(t, s.Group("crew"), ldaptest.Attributes{"objectClass": {"groupOfNames"}, "member": {s.Person("hugo")}})
	for _, test := range []struct {
		name         string
		change       func(c *ldap.Config)
		user, claim  string
		groups       string
		otherSubject bool
	}{
		{"userid", func(c *ldap.Config) { c.Users.Name = "userid" }, "hugo", "", "crew", false},
		{"userid in capitals", func(c *ldap.Config) { c.Users.Name = "USERID" }, "hugo", "", "crew", false},
		{"uid by its OID", func(c *ldap.Config) { c.Users.Name = "0.9.2342.19200300.100.1.1" }, "hugo", "", "crew", false},
		{"the second name of an attribute of another schema", func(c *ldap.Config) { c.Users.Name = "badgeName" }, "h-1", "", "crew", false},
		{"the OID of an attribute of another schema", func(c *ldap.Config) { c.Users.Name = "1.3.6.1.4.1.4203.666.7.1" }, "h-1", "", "crew", false},
		{"a language", func(c *ldap.Config) { c.Users.Name = "commonName;LANG-EN" }, "hugh", "", "crew", false},
		{"no language", func(c *ldap.Config) { c.Users.Name = "commonName" }, "hugo", "", "crew", false},
		{"subject by OID", func(c *ldap.Config) { c.Users.Subject = "1.3.6.1.1.16.4" }, "hugo", "", "crew", false},
		{"subject by a second name", func(c *ldap.Config) { c.Users.Subject = "badgeName" }, "hugo", "", "crew", true},
		{"claim by a second name", func(c *ldap.Config) { c.Claims = []string{"surname"} }, "hugo", "One", "crew", false},
		{"group's name", func(c *ldap.Config) { c.Groups.Name = "commonName" }, "hugo", "", "crew", false},
		{"group's name by its OID", func(c *ldap.Config) { c.Groups.Name = "2.5.4.3" }, "hugo", "", "crew", false},
		{"group's attribute by its OID", func(c *ldap.Config) { c.Groups.Attribute = "1.2.840.113556.1.2.102" }, "hugo", "", "crew", false},
		{"group filter by a second name", func(c *ldap.Config) { c.Groups.Filter = "(&(member={dn})(!(cn={userid})))" }, "hugo", "", "crew", false},
	} {
		cfg := slapdConfig(s)
		test.change(&cfg)
		p := newProvider(t, cfg)
		id, err := login(t, p, "hugo", "pw")
		if err != nil {
			t.Errorf("%s: Authenticate = %v", test.name, err)
			continue
		}
		claim, _ := id.Claims["surname"].(string)
		if id.User != test.user || claim != test.claim || strings.Join(id.Groups, " ") != test.groups || (id.Subject == "h-1") != test.otherSubject {
			t.Errorf("%s: user %q, claim %q, groups %q, subject %q", test.name, id.User, claim, id.Groups, id.Subject)
		}
		if again, err := p.Revalidate(t.Context(), id); err != nil || again.Stamp != id.Stamp {
			t.Errorf("%s: Revalidate = %v, %v", test.name, again, err)
		}
	}
	cfg := slapdConfig(s)
	cfg.Users.Stamp = []string{"1.3.6.1.1.1.1.5"} // shadowLastChange
	p := newProvider(t, cfg)
	id := mustLogin(t, p, "hugo", "pw")
	s.Set(t, s.Person("hugo"), "shadowLastChange", "20001")
	if again, err := p.Revalidate(t.Context(), id); err != nil || again.Stamp == id.Stamp {
		t.Errorf("a stamp by its OID stays %q after a change: %v", id.Stamp, err)
	}
}

// TestOtherNamesWithoutSchema: the names of RFC 4519 are known where a server hides its
// schema, and requested by the names that every server knows (C6).
func TestOtherNamesWithoutSchema(t *testing.T) {
	f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
		return ldaptest.Answer{Entries: []ldaptest.FakeEntry{shownEntry(fakeAlice, []string{"sn", "One"}, r.Attributes)}}, r.Operation == goldap.ApplicationSearchRequest
	}))
	cfg := fakeConfig(f)
	cfg.Users.Name, cfg.Claims = "userid", []string{"surname"}
	if id := mustLogin(t, newProvider(t, cfg), "alice", "alicepw"); id.User != "alice" || id.Claims["surname"] != "One" {
		t.Errorf("user %q, claims %v", id.User, id.Claims)
	}
}

// TestSchemaWithOwnRights: without a service account, a person who may not read the schema
// leaves it to be read for the next, and the refusal names the key (C6).
func TestSchemaWithOwnRights(t *testing.T) {
	var last atomic.Value // the name of the last bind: one login at a time
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		entry := ldaptest.FakeEntry{DN: r.DN, Attributes: ldaptest.Attributes{"badge": {"007"}, "entryUUID": {"1-2-3"}}}
		switch {
		case r.Operation == goldap.ApplicationBindRequest:
			last.Store(r.DN)
			return ldaptest.Answer{}
		case strings.HasPrefix(last.Load().(string), "uid=bob"):
			return ldaptest.Answer{Code: goldap.LDAPResultInsufficientAccessRights}
		case r.DN == "":
			entry.Attributes = ldaptest.Attributes{"subschemaSubentry": {"cn=schema"}}
		case r.DN == "cn=schema":
			entry.Attributes = ldaptest.Attributes{"attributeTypes": {"( 1.2.3 NAME ( 'badge' 'badgeName' ) )"}}
		}
		return ldaptest.Answer{Entries: []ldaptest.FakeEntry{entry}}
	})
	last.Store("")
	cfg := fakeConfig(f)
	cfg.BindDN, cfg.BindPassword = "", secret.Text{}
	cfg.Users = ldap.Users{DNTemplate: "uid={user},dc=x", Name: "badgeName"}
	p := newProvider(t, cfg)
	if _, err := login(t, p, "bob", "pw"); errors.Is(err, providers.ErrRejected) || providers.KeyOf(err) != "bind_dn" || !strings.Contains(err.Error(), "give people the right") {
		t.Errorf("Authenticate(bob) = %v with key %q, want unavailable and what to do", err, providers.KeyOf(err))
	}
	if id := mustLogin(t, p, "alice", "pw"); id.User != "007" {
		t.Errorf("Authenticate(alice) after bob = %v", id)
	}
}

// testBinarySubject: a person is found again by a binary subject (C2).
func testBinarySubject(t *testing.T, s *ldaptest.Slapd) {
	guids := map[string]string{"gina": "\x8c\x3e\xff(*)\\\x33\x44\x55\x66\x77\x88\x99\xaa\x00", "greg": "\x8c\x3e\xff(*)\\\x33\x44\x55\x66\x77\x88\x99\xaa\x01"}
	for uid, guid := range guids {
		addPerson(t, s, s.Person(uid), ldaptest.Attributes{"uid": {uid}, "GUID": {guid}})
	}
	cfg := slapdConfig(s)
	cfg.Users.Subject = "guid"
	p := newProvider(t, cfg)
	id := mustLogin(t, p, "gina", "pw")
	if want := "0x8c3eff282a295c33445566778899aa00"; id.Subject != want {
		t.Errorf("Subject = %q, want %q", id.Subject, want)
	}
	s.Rename(t, s.Person("gina"), "uid=regina", s.People)
	if again, err := p.Revalidate(t.Context(), id); err != nil || again.User != "regina" || again.Subject != id.Subject {
		t.Errorf("Revalidate after a rename = %v, %v, want regina", again, err)
	}
	s.Delete(t, s.Person("regina"))
	if _, err := p.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate of a deleted person = %v, want ErrGone", err)
	}
}
