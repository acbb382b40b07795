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

	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// TestGroups: each way of finding groups finds those of each person.
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
		{"member, uniqueMember and memberUid", ldap.Groups{Filter: "(|(member={dn})(uniqueMember={dn})(memberUid={uid}))"}, []string{"devs", "ops", "uniques"}, []string{"round-a"}, []string{"all", "ops"}},
		{"memberOf", ldap.Groups{Attribute: "memberOf"}, []string{"devs"}, []string{"round-a"}, []string{"all"}},
		{"memberOf and name by another attribute", ldap.Groups{Attribute: "memberOf", Name: "description"}, []string{"Developers"}, nil, nil},
		{"walk", ldap.Groups{Nested: "walk"}, []string{"all", "company", "devs"}, []string{"round-a", "round-b"}, []string{"all", "company"}},
		{"walk, depth 1", ldap.Groups{Nested: "walk", Depth: 1}, []string{"all", "devs"}, []string{"round-a", "round-b"}, []string{"all", "company"}},
		{"walk from memberOf", ldap.Groups{Attribute: "memberOf", Nested: "walk"}, []string{"all", "company", "devs"}, []string{"round-a", "round-b"}, []string{"all", "company"}},
		{"walk from member and memberUid", ldap.Groups{Filter: "(|(member={dn})(memberUid={user}))", Nested: "walk"},
			[]string{"all", "company", "devs", "ops"}, []string{"round-a", "round-b"}, []string{"all", "company", "ops"}},
		{"scope one", ldap.Groups{Base: new(s.Base), Scope: "one"}, nil, nil, nil},
		{"another base", ldap.Groups{Base: new("ou=east," + s.Groups)}, nil, nil, []string{"same"}},
		{"another base, memberOf", ldap.Groups{Base: new("ou=west," + s.Groups), Attribute: "memberOf"}, nil, nil, []string{"Same"}},
		{"the whole tree", ldap.Groups{Base: new(s.Base)}, []string{"devs", "outside"}, []string{"round-a"}, []string{"all"}},
		{"only and rename", ldap.Groups{Nested: "walk", GroupNames: providers.GroupNames{Only: []string{"ALL", "dev*"}, Rename: map[string]string{"Devs": "developers"}}},
			[]string{"all", "developers"}, nil, []string{"all"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := slapdConfig(s)
			if test.groups.Base == nil {
				test.groups.Base = &s.Groups
			}
			cfg.Groups = test.groups
			p := newProvider(t, cfg)
			s.Set(t, s.Person("erin"), "shadowExpire")
			if test.groups.Name == "description" {
				s.Set(t, s.Group("devs"), "description", "Developers")
				defer s.Set(t, s.Group("devs"), "description")
			}
			for _, person := range []struct {
				name string
				want []string
			}{{"alice", test.alice}, {"erin", test.erin}, {"bob", test.bob}, {"nameless", nil}} {
				if id := mustLogin(t, p, person.name, person.name+"pw"); !slices.Equal(id.Groups, person.want) {
					t.Errorf("groups of %s = %q, want %q", person.name, id.Groups, person.want)
				}
			}
		})
	}
}

// TestSameName: a name that two groups have is unsure, and is one warning in the log and
// in Ping.
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
	if all := found.String(); err != nil || !strings.Contains(all, `are both called "same"`) {
		t.Errorf("Ping() = %s, %v, want the warning", all, err)
	}
}

// TestUnreadableGroupsRefuseTheLogin: a login fails if some groups cannot be read, since
// a rule may deny one of them.
func TestUnreadableGroupsRefuseTheLogin(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for _, test := range []struct {
		name   string
		groups ldap.Groups
		want   error // nil for unavailable
	}{
		{"base that does not exist", ldap.Groups{Base: new("ou=nowhere," + s.Base)}, nil},
		{"attribute that the entry lacks", ldap.Groups{Base: new(s.Groups), Filter: "(gidNumber={gidNumber})"}, providers.ErrRejected},
	} {
		cfg := slapdConfig(s)
		cfg.Groups = test.groups
		_, err := login(t, newProvider(t, cfg), "bob", "bobpw")
		if test.want == nil {
			wantUnavailable(t, test.name, time.Now(), err)
		} else if !errors.Is(err, test.want) {
			t.Errorf("%s: Authenticate = %v, want %v", test.name, err, test.want)
		}
	}
}

// TestManyGroups: 1,200 groups are found with paged searches and batched filters, though
// slapd returns at most 500 entries per page.
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
		{Base: &s.Groups, Nested: "walk"},
		{Base: &s.Groups, Nested: "walk", Attribute: "memberOf"},
		{Base: &s.Groups, Nested: "walk", Attribute: "memberOf", Name: "entryUUID"},
	} {
		cfg := slapdConfig(s)
		cfg.Groups = groups
		if id := mustLogin(t, newProvider(t, cfg), "alice", "alicepw"); len(id.Groups) != 1203 {
			t.Errorf("%d groups with %v, want 1203", len(id.Groups), groups)
		}
	}
}

// testActiveDirectoryGroups: at Active Directory each way of finding groups finds those that
// it covers.
func testActiveDirectoryGroups(t *testing.T, s *ldaptest.Samba) {
	for _, test := range []struct {
		name   string
		change func(g *ldap.Groups)
		alice  []string
		frank  []string
	}{
		{"token groups", func(*ldap.Groups) {}, []string{"inner", "middle", "outer"}, []string{"crew", "fleet", "middle", "outer"}},
		{"in chain", func(g *ldap.Groups) { g.Nested = "in_chain" }, []string{"inner", "middle", "outer"}, []string{"crew", "fleet", "middle", "outer"}},
		{"token groups of the whole domain", func(g *ldap.Groups) { g.Base = new(s.Base) },
			[]string{"Domain Users", "Users", "inner", "middle", "outer"}, []string{"Domain Users", "Users", "crew", "fleet", "middle", "outer"}},
		{"in chain of the whole domain", func(g *ldap.Groups) { g.Base, g.Nested = new(s.Base), "in_chain" },
			[]string{"Domain Users", "Users", "inner", "middle", "outer"}, []string{"Domain Users", "Users", "crew", "fleet", "middle", "outer"}},
		// memberOf and member do not cover the primary group.
		{"memberOf", func(g *ldap.Groups) { g.Attribute = "memberOf" }, []string{"inner"}, []string{"middle"}},
		{"memberOf and walk", func(g *ldap.Groups) { g.Attribute, g.Nested = "memberOf", "walk" }, []string{"inner", "middle", "outer"}, []string{"middle", "outer"}},
		{"member and walk, depth 1", func(g *ldap.Groups) { g.Filter, g.Nested, g.Depth = "(member={dn})", "walk", 1 }, []string{"inner", "middle"}, []string{"middle", "outer"}},
		{"only and rename", func(g *ldap.Groups) {
			g.Only, g.Rename = []string{"OUT*", "crew"}, map[string]string{"Outer": "everybody"}
		},
			[]string{"everybody"}, []string{"crew", "everybody"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := sambaConfig(s)
			test.change(&cfg.Groups)
			p := newProvider(t, cfg)
			for _, person := range []struct {
				name string
				want []string
			}{{"alice", test.alice}, {"frank", test.frank}, {"alice", test.alice}} { // alice again, from the cache
				if id := mustLogin(t, p, person.name, person.name+"-Pw1"); !slices.Equal(id.Groups, person.want) {
					t.Errorf("groups of %s = %q, want %q", person.name, id.Groups, person.want)
				}
			}
		})
	}
}
