package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

// sambaTOML returns the provider of a domain controller; groups is the groups
// table.
func sambaTOML(d *ldaptest.Samba, groups string) string {
	secrets.add("service account's password", d.Password)
	return fmt.Sprintf(`
[[provider]]
name = "corp"
kind = "ldap"
preset = "activedirectory"
urls = [%q]
tls = { ca = %q }
bind_dn = %q
bind_password = %q
users = { base = %q }
%s
`, d.LDAPS, d.CA, d.BindDN, d.Password, d.Base, groups)
}

// sambaRules name the group "none" too, which has no members, so that no rule is
// unreachable if groups.only drops the others.
const sambaRules = `
[[rule]]
name = "the innermost push"
groups = ["inner", "none"]
repositories = ["team-alpha/**"]
actions = ["pull", "push", "delete"]

[[rule]]
name = "the outermost pull"
groups = ["outer"]
repositories = ["team-alpha/**"]
actions = ["pull"]

[[rule]]
name = "a crew has a ship"
groups = ["crew", "fleet", "none"]
repositories = ["ships/{group}"]
actions = ["pull"]
`

const sambaScopes = "repository:team-alpha/x:pull,push repository:ships/crew:pull repository:ships/fleet:pull"

// pw1 returns the password of an account of the domain.
func pw1(name string) string { return secrets.add("password of "+name, name+"-Pw1") }

// TestSamba tests with Samba as Active Directory: two domain controllers,
// started one after the other, since each searches for a free address.
func TestSamba(t *testing.T) {
	t.Parallel()
	forGroups, forPeople := ldaptest.StartSamba(t, ldaptest.SambaOptions{}), ldaptest.StartSamba(t, ldaptest.SambaOptions{Lockout: 5})
	t.Run("groups", func(t *testing.T) { t.Parallel(); sambaGroups(t, forGroups) })
	t.Run("people", func(t *testing.T) { t.Parallel(); sambaPeople(t, forPeople) })
}

// sambaGroups finds nested and primary groups by each configuration of groups.
func sambaGroups(t *testing.T, d *ldaptest.Samba) {
	const team, ships = "repository:team-alpha/x:", "repository:ships/crew:pull repository:ships/fleet:pull"
	for _, tc := range []struct {
		name, groups string
		alice, frank string
	}{
		{"by tokenGroups", groupsIn(d.Groups, ""), team + "pull,push", team + "pull " + ships},
		{"by the rule in chain", groupsIn(d.Groups, `, nested = "in_chain"`), team + "pull,push", team + "pull " + ships},
		// memberOf does not have the primary group.
		{"by memberOf, walking", groupsIn(d.Groups, `, attribute = "memberOf", nested = "walk"`), team + "pull,push", team + "pull"},
		{"by memberOf only", groupsIn(d.Groups, `, attribute = "memberOf", rename = { middle = "outer" }`), team + "pull,push", team + "pull"},
		{"nested, the outermost only", groupsIn(d.Groups, `, only = ["outer", "none"]`), team + "pull", team + "pull"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, options{providers: sambaTOML(d, tc.groups), rules: sambaRules})
			for name, want := range map[string]string{"alice": tc.alice, "frank": tc.frank, "bob": ""} {
				a := s.get(t, "service="+service+"&scope="+url.QueryEscape(sambaScopes), basic(name, pw1(name)))
				if !a.accepted() || a.granted(t) != want {
					t.Errorf("%s is granted %v, want %q", name, a, want)
				}
			}
		})
	}
}

// sambaPeople tests login names, account states, wrong passwords and sessions.
func sambaPeople(t *testing.T, d *ldaptest.Samba) {
	s := newServer(t, options{providers: sambaTOML(d, groupsIn(d.Groups, "")), rules: sambaRules, session: `revalidate = "1s"`})

	t.Run("names", func(t *testing.T) {
		for _, tc := range []struct{ typed, account, user string }{
			{"alice", "alice", "alice"},
			{"ALICE", "alice", "alice"},
			{"alice@ad.example.org", "alice", "alice"},
			{"Alice@AD.EXAMPLE.ORG", "alice", "alice"},
			{`ADEX\alice`, "alice", "alice"},
			{`adex\ALICE`, "alice", "alice"},
			{"josé", "josé", "josé"},
			{"o(brien", "o(brien", "o(brien"},
			{"doej", "doej", "doej"},
		} {
			a := s.get(t, "service="+service, basic(tc.typed, pw1(tc.account)))
			if a.Status != http.StatusOK || a.claims(t).Subject != tc.user {
				t.Errorf("login as %q = %v, want 200 as %s", tc.typed, a, tc.user)
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		want := s.get(t, "service="+service, basic("nobody", pw1("nobody"))).Raw
		for _, tc := range []struct{ typed, password string }{
			{"carol", pw1("carol")}, // disabled
			{"dave", pw1("dave")},   // must change the password
			{"erin", pw1("erin")},   // expired
			{`OTHER\alice`, pw1("alice")},
			{"alice@other.example", pw1("alice")},
			{"frank", "not-frank-Pw1"},
			{"frank", ""},
		} {
			a := s.get(t, "service="+service, basic(tc.typed, tc.password))
			if a.Status != http.StatusUnauthorized || a.Raw != want {
				t.Errorf("login as %q = %v, want 401 and\n%s", tc.typed, a, want)
			}
		}
	})
	t.Run("one account window for all names of an account", func(t *testing.T) {
		var last answer
		for n, typed := range []string{"bob", "BOB", `ADEX\bob`, "bob@ad.example.org", " bob ", `adex\BOB`} {
			last = s.get(t, "service="+service, basic(typed, fmt.Sprintf("wrong-for-bob-%d", n)))
		}
		if last.Status != http.StatusUnauthorized {
			t.Errorf("the sixth wrong password, under the sixth name = %v, want 401: 429 would show that it is bob's", last)
		}
		if a := s.get(t, "service="+service, basic(`adex\bob`, pw1("bob"))); a.Status != http.StatusUnauthorized {
			t.Errorf("the right password after that = %v, want 401, since the account's window is full", a)
		}
		if locked := d.Get(t, d.Person("bob"), "lockoutTime"); len(locked) > 0 && locked[0] != "0" {
			t.Error("bob is locked out of his domain")
		}
	})
	t.Run("clients", func(t *testing.T) {
		r := s.registry(t, distributions[0])
		i, ref := dockerImage(t), r.host+"/team-alpha/it:1"
		h := newHome(t)
		h.store(t, r.host, `ADEX\alice`, pw1("alice"))
		if err := upload(t, resolver(t, h), i, ref, ""); err != nil {
			t.Fatalf("push as alice: %v", err)
		}
		for _, c := range clients() {
			for _, name := range []string{"frank", `ADEX\frank`, "frank@ad.example.org"} {
				h := newHome(t)
				if s := c.login(t, h, r.host, name, pw1("frank")); !s.ok {
					t.Errorf("%s login as %s: %v", c.name, name, s)
					continue
				}
				h.stored(t, r.host)
				if s := c.pull(t, h, ref); !s.ok || !s.hasDigest(i.layer.digest()) {
					t.Errorf("%s pull as %s: %v", c.name, name, s)
				}
			}
		}
	})
	t.Run("leavers", func(t *testing.T) {
		token := map[string]string{}
		for _, name := range []string{"alice", "frank", "doej", "josé", "o(brien"} {
			token[name] = s.login(t, name, pw1(name))
		}
		d.Set(t, d.Person("frank"), "userAccountControl", "514")
		d.Remove(t, d.Group("inner"), "member", d.Person("alice"))
		d.SetPassword(t, d.Person("Doe, J"), secrets.newPassword("doej"))
		d.Delete(t, d.Person("josé"))
		time.Sleep(1100 * time.Millisecond)
		for name, want := range map[string]int{"alice": 403, "frank": 401, "doej": 401, "josé": 401, "o(brien": 403} {
			a := s.redeem(t, token[name], sambaScopes)
			if a.Status != want {
				t.Errorf("redeem the token of %s = %v, want %d", name, a, want)
			}
		}
	})
	t.Run("check --live", func(t *testing.T) {
		if got := s.cli(t, "", "check", "--live"); !got.ok {
			t.Errorf("shorepass check --live: %v", got)
		}
	})
	t.Run("outage", func(t *testing.T) {
		d.Kill()
		a := s.get(t, "service="+service+"&offline_token=true", basic("alice", pw1("alice")))
		if a.Status != http.StatusServiceUnavailable {
			t.Fatalf("login = %v, want 503", a)
		}
		checkError(t, a)
	})
}
