package providers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// testBreaker is a circuit breaker that a test opens.
type testBreaker struct {
	open  map[string]bool
	notes []string
}

func (d *testBreaker) Doubted(provider string) bool { return d.open[provider] }
func (d *testBreaker) NoteLogin(provider, account string, known, accepted bool) {
	d.notes = append(d.notes, fmt.Sprint(provider, " ", account, " known=", known, " accepted=", accepted))
}

// TestOpenCircuitVoidsRejections: while the circuit of a provider is open, every rejection is
// unavailable, after the same time whether the name exists or not, and counts as a password
// that may have arrived.
func TestOpenCircuitVoidsRejections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locked := account("right", "uuid-3", "locked")
		locked.refusal = Reject(Locked, errors.New("locked"))
		d := &directory{accounts: bob(), slow: 70 * time.Millisecond}
		d.accounts["locked"] = locked
		breaker := &testBreaker{open: map[string]bool{"corp": true}}
		next := &directory{accounts: map[Login]fakeAccount{"carol": account("right", "uuid-9", "carol")}}
		c := chainWith(t, newThrottle(t), Options{CircuitBreaker: breaker},
			Member{d, Config{Name: "corp", Kind: "ldap", Prefix: pointer("")}}, Member{next, Config{Name: "later", Kind: "ldap", Prefix: pointer("")}})
		for _, test := range []struct {
			login    Login
			password string
			want     string
		}{
			{"bob", "wrong", "503"}, {"bob", "wrong", "503"}, {"nobody", "wrong", "503"}, {"locked", "right", "503"},
			{"carol", "right", "503"}, // the account may be corp's
			{"bob", "right", "200"},
		} {
			began := time.Now()
			if got := outcome(c.try(t, typed(test.login, test.password, home))); got != test.want {
				t.Errorf("%s with %q = %s, want %s", test.login, test.password, got, test.want)
			}
			if took := time.Since(began); took != d.slow {
				t.Errorf("%s with %q = %s after %v, want %v as a bind takes", test.login, test.password, test.want, took, d.slow)
			}
		}
		if next.searches() != 0 {
			t.Errorf("a later provider was asked %d times, want never", next.searches())
		}
		breaker.open = nil
		for i, want := range []string{"401", "200", "401"} {
			if got := outcome(c.try(t, typed([]Login{"nobody", "carol", "bob"}[i], []string{"w", "right", "wrong"}[i], home))); got != want {
				t.Errorf("once the circuit is closed = %s, want %s", got, want)
			}
		}
	})
}

// TestCircuitBreakerCountsLogins: the circuit breaker counts each answer of a provider, with
// the proof of the login.
func TestCircuitBreakerCountsLogins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), refuse: map[string]error{"slow": context.DeadlineExceeded}}
		breaker := new(testBreaker)
		c := chainWith(t, newThrottle(t), Options{CircuitBreaker: breaker}, Member{d, Config{Name: "corp", Kind: "ldap", Remember: pointer(time.Duration(0))}})
		for _, test := range []struct {
			login    Login
			password string
			from     netip.Addr
			want     string
		}{
			{"bob", "right", home, "[corp uuid-1 known=false accepted=true]"},
			{"bob", "right", home, "[corp uuid-1 known=true accepted=true]"},
			{"bob", "wrong", home, "[corp uuid-1 known=true accepted=false]"},
			{"bob", "wrong 2", stranger, "[corp uuid-1 known=false accepted=false]"},
			{"bob", "wrong", home, "[]"}, // from a cache
			{"nobody", "wrong", home, "[corp nobody known=false accepted=false]"},
			{"bob", "slow", home, "[]"},
		} {
			breaker.notes = nil
			c.try(t, typed(test.login, test.password, test.from))
			if got := fmt.Sprint(breaker.notes); got != test.want {
				t.Errorf("%s with %q from %v: noted %s, want %s", test.login, test.password, test.from, got, test.want)
			}
		}
	})
}
