package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"sync"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

// directoryRules are for directories with the groups devs and all. They name
// "none" too, which has no members, so that no rule is unreachable if
// groups.only drops devs.
const directoryRules = `
[[rule]]
name = "developers push"
groups = ["devs*", "none"]
repositories = ["team-alpha/**"]
actions = ["pull", "push", "delete"]

[[rule]]
name = "all pull"
groups = ["all"]
repositories = ["team-alpha/**"]
actions = ["pull"]

[[rule]]
name = "everyone has a shelf"
groups = ["authenticated"]
repositories = ["shelf/**"]
actions = ["pull"]
`

const teamScope = "repository:team-alpha/x:pull,push"

// slapdTOML returns the provider of a slapd; more is further keys.
func slapdTOML(s *ldaptest.Slapd, more string, urls ...string) string {
	if len(urls) == 0 {
		urls = []string{s.LDAPS}
	}
	return fmt.Sprintf(`
[[provider]]
name = "corp"
kind = "ldap"
preset = "openldap"
urls = %s
tls = { ca = %q }
bind_dn = %q
bind_password = %q
users = { base = %q }
%s
`, array(urls), s.CA, s.BindDN, s.Password, s.People, more)
}

// groupsIn returns the groups table for a base; more is further keys.
func groupsIn(base, more string) string {
	return fmt.Sprintf("groups = { base = %q%s }\n", base, more)
}

// array returns a TOML array.
func array(words []string) string {
	text := "["
	for _, w := range words {
		text += fmt.Sprintf("%q, ", w)
	}
	return text + "]"
}

// loginOf returns a user of ldaptest and the password.
func loginOf(uid string) (user, password string) {
	return uid, secrets.add("password of "+uid, uid+"pw")
}

// TestSlapdClients runs every client with a directory's passwords, over each
// kind of connection to the directory.
func TestSlapdClients(t *testing.T) {
	t.Parallel()
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	for _, tc := range []struct {
		name, toml string
	}{
		{"plain", slapdTOML(d, "insecure = true\n"+groupsIn(d.Groups, ""), d.URL)},
		{"StartTLS", slapdTOML(d, "start_tls = true\n"+groupsIn(d.Groups, ""), d.URL)},
		{"LDAPS", slapdTOML(d, groupsIn(d.Groups, ""))},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, options{providers: tc.toml, rules: directoryRules})
			r := s.registry(t, distributions[1])
			i, ref := dockerImage(t), r.host+"/team-alpha/it:1"
			h := newHome(t)
			user, password := loginOf("alice")
			h.store(t, r.host, user, password)
			if err := upload(t, resolver(t, h), i, ref, ""); err != nil {
				t.Fatalf("push as alice: %v", err)
			}
			for _, c := range clients() {
				t.Run(c.name, func(t *testing.T) {
					h := newHome(t)
					user, password := loginOf("bob")
					if s := c.login(t, h, r.host, user, password); !s.ok {
						t.Fatalf("login as bob: %v", s)
					}
					h.stored(t, r.host)
					if s := c.pull(t, h, ref); !s.ok || !s.hasDigest(i.layer.digest()) {
						t.Errorf("pull as bob: %v", s)
					}
					if s := c.copy(t, h, ref, r.host+"/team-alpha/other:1"); s.ok || !c.refusedPush.MatchString(s.text) {
						t.Errorf("push as bob: %v\nwant a failure that prints %v", s, c.refusedPush)
					}
				})
			}
		})
	}
}

// TestSlapdLogins tests which accounts can log in, by which names, and which
// groups each configuration of groups finds.
func TestSlapdLogins(t *testing.T) {
	t.Parallel()
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	const both, pull, none = "repository:team-alpha/x:pull,push", "repository:team-alpha/x:pull", ""

	t.Run("groups", func(t *testing.T) {
		for _, tc := range []struct {
			name, toml string
			alice, bob string
		}{
			{"by search", groupsIn(d.Groups, ""), both, pull},
			{"by memberOf", groupsIn(d.Groups, `, attribute = "memberOf"`), both, pull},
			{"by walking", groupsIn(d.Groups, `, nested = "walk"`), both, pull},
			{"renamed", groupsIn(d.Groups, `, rename = { devs = "others" }`), none, pull},
			{"nested, only all", groupsIn(d.Groups, `, nested = "walk", only = ["all", "none"]`), pull, pull},
			{"not nested, only all", groupsIn(d.Groups, `, only = ["all", "none"]`), none, pull},
			{"by memberUid", groupsIn(d.Groups, `, filter = "(memberUid={user})", rename = { ops = "devs" }`), both, both},
			{"by uniqueMember", groupsIn(d.Groups, `, filter = "(uniqueMember={dn})", rename = { uniques = "devs" }`), both, none},
			{"under another base", groupsIn("ou=elsewhere,"+d.Base, `, attribute = "memberOf", rename = { outside = "all" }`), pull, none},
			{"not read", "", none, none},
		} {
			s := newServer(t, options{providers: slapdTOML(d, tc.toml), rules: directoryRules})
			for uid, want := range map[string]string{"alice": tc.alice, "bob": tc.bob} {
				if a := s.get(t, "service="+service+"&scope="+teamScope, basic(loginOf(uid))); !a.accepted() || a.granted(t) != want {
					t.Errorf("groups %s: %s is granted %v, want %q", tc.name, uid, a, want)
				}
			}
		}
	})

	s := newServer(t, options{providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules})
	t.Run("names", func(t *testing.T) {
		for typed, uid := range map[string]string{"alice": "alice", "ALICE": "alice", " Alice ": "alice", "\uff42ob": "bob"} {
			_, password := loginOf(uid)
			if a := s.get(t, "service="+service, basic(typed, password)); a.Status != http.StatusOK || a.claims(t).Subject != uid {
				t.Errorf("login as %q = %v, want 200 as %s", typed, a, uid)
			}
		}
		for _, name := range ldaptest.OddNames {
			user, password := loginOf(name)
			form := url.Values{"grant_type": {"password"}, "service": {service}, "username": {user}, "password": {password}}
			if a := s.post(t, form); a.Status != http.StatusOK || a.claims(t).Subject == "" {
				t.Errorf("login as %q = %v, want 200", name, a)
			}
		}
	})
	t.Run("refused", func(t *testing.T) {
		want := s.get(t, "service="+service, basic("nobody", "nobodypw")).Raw
		for _, uid := range []string{"carol", "dave", "erin", "twin"} {
			a := s.get(t, "service="+service, basic(loginOf(uid)))
			if a.Status != http.StatusUnauthorized || a.Raw != want {
				t.Errorf("login as %s = %v, want 401 and\n%s", uid, a, want)
			}
		}
		binds := d.Binds(t, d.People)
		for _, password := range []string{"", "\x00", "\x00alicepw", "alicepw\x00"} {
			form := url.Values{"grant_type": {"password"}, "service": {service}, "username": {"alice"}, "password": {password}}
			for _, a := range []answer{s.post(t, form), s.get(t, "service="+service, basic("alice", password))} {
				if a.Status != http.StatusUnauthorized || a.Raw != want {
					t.Errorf("login with the password %q = %v, want 401 and\n%s", password, a, want)
				}
			}
		}
		// Some directories take a password that begins with NUL for an empty one,
		// and an unauthenticated bind succeeds.
		if more := d.Binds(t, d.People) - binds; more != 0 {
			t.Errorf("empty passwords and passwords with a NUL made %d binds, want none", more)
		}
	})
	t.Run("check --live", func(t *testing.T) {
		if got := s.cli(t, "", "check", "--live"); !got.ok {
			t.Errorf("shorepass check --live: %v", got)
		}
	})
	t.Run("explain --live", func(t *testing.T) { // F4
		binds := d.Binds(t, d.People)
		for user, want := range map[string]string{
			"Alice":  `(?s)^provider corp \(ldap\): it has the account\n  DN +uid=alice,.*user name +alice\n.*login +not refused.*\n  devs +devs cn=devs,.*developers push`,
			"bob":    `(?s)same +same cn=same,ou=east,\S+ +unsure: another group has this name too.*note: groups .* are both called "same"`,
			"carol":  `(?s)login +refused: locked for good \(pwdAccountLockedTime\), and sessions end\n.*\na login is refused; were it not, the rules would decide:\n`,
			"twin":   `^provider corp \(ldap\): a login is refused: several entries match \(uid=twin\)`,
			"nobody": `^provider corp \(ldap\): it has no account of this name\nno provider has this account; a login is refused\n$`,
		} {
			got := s.cli(t, "", "explain", "--live", "--user", user, "--scope", teamScope)
			if !got.ok || !regexp.MustCompile(want).MatchString(got.text) {
				t.Errorf("shorepass explain --live --user %s: %v, want %s", user, got, want)
			}
		}
		if more := d.Binds(t, d.People) - binds; more != 0 {
			t.Errorf("the directory saw %d binds of people, want none", more)
		}
	})
}

// TestSlapdGroupsAndRules tests the way from the directory's groups to a token:
// a deny rule ignores the case of its group, and a second group of that
// name does not switch it off. A second group of an allow rule's name
// takes the grant from the members of both.
func TestSlapdGroupsAndRules(t *testing.T) {
	t.Parallel()
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	member := func(uid string) ldaptest.Attributes {
		return ldaptest.Attributes{"objectClass": {"groupOfNames"}, "member": {d.Person(uid)}}
	}
	d.Add(t, d.Group("Contractors"), member("alice"))
	d.Add(t, d.Group("Admins"), member("bob"))
	const rules = `
[[rule]]
groups = ["authenticated"]
repositories = ["team-alpha/**"]
actions = ["pull"]

[[rule]]
groups = ["admins"]
repositories = ["team-alpha/**"]
actions = ["push"]

[[rule]]
effect = "deny"
groups = ["CONTRACTORS"]
repositories = ["team-alpha/**"]
actions = ["pull"]
`
	const pull, both, none = "repository:team-alpha/x:pull", "repository:team-alpha/x:pull,push", ""
	s := newServer(t, options{providers: slapdTOML(d, "remember = \"0s\"\n"+groupsIn(d.Groups, "")), rules: rules})
	granted := func(when string, people ...[2]string) { // each uid with what is granted, in this order
		t.Helper()
		for _, one := range people {
			uid, want := one[0], one[1]
			if a := s.get(t, "service="+service+"&scope="+teamScope, basic(loginOf(uid))); !a.accepted() || a.granted(t) != want {
				t.Errorf("%s %s is granted %v, want %q", when, uid, a, want)
			}
		}
	}
	granted("initially", [2]string{"alice", none}, [2]string{"bob", both}, [2]string{"nameless", pull})

	team := "ou=team-x," + d.Groups
	d.Add(t, team, ldaptest.Attributes{"objectClass": {"organizationalUnit"}})
	d.Add(t, "cn=contractors,"+team, member("alice"))
	d.Add(t, "cn=admins,"+team, member("nameless"))
	// The name counts as unsure from the first person on who is in the second group.
	granted("with two groups of one name", [2]string{"alice", none}, [2]string{"nameless", pull}, [2]string{"bob", pull})
}

// TestSlapdProtected guesses passwords: a directory that locks accounts at five
// wrong ones gets at most four, and locks none.
func TestSlapdProtected(t *testing.T) {
	t.Parallel()
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 5})
	s := newServer(t, options{providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules})
	ask := func(user, password string) int {
		return s.get(t, "service="+service, basic(user, password)).Status
	}
	_, right := loginOf("alice")
	if got := ask("alice", right); got != http.StatusOK {
		t.Fatalf("login as alice = %d, want 200", got)
	}

	before := d.Binds(t, d.People)
	var wg sync.WaitGroup
	for range 40 {
		wg.Go(func() { ask("alice", "the-same-wrong-one") })
	}
	wg.Wait()
	if n := d.Binds(t, d.People) - before; n != 1 {
		t.Errorf("one wrong password, forty times: %d binds, want 1", n)
	}
	for n := range 40 {
		wg.Go(func() { ask("alice", fmt.Sprintf("wrong-number-%d", n)) })
	}
	wg.Wait()
	if n := d.Binds(t, d.People) - before; n > 4 {
		t.Errorf("forty-one wrong passwords: %d binds, want at most 4", n)
	}
	if got := ask("alice", right); got != http.StatusTooManyRequests {
		t.Errorf("the right password, which is cached, after that = %d, want 429: the rate limit comes before the cache", got)
	}
	if locked := d.Get(t, d.Person("alice"), "pwdAccountLockedTime"); len(locked) > 0 {
		t.Error("alice is locked out of her directory")
	}
	if got := ask(loginOf("bob")); got != http.StatusOK {
		t.Errorf("bob's login after that = %d, want 200", got)
	}

	before = d.Binds(t, d.People)
	for range 40 {
		wg.Go(func() { ask(loginOf("bob")) })
	}
	wg.Wait()
	if n := d.Binds(t, d.People) - before; n != 0 {
		t.Errorf("a cached password, forty times: %d binds, want none", n)
	}
}

// TestSlapdLeaver changes groups and accounts in the directory: sessions follow
// within revalidate.
func TestSlapdLeaver(t *testing.T) {
	t.Parallel()
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	s := newServer(t, options{providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules, session: `revalidate = "1s"`})
	// A password that was never changed has no pwdChangedTime, and the first
	// one is not taken for a change.
	d.SetPassword(t, d.Person("nameless"), "namelesspw")
	d.Set(t, d.Person("nameless"), "pwdReset")
	token := map[string]string{}
	for _, uid := range []string{"alice", "bob", "nameless", "o(brien", "josé"} {
		token[uid] = s.login(t, uid, secrets.add("password of "+uid, uid+"pw"))
	}
	redeem := func(uid string) answer {
		time.Sleep(1100 * time.Millisecond)
		return s.redeem(t, token[uid], teamScope)
	}
	if a := redeem("alice"); a.Status != http.StatusOK || a.granted(t) != teamScope {
		t.Fatalf("redeem alice's token = %v, want %s", a, teamScope)
	}

	d.Insert(t, d.Group("all"), "member", d.Person("alice"))
	d.Delete(t, d.Group("devs"))
	if a := redeem("alice"); a.Status != http.StatusOK || a.granted(t) != "repository:team-alpha/x:pull" {
		t.Errorf("after alice has moved to another group = %v, want pull only", a)
	}

	d.Set(t, d.Person("bob"), "pwdAccountLockedTime", "000001010000Z")
	if a := redeem("bob"); a.Status != http.StatusUnauthorized {
		t.Errorf("after bob was locked for good = %v, want 401", a)
	}
	d.Set(t, d.Person("bob"), "pwdAccountLockedTime")
	if a := redeem("bob"); a.Status != http.StatusOK {
		t.Errorf("after bob was unlocked within fifteen minutes = %v, want 200", a)
	}

	time.Sleep(1100 * time.Millisecond) // pwdChangedTime counts seconds
	d.SetPassword(t, d.Person("nameless"), secrets.newPassword("nameless"))
	if a := redeem("nameless"); a.Status != http.StatusUnauthorized {
		t.Errorf("after a password was changed = %v, want 401", a)
	}

	d.Delete(t, d.Person("o(brien"))
	if a := redeem("o(brien"); a.Status != http.StatusUnauthorized {
		t.Errorf("after an entry was deleted = %v, want 401", a)
	}
	if a := redeem("josé"); !a.accepted() {
		t.Errorf("an account without a change = %v, want 200", a)
	}
}

// TestSlapdDown suspends and kills the directory: 503 for logins, sessions
// within grace, and recovery without a restart.
func TestSlapdDown(t *testing.T) {
	t.Parallel()
	d, spare := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{}), unusedAddress(t)
	s := newServer(t, options{
		providers: slapdTOML(d, groupsIn(d.Groups, ""), "ldaps://"+spare, d.LDAPS),
		rules:     directoryRules, session: `revalidate = "1s"`,
	})
	token := s.login(t, "alice", "alicepw")
	down := func(why string) {
		t.Helper()
		time.Sleep(1100 * time.Millisecond)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				began := time.Now()
				a := s.get(t, "service="+service+"&offline_token=true", basic("alice", "alicepw"))
				if took := time.Since(began); a.Status != http.StatusServiceUnavailable || took > answerLimit {
					t.Errorf("a login while the directory %s = %v after %v, want 503 within %v", why, a, took, answerLimit)
				} else {
					checkError(t, a)
				}
			})
		}
		wg.Go(func() {
			if a := s.redeem(t, token, teamScope); a.Status != http.StatusOK || a.granted(t) != teamScope {
				t.Errorf("a token while the directory %s = %v, want 200 within its grace", why, a)
			}
		})
		wg.Wait()
	}
	up := func(why string) {
		t.Helper()
		s.process.await(t, 20*time.Second, func() error {
			if a := s.get(t, "service="+service+"&offline_token=true", basic("alice", "alicepw")); a.Status != http.StatusOK {
				return fmt.Errorf("a login after the directory %s = %v, want 200", why, a)
			}
			return nil
		})
	}
	d.Hang()
	down("hangs")
	d.Resume()
	up("goes on")
	d.Kill()
	down("is dead")
	d.Start(t)
	up("is back")

	// It is killed while binds are in flight.
	var wg sync.WaitGroup
	for n := range 6 {
		wg.Go(func() {
			time.Sleep(time.Duration(n) * 5 * time.Millisecond)
			a := s.get(t, "service="+service+"&offline_token=true", basic("bob", "bobpw"))
			if a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
				t.Errorf("a login during the kill = %v, want 200 or 503", a)
			}
		})
	}
	time.Sleep(12 * time.Millisecond)
	d.Kill()
	wg.Wait()
}
