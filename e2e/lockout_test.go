package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"shorepass/providers/ldap/ldaptest"
)

// TestNeverLocked: Active Directory locks an account at the fifth wrong
// password within a window of 40 seconds. Two machines with old passwords of
// alice log in every few seconds, and a stranger guesses, for four windows: the
// account is never locked. alice logs in before and after only, since a right
// password resets the directory's count.
func TestNeverLocked(t *testing.T) {
	if testing.Short() {
		t.Skip("takes three minutes")
	}
	t.Parallel()
	const window, threshold = 40 * time.Second, 5
	const office, elsewhere = "198.51.100.7", "203.0.113.9"
	d := ldaptest.StartSamba(t, ldaptest.SambaOptions{Lockout: threshold, LockoutWindow: window})
	s := newServer(t, options{
		providers: sambaTOML(d, groupsIn(d.Groups, "")+"\nwrong_passwords = 4\nwrong_password_window = \"40s\""), rules: sambaRules,
		server: `trusted_proxies = ["127.0.0.1"]`,
	})
	if a := s.loginFrom(t, office, http.MethodGet, "alice", pw1("alice")); a.Status != http.StatusOK {
		t.Fatalf("login of alice = %v, want 200", a)
	}
	counts := map[int]int{}    // by value of badPwdCount: how often it was read
	times := map[string]bool{} // badPasswordTime of wrong passwords that reached the directory
	for began, i := time.Now(), 0; time.Since(began) < 4*window; i++ {
		for machine := range 2 {
			stale := secrets.add("old password", fmt.Sprintf("Old-Pw-of-alice-%d", machine))
			if a := s.loginFrom(t, office, http.MethodGet, "alice", stale); a.Status != http.StatusUnauthorized {
				t.Errorf("an old password = %v, want 401", a)
			}
		}
		guess := secrets.add("guess", fmt.Sprintf("Guess-Pw-%d", i))
		if a := s.loginFrom(t, elsewhere, http.MethodPost, "alice", guess); a.Status != http.StatusUnauthorized && a.Status != http.StatusTooManyRequests {
			t.Errorf("a stranger's guess = %v, want 401 or 429", a)
		}
		if at := d.Get(t, d.Person("alice"), "lockoutTime"); len(at) > 0 && at[0] != "0" {
			t.Fatalf("alice is locked after %s; values of badPwdCount: %v", time.Since(began), counts)
		}
		n := 0
		if count := d.Get(t, d.Person("alice"), "badPwdCount"); len(count) > 0 {
			n, _ = strconv.Atoi(count[0])
		}
		counts[n]++
		for _, at := range d.Get(t, d.Person("alice"), "badPasswordTime") {
			times[at] = true
		}
		time.Sleep(2 * time.Second)
	}
	for n := range counts {
		if n >= threshold {
			t.Errorf("the directory counted %d wrong passwords, want fewer than %d", n, threshold)
		}
	}
	if len(times) < 2 {
		t.Errorf("wrong passwords reached the directory at %d times, want at least two: before and after the name window emptied", len(times))
	}
	if a := s.loginFrom(t, office, http.MethodGet, "alice", pw1("alice")); a.Status != http.StatusOK {
		t.Errorf("login of alice after that = %v, want 200", a)
	}
}
