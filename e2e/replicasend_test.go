package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
	"shorepass/session/postgres/postgrestest"
)

// oauth posts a form to an endpoint for sessions.
func (s *server) oauth(t *testing.T, path, authorization string, form url.Values) answer {
	t.Helper()
	var headers []string
	if authorization != "" {
		headers = []string{authorization}
	}
	return s.send(t, http.MethodPost, path, headers, "application/x-www-form-urlencoded", form.Encode())
}

// replicasRevoke ends sessions on one replica in every way, while clients redeem them
// in loops on all three.
func replicasRevoke(t *testing.T, pg *postgrestest.Server) {
	house := testUsers()
	r := newReplicas(t, database(t, pg), options{server: `operators = ["admins"]`})
	bob := r[0].login(t, "bob", house["bob"].password)
	root := basic("root", house["root"].password)
	ended := func(a answer, n int) {
		t.Helper()
		if want := fmt.Sprintf(`{"ended":%d}`, n); a.Status != http.StatusOK || strings.TrimSpace(a.Raw) != want {
			t.Errorf("revoke = %v, want %s", a, want)
		}
	}
	for _, tc := range []struct {
		name string
		by   func(t *testing.T, token string)
	}{
		{"by the command line, by user", func(t *testing.T, _ string) {
			if got := r[1].cli(t, "", "sessions", "revoke", "--user", "alice"); !got.ok || !strings.HasPrefix(got.text, "1 sessions ended") {
				t.Errorf("shorepass sessions revoke --user alice: %v", got)
			}
		}},
		{"by the command line, by group", func(t *testing.T, _ string) {
			if got := r[2].cli(t, "", "sessions", "revoke", "--group", "team-alpha"); !got.ok {
				t.Errorf("shorepass sessions revoke --group team-alpha: %v", got)
			}
		}},
		{"by the bearer of the token", func(t *testing.T, token string) {
			if a := r[2].oauth(t, "/oauth/revoke", "", url.Values{"token": {token}}); a.Status != http.StatusOK {
				t.Errorf("revoke = %v, want 200", a)
			}
		}},
		{"by the person", func(t *testing.T, _ string) {
			ended(r[1].oauth(t, "/oauth/revoke", basic("alice", house["alice"].password), url.Values{"user": {"alice"}}), 1)
		}},
		{"by an operator", func(t *testing.T, _ string) {
			ended(r[0].oauth(t, "/oauth/revoke", root, url.Values{"user": {"alice"}, "provider": {"local"}}), 1)
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			token := r[0].login(t, "alice", house["alice"].password)
			r.checkAll(t, token, "200 pull,push")
			r.converges(t, token, "401", 0, func() { tc.by(t, token) })
			for i, s := range r {
				a := s.oauth(t, "/oauth/introspect", root, url.Values{"token": {token}})
				if a.Status != http.StatusOK || strings.TrimSpace(a.Raw) != `{"active":false}` {
					t.Errorf("replica %d introspects the revoked token: %v, want it inactive", i, a)
				}
			}
			r.checkAll(t, bob, "200 pull")
		})
	}
}

// replicasLeavers changes people in a directory while clients redeem their sessions in
// loops on all replicas.
func replicasLeavers(t *testing.T, pg *postgrestest.Server) {
	const revalidate, grace = time.Second, 6 * time.Second
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 5})
	r := newReplicas(t, database(t, pg), options{
		providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules,
		session: fmt.Sprintf("revalidate = %q\ngrace = %q", revalidate, grace),
	})
	const soon = revalidate + time.Second // a provider that was asked just before the change, on a busy machine
	elsewhere := "ou=elsewhere," + d.Base
	for _, tc := range []struct {
		uid, name string
		run       func(t *testing.T, token string)
	}{
		{"alice", "goes from one group to another", func(t *testing.T, token string) {
			r.converges(t, token, "200 pull", soon, func() {
				d.Insert(t, d.Group("all"), "member", d.Person("alice"))
				d.Delete(t, d.Group("devs"))
			})
		}},
		{"bob", "is locked for good", func(t *testing.T, token string) {
			r.converges(t, token, "401", soon, func() { d.Set(t, d.Person("bob"), "pwdAccountLockedTime", "000001010000Z") })
			r.converges(t, token, "200 pull", soon, func() { d.Set(t, d.Person("bob"), "pwdAccountLockedTime") }) // the end was only pending
		}},
		{"a*", "is locked for a minute", func(t *testing.T, token string) {
			r.converges(t, token, "403", 0, func() {
				d.Set(t, d.Person("a*"), "pwdAccountLockedTime", time.Now().UTC().Format("20060102150405Z"))
				time.Sleep(soon) // every replica has asked the provider
			})
			if a := r[0].get(t, "service="+service, basic(loginOf("a*"))); a.Status != http.StatusUnauthorized {
				t.Errorf("a login with the right password of a locked account = %v, want 401", a)
			}
		}},
		{"nameless", "has a new password", func(t *testing.T, token string) {
			// A first pwdChangedTime is no change of the stamp, and its resolution is a
			// second.
			d.SetPassword(t, d.Person("nameless"), "namelesspw")
			d.Set(t, d.Person("nameless"), "pwdReset")
			r.converges(t, token, "403", 0, func() { time.Sleep(soon) })
			token = r[1].login(t, "nameless", "namelesspw")
			r.converges(t, token, "401", soon, func() { d.SetPassword(t, d.Person("nameless"), secrets.newPassword("nameless")) })
		}},
		{"o(brien", "is removed and restored", func(t *testing.T, token string) {
			r.converges(t, token, "401", soon, func() { d.Rename(t, d.Person("o(brien"), "uid=o(brien", elsewhere) })
			r.converges(t, token, "403", soon, func() { d.Rename(t, "uid=o(brien,"+elsewhere, "uid=o(brien", d.People) })
		}},
		{"josé", "is removed for longer than grace", func(t *testing.T, token string) {
			r.converges(t, token, "401", soon, func() { d.Rename(t, d.Person("josé"), "uid=josé", elsewhere) })
			r.converges(t, token, "401", 0, func() { time.Sleep(grace) })
			r.converges(t, token, "403", soon, func() { d.Rename(t, "uid=josé,"+elsewhere, "uid=josé", d.People) }) // the end was only pending
		}},
		{`dom\user`, "is unchanged", func(t *testing.T, token string) {
			r.converges(t, token, "403", 0, func() { time.Sleep(4 * time.Second) })
		}},
	} {
		t.Run(tc.uid+" "+tc.name, func(t *testing.T) {
			t.Parallel()
			tc.run(t, r[len(tc.uid)%len(r)].login(t, tc.uid, tc.uid+"pw"))
		})
	}
}

// replicasSambaLeavers is replicasLeavers with Active Directory.
func replicasSambaLeavers(t *testing.T, pg *postgrestest.Server) {
	const soon = 2 * time.Second
	d := ldaptest.StartSamba(t, ldaptest.SambaOptions{Lockout: 3}) // as many as the throttle admits
	r := newReplicas(t, database(t, pg), options{
		providers: sambaTOML(d, groupsIn(d.Groups, "")), rules: sambaRules, session: "revalidate = \"1s\"\ngrace = \"6s\"",
	})
	for _, tc := range []struct {
		name, person, before, after string
		change                      func()
	}{
		{"alice", "leaves a group", "200 pull,push", "403", func() { d.Remove(t, d.Group("inner"), "member", d.Person("alice")) }},
		{"frank", "is disabled", "200 pull", "401", func() { d.Set(t, d.Person("frank"), "userAccountControl", "514") }},
		{"bob", "expires", "403", "401", func() { d.Set(t, d.Person("bob"), "accountExpires", "132000000000000000") }},
		{"doej", "has a new password", "403", "401", func() { d.SetPassword(t, d.Person("Doe, J"), secrets.newPassword("doej")) }},
		{"josé", "is deleted", "403", "401", func() { d.Delete(t, d.Person("josé")) }},
		{"o(brien", "is locked by a stranger's guesses", "403", "403", func() {
			for i, s := range r {
				s.get(t, "service="+service, basic("o(brien", fmt.Sprintf("guess-at-o-brien-%d", i)))
			}
			if locked := d.Get(t, d.Person("o(brien"), "lockoutTime"); len(locked) == 0 || locked[0] == "0" {
				t.Error("o(brien is not locked")
			}
		}},
	} {
		t.Run(tc.name+" "+tc.person, func(t *testing.T) {
			t.Parallel()
			token := r[len(tc.name)%len(r)].login(t, tc.name, pw1(tc.name))
			r.checkAll(t, token, tc.before)
			r.converges(t, token, tc.after, soon, tc.change)
		})
	}
}

// replicasProviderDown kills the directory while clients redeem in loops: for grace
// redemptions succeed, then they are 503 and never 401, and when the directory is back
// they succeed again.
func replicasProviderDown(t *testing.T, pg *postgrestest.Server) {
	const revalidate, grace = time.Second, 3 * time.Second
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	r := newReplicas(t, database(t, pg), options{
		providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules,
		session: fmt.Sprintf("revalidate = %q\ngrace = %q", revalidate, grace),
	})
	token := r[0].login(t, "alice", "alicepw")
	r.converges(t, token, "200 pull,push", 0, func() { time.Sleep(revalidate) })
	stop := r.watch(t, token)
	d.Kill()
	down := time.Now()
	time.Sleep(revalidate + grace + 1300*time.Millisecond)
	checkError(t, r[1].redeem(t, token, teamScope))
	checkGrace(t, stop(), "200 pull,push", down, time.Now(), revalidate, grace)
	d.Start(t)
	for i, s := range r {
		eventually(t, 10*time.Second, func() error {
			if a := s.redeem(t, token, teamScope); a.outcome(t) != "200 pull,push" {
				return fmt.Errorf("replica %d after the directory is back: %v", i, a)
			}
			return nil
		})
	}
}

// replicasMassLockout locks all accounts of a directory for good at the same time, as
// a broken one may seem to. The circuit breaker opens, and no session ends.
func replicasMassLockout(t *testing.T, pg *postgrestest.Server) {
	const people = 14
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 5, People: people})
	r := newReplicas(t, database(t, pg), options{
		providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules, session: "revalidate = \"1s\"\ngrace = \"1m\"",
	})
	tokens, dns := make([]string, people), make([]string, people)
	for i := range people {
		uid := fmt.Sprintf("user%05d", i+1)
		tokens[i], dns[i] = r[i%len(r)].login(t, uid, "pw"+uid), d.Person(uid)
	}
	for _, dn := range dns {
		d.Set(t, dn, "pwdAccountLockedTime", "000001010000Z")
	}
	// No replica alone counts as many refusals as open the circuit breaker.
	time.Sleep(1100 * time.Millisecond)
	for i, token := range tokens {
		r[i%len(r)].redeem(t, token, teamScope)
	}
	for _, token := range tokens {
		r.checkAll(t, token, "503")
	}
	r.checkBreakerOpen(t)
	for _, dn := range dns {
		d.Set(t, dn, "pwdAccountLockedTime")
	}
	r.awaitRecovery(t, tokens)
}
