package ldap_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// TestInspect (F4): the service account sees what a login would see, and the directory
// counts no bind.
func TestInspect(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 2})
	s.Set(t, s.Person("bob"), "pwdAccountLockedTime", "20200102030405Z")
	binds := s.Binds(t, s.People)
	for _, test := range []struct {
		name   string
		change func(c *ldap.Config)
		login  providers.Login
		err    error
		want   string // see inspected
	}{
		{"groups", func(*ldap.Config) {}, "ALICE", nil, "alice: devs"},
		{"nested, renamed, only", func(c *ldap.Config) {
			c.Groups.Nested, c.Groups.Only, c.Groups.Rename = "walk", []string{"devs", "all"}, map[string]string{"devs": "developers"}
		}, "alice", nil, "alice: all company=- devs=developers"},
		{"domain", func(c *ldap.Config) { c.Users.Domains = []string{"CORP"} }, `corp\alice`, nil, "alice: devs"},
		{"another domain", func(*ldap.Config) {}, `corp\alice`, providers.ErrNotMine, ""},
		{"two groups of one name, and a lock", func(*ldap.Config) {}, "bob", nil, "bob: Same? all same?; was locked for wrong passwords at 2020-01-02 03:04:05 UTC, and may be so still (pwdAccountLockedTime); groups cn=Same"},
		{"locked for good", func(*ldap.Config) {}, "carol", nil, "carol: ; refused, ends sessions: locked for good (pwdAccountLockedTime)"},
		{"must change the password", func(*ldap.Config) {}, "dave", nil, "dave: ; refused: must change the password (pwdReset)"},
		{"expired", func(*ldap.Config) {}, "erin", nil, "erin: round-a; refused, ends sessions: expired (shadowExpire)"},
		{"two entries", func(*ldap.Config) {}, "twin", providers.ErrRejected, ""},
		{"unknown", func(*ldap.Config) {}, "nobody", providers.ErrNotMine, ""},
		{"no user name", func(c *ldap.Config) { c.Users.Name = "mail" }, "nameless", nil, "; refused: uid=nameless,ou=people,dc=example,dc=org shows 0 values of mail, which must be one"},
		{"template", func(c *ldap.Config) { c.Users.DNTemplate = "uid={user}," + s.People }, "alice", nil, "alice: devs"},
		{"template, unknown", func(c *ldap.Config) { c.Users.DNTemplate = "uid={user}," + s.People }, "nobody", providers.ErrRejected, ""},
		{"template without a service account", func(c *ldap.Config) {
			c.Users.DNTemplate, c.BindDN, c.BindPassword = "uid={user},"+s.People, "", secret.Text{}
		}, "alice", providers.ErrCannotInspect, ""},
		{"missing groups.base", func(c *ldap.Config) { c.Groups.Base = new("ou=nowhere," + s.Base) }, "alice", errUnavailable, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := slapdConfig(s)
			test.change(&cfg)
			found, err := newProvider(t, cfg).Inspect(t.Context(), test.login)
			switch {
			case test.err == errUnavailable:
				if err == nil || errors.Is(err, providers.ErrRejected) || errors.Is(err, providers.ErrNotMine) {
					t.Errorf("Inspect = %v, want unavailable", err)
				}
			case !errors.Is(err, test.err):
				t.Errorf("Inspect = %v, want %v", err, test.err)
			case err == nil && !strings.HasPrefix(inspected(found), test.want):
				t.Errorf("Inspect = %s\nwant %s", inspected(found), test.want)
			}
		})
	}
	if more := s.Binds(t, s.People) - binds; more != 0 {
		t.Errorf("the directory saw %d binds of people, want none", more)
	}
	t.Run("as a login", func(t *testing.T) {
		for _, uid := range append([]string{"alice"}, ldaptest.OddNames[:]...) {
			p := newProvider(t, slapdConfig(s))
			found, err := p.Inspect(t.Context(), providers.Login(uid))
			if err != nil {
				t.Fatal(err)
			}
			id := mustLogin(t, p, uid, uid+"pw")
			if diff := cmp.Diff(id, found.Identity, cmpopts.IgnoreFields(providers.Identity{}, "RefreshToken")); diff != "" {
				t.Errorf("%s: identity (-login +Inspect)\n%s", uid, diff)
			}
		}
	})
}

var errUnavailable = errors.New("unavailable")

// inspected formats an inspection: "user: group group=renamed group=- group?; refused:
// text; note", with "?" for an unsure group and "-" for one that only drops.
func inspected(found *providers.Inspection) string {
	var all []string
	for _, g := range found.Groups {
		text := g.Name
		switch name, kept := found.Namer.Name(g); {
		case !kept:
			text += "=-"
		case name != g.Name:
			text += "=" + name
		}
		if g.Unsure {
			text += "?"
		}
		all = append(all, text)
	}
	slices.Sort(all)
	line := ""
	if found.Identity != nil {
		line = found.Identity.User + ": " + strings.Join(all, " ")
	}
	for _, r := range found.Refusals {
		sessions := ""
		if r.EndsSessions {
			sessions = ", ends sessions"
		}
		line += fmt.Sprintf("; refused%s: %s", sessions, r.Text)
	}
	for _, note := range found.Notes {
		line += "; " + note
	}
	return line
}
