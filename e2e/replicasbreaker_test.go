package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
	"shorepass/session/postgres/postgrestest"
)

// checkBreakerOpen tests that every replica reports the directory's circuit breaker as
// open, at /readyz and in the log.
func (r replicas) checkBreakerOpen(t *testing.T) {
	t.Helper()
	for i, s := range r {
		eventually(t, 5*time.Second, func() error {
			resp, err := http.Get(s.url + "/readyz?all")
			if err != nil {
				return err
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusServiceUnavailable {
				return fmt.Errorf("replica %d: /readyz?all = %d while the circuit breaker is open, want 503", i, resp.StatusCode)
			}
			return nil
		})
		if body, err := get(s.url + "/readyz"); err != nil || !strings.Contains(string(body), `"circuit breaker of corp":"open"`) {
			t.Errorf("replica %d: /readyz = %s, %v, want 200 and the circuit breaker", i, body, err)
		}
		if !strings.Contains(s.process.output(), "circuit breaker open") {
			t.Errorf("replica %d logs nothing of the circuit breaker", i)
		}
	}
}

// awaitRecovery waits until every token is redeemed again.
func (r replicas) awaitRecovery(t *testing.T, tokens []string) {
	t.Helper()
	for i, token := range tokens {
		eventually(t, 5*time.Second, func() error {
			if a := r[i%len(r)].redeem(t, token, teamScope); !a.accepted() {
				return fmt.Errorf("person %d after the directory is correct again: %v, want 200", i, a)
			}
			return nil
		})
	}
}

// logInAll logs people in, at the replicas in turn.
func (r replicas) logInAll(t *testing.T, people int, password func(uid string) string) (uids, tokens []string) {
	t.Helper()
	for i := range people {
		uid := fmt.Sprintf("user%05d", i+1)
		uids, tokens = append(uids, uid), append(tokens, r[i%len(r)].login(t, uid, password(uid)))
	}
	return uids, tokens
}

// replicasLostRight removes the service account's permission to read people, so that
// all seem gone. No session ends, and with the permission back all are redeemed.
func replicasLostRight(t *testing.T, pg *postgrestest.Server) {
	const people = 12
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{People: people, Readers: true})
	r := newReplicas(t, database(t, pg), options{
		providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules, session: "revalidate = \"1s\"\ngrace = \"5m\"",
	})
	_, tokens := r.logInAll(t, people, func(uid string) string { return "pw" + uid })
	d.HidePeople(t)
	time.Sleep(1100 * time.Millisecond)
	for i, token := range tokens {
		r[i%len(r)].redeem(t, token, teamScope)
	}
	for range 4 { // repeated refusals change nothing
		for _, token := range tokens {
			r.checkAll(t, token, "503")
		}
		time.Sleep(1100 * time.Millisecond)
	}
	r.checkBreakerOpen(t)
	d.ShowPeople(t)
	r.awaitRecovery(t, tokens)
}

// replicasAllPasswordsChanged changes the passwords of all people: no circuit breaker
// opens, each old session is refused with 401, and each new login succeeds.
func replicasAllPasswordsChanged(t *testing.T, pg *postgrestest.Server) {
	const people = 300
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 5, People: people, Quiet: true})
	r := newReplicas(t, database(t, pg), options{
		providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules, session: "revalidate = \"1s\"",
	})
	password := func(change int) func(string) string {
		return func(uid string) string { return fmt.Sprintf("pw%d %s", change, uid) }
	}
	change := func(n int) {
		for i := range people {
			uid := fmt.Sprintf("user%05d", i+1)
			d.SetPassword(t, d.Person(uid), password(n)(uid))
			d.Set(t, d.Person(uid), "pwdReset") // after an administrator's change the person would have to change the password
		}
	}
	change(1) // a first pwdChangedTime is no change of the stamp
	uids, tokens := r.logInAll(t, people, password(1))
	time.Sleep(1100 * time.Millisecond) // pwdChangedTime has a resolution of a second
	change(2)
	for i, token := range tokens {
		if a := r[i%len(r)].redeem(t, token, teamScope); a.Status != http.StatusUnauthorized {
			t.Fatalf("%s after the change of the password: %v, want 401", uids[i], a)
		}
	}
	_, tokens = r.logInAll(t, people, password(2))
	time.Sleep(1100 * time.Millisecond)
	for i, token := range tokens {
		if a := r[i%len(r)].redeem(t, token, teamScope); !a.accepted() {
			t.Fatalf("%s after a login with the new password: %v, want 200", uids[i], a)
		}
	}
	for i, s := range r {
		if strings.Contains(s.process.output(), "circuit breaker") {
			t.Errorf("replica %d logs that a circuit breaker opened", i)
		}
	}
}

// replicasEverybodyRejected has a directory reject the passwords that it accepted
// shortly before, at the same address. The circuit breaker opens: rejections of any
// name are 503 on every replica, and a person whom the directory accepts logs in.
func replicasEverybodyRejected(t *testing.T, pg *postgrestest.Server) {
	const people = 12
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{People: people})
	r := newReplicas(t, database(t, pg), options{providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules})
	password := func(uid string) string { return "pw" + uid }
	uids, _ := r.logInAll(t, people, password)
	another := secrets.newPassword("all")
	for _, uid := range uids {
		d.SetPassword(t, d.Person(uid), another)
		d.Set(t, d.Person(uid), "pwdReset") // after an administrator's change the person would have to change the password
	}
	time.Sleep(66 * time.Second) // the window is a minute, in slots of five seconds: no login in it was accepted
	offline := func(s *server, user, password string) int {
		return s.get(t, "account="+user+"&client_id=docker&offline_token=true&service="+service, basic(user, password)).Status
	}
	for i, uid := range uids {
		if got := offline(r[i%len(r)], uid, password(uid)); got != http.StatusUnauthorized && i < 9 {
			t.Errorf("%s = %d, want 401", uid, got)
		}
	}
	r.checkBreakerOpen(t)
	for i, s := range r {
		for _, user := range []string{uids[i], "nobody-of-this-name"} {
			if got := offline(s, user, "a wrong password"); got != http.StatusServiceUnavailable {
				t.Errorf("replica %d: %s with a wrong password = %d, want 503", i, user, got)
			}
		}
		if got := offline(s, uids[i], another); got != http.StatusOK {
			t.Errorf("replica %d: %s with the right password = %d, want 200", i, uids[i], got)
		}
	}
}
