package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"shorepass/providers/ldap/ldaptest"
	"shorepass/session/postgres/postgrestest"
)

// loginFrom logs in by GET or by POST with a client address that a trusted proxy
// forwards.
func (s *server) loginFrom(t *testing.T, address, method, user, password string) answer {
	t.Helper()
	secrets.add("wrong password", password)
	form := url.Values{"service": {service}}
	target, body := s.url+"/jwt/auth", ""
	if method == http.MethodPost {
		form["grant_type"], form["username"], form["password"], form["access_type"] = []string{"password"}, []string{user}, []string{password}, []string{"offline"}
		body = form.Encode()
	} else {
		form["offline_token"] = []string{"true"} // an offline login does not use the cache of right passwords
		target += "?" + form.Encode()
	}
	r, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	must(t, err)
	r.Header.Set("X-Forwarded-For", address)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	} else {
		r.Header.Set("Authorization", basic(user, password))
	}
	return do(t, r)
}

// replicasWrongPasswords sends wrong passwords to all replicas: the rate limit admits
// three in all to the directory, which locks accounts after five.
func replicasWrongPasswords(t *testing.T, pg *postgrestest.Server) {
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: 5, People: 3})
	r := newReplicas(t, database(t, pg), options{
		providers: slapdTOML(d, groupsIn(d.Groups, "")), rules: directoryRules, server: `trusted_proxies = ["127.0.0.1"]`,
	})
	want := func(t *testing.T, what string, a answer, status int) {
		t.Helper()
		if a.Status != status {
			t.Errorf("%s = %v, want %d", what, a, status)
		} else if status != http.StatusOK {
			checkError(t, a)
		}
	}
	asked := func(t *testing.T, uid string, times int) {
		t.Helper()
		if n := d.Binds(t, d.Person(uid)); n != times {
			t.Errorf("the directory was asked about passwords of %s %d times, want %d", uid, n, times)
		}
		if locked := d.Get(t, d.Person(uid), "pwdAccountLockedTime"); len(locked) > 0 {
			t.Errorf("%s is locked out of the directory", uid)
		}
	}
	t.Run("three distinct wrong passwords are sent to the directory", func(t *testing.T) {
		t.Parallel()
		for i, s := range r {
			want(t, "a wrong password", s.loginFrom(t, "192.0.2.1", http.MethodGet, "alice", fmt.Sprintf("alice-wrong-%d", i)), 401)
		}
		asked(t, "alice", 3)
		for i, s := range r {
			want(t, "the fourth", s.loginFrom(t, "192.0.2.1", http.MethodGet, "alice", "alice-wrong-4"), 429)
			want(t, "the fourth, from another address", s.loginFrom(t, "192.0.2.2", http.MethodPost, " ALICE", "alice-wrong-4"), 429)
			want(t, "one of the three, repeated", s.loginFrom(t, "192.0.2.2", http.MethodGet, "Alice", fmt.Sprintf("alice-wrong-%d", i)), 401)
		}
		asked(t, "alice", 3)
	})
	t.Run("a stale password in a loop counts once", func(t *testing.T) {
		t.Parallel()
		for i := range 30 {
			want(t, "a stale password", r[i%3].loginFrom(t, "192.0.2.10", []string{"GET", "POST"}[i%2], "bob", "bob-has-changed-it"), 401)
		}
		var fleet sync.WaitGroup
		for i := range 30 {
			fleet.Go(func() {
				want(t, "a stale password in a fleet", r[i%3].loginFrom(t, "192.0.2.10", "GET", "bob", "bob-has-changed-it"), 401)
			})
		}
		fleet.Wait()
		asked(t, "bob", 1)
		want(t, "the right password", r[2].loginFrom(t, "192.0.2.10", "GET", "bob", "bobpw"), 200)
	})
	t.Run("a stranger locks the owner out at new addresses alone", func(t *testing.T) {
		t.Parallel()
		want(t, "a login", r[0].loginFrom(t, "198.51.100.7", "GET", "nameless", "namelesspw"), 200)
		for i := range 12 {
			a := r[i%3].loginFrom(t, "203.0.113.9", "GET", "nameless", fmt.Sprintf("guess-at-nameless-%d", i))
			want(t, fmt.Sprintf("the guess %d of a stranger", i), a, map[bool]int{true: 401, false: 429}[i < 3])
		}
		asked(t, "nameless", 1+3)
		for _, s := range r {
			want(t, "a login from an address with a proof", s.loginFrom(t, "198.51.100.7", "GET", "nameless", "namelesspw"), 200)
			want(t, "a login from an address without a proof", s.loginFrom(t, "198.51.100.8", "GET", "nameless", "namelesspw"), 429)
		}
		want(t, "one wrong password from an address with a proof", r[1].loginFrom(t, "198.51.100.7", "GET", "nameless", "namelesspe"), 401)
		want(t, "the right password after it", r[2].loginFrom(t, "198.51.100.7", "GET", "nameless", "namelesspw"), 429)
	})
	t.Run("a wrong password by POST and by GET counts once", func(t *testing.T) {
		t.Parallel()
		for i := range 3 {
			password := fmt.Sprintf("o-brien-wrong-%d", i)
			want(t, "by POST", r[i].loginFrom(t, "192.0.2.20", http.MethodPost, "o(brien", password), 401)
			want(t, "by GET", r[(i+1)%3].loginFrom(t, "192.0.2.20", http.MethodGet, "o(brien", password), 401)
		}
		want(t, "the fourth", r[0].loginFrom(t, "192.0.2.20", http.MethodPost, "o(brien", "o-brien-wrong-4"), 429)
		if n := d.Binds(t, d.Person("o(brien")); n != 3 {
			t.Errorf("the directory was asked about passwords of o(brien %d times, want 3", n)
		}
	})
	t.Run("a redemption is a proof for its address", func(t *testing.T) {
		t.Parallel()
		token := r[0].loginFrom(t, "198.51.100.20", "GET", "user00003", "pwuser00003").RefreshToken
		form := url.Values{"service": {service}, "grant_type": {"refresh_token"}, "refresh_token": {token}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r[1].url+"/jwt/auth", strings.NewReader(form.Encode()))
		must(t, err)
		req.Header.Set("X-Forwarded-For", "198.51.100.21")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		want(t, "the token, redeemed at another address", do(t, req), 200)
		for i := range 3 {
			want(t, "a stranger's guess", r[i].loginFrom(t, "203.0.113.20", "GET", "user00003", fmt.Sprintf("guess-at-user3-%d", i)), 401)
		}
		want(t, "a login from the address of the redemption", r[2].loginFrom(t, "198.51.100.21", "GET", "user00003", "pwuser00003"), 200)
		want(t, "a login from an address without a proof", r[2].loginFrom(t, "198.51.100.22", "GET", "user00003", "pwuser00003"), 429)
	})
	t.Run("tokens and other persons are not limited", func(t *testing.T) {
		t.Parallel()
		token := r[0].loginFrom(t, "192.0.2.30", "GET", "josé", "josépw").RefreshToken
		for i := range 8 {
			r[i%3].loginFrom(t, "203.0.113.30", "GET", "josé", fmt.Sprintf("guess-at-josé-%d", i))
		}
		r.checkAll(t, token, "403") // good, and without rights on the repository
		want(t, "another person from the stranger's address", r[1].loginFrom(t, "203.0.113.30", "GET", "a*", "a*pw"), 200)
	})
	t.Run("fifty concurrent logins with one wrong password ask once", func(t *testing.T) {
		t.Parallel()
		var fleet sync.WaitGroup
		for i := range 50 {
			fleet.Go(func() {
				want(t, "a stale password", r[i%3].loginFrom(t, fmt.Sprintf("192.0.2.%d", 100+i), []string{"GET", "POST"}[i%2], "user00002", "user-has-changed-it"), 401)
			})
		}
		fleet.Wait()
		asked(t, "user00002", 1)
	})
	t.Run("thirty concurrent distinct passwords make three binds at most", func(t *testing.T) {
		t.Parallel()
		var guesses sync.WaitGroup
		for i := range 30 {
			guesses.Go(func() {
				r[i%3].loginFrom(t, fmt.Sprintf("192.0.2.%d", 40+i), "GET", "user00001", fmt.Sprintf("guess-at-user-%d", i))
			})
		}
		guesses.Wait()
		if n := d.Binds(t, d.Person("user00001")); n > 3 {
			t.Errorf("thirty concurrent wrong passwords made %d binds, want 3 at most", n)
		} else {
			t.Logf("thirty concurrent wrong passwords on three replicas made %d binds", n)
		}
	})
}
