package providers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/throttle"
)

// trouble is a reason why a right password is refused, and its cure.
type trouble struct {
	name   string
	begin  func(d *directory, c *Config)
	mend   func(d *directory, c *Config)
	reload bool          // the cure is in the configuration, so that it is loaded again
	after  time.Duration // how long the cure may take
}

// troubles returns all reasons other than a wrong password, and wrong passwords that become
// right.
func troubles() []trouble {
	refused := func(err error) func(*directory, *Config) {
		return func(d *directory, _ *Config) {
			a := bob()["bob"]
			a.refusal = err
			d.put("bob", a)
		}
	}
	good := func(d *directory, _ *Config) { d.put("bob", bob()["bob"]) }
	missing := func(d *directory, _ *Config) { delete(d.accounts, "bob") }
	broken := func(err error) func(*directory, *Config) {
		return func(d *directory, _ *Config) { d.set(err) }
	}
	whole := func(d *directory, _ *Config) { d.set(nil) }
	other := func(password, state string) func(*directory, *Config) {
		return func(d *directory, _ *Config) {
			a := bob()["bob"]
			a.password, a.state = password, state
			d.put("bob", a)
		}
	}
	return []trouble{
		{"a wrong users.base", missing, good, true, 0},
		{"a wrong require_groups", func(_ *directory, c *Config) { c.RequireGroups = []string{"nobody"} }, func(_ *directory, c *Config) { c.RequireGroups = nil }, true, 0},
		{"a wrong match", func(_ *directory, c *Config) { c.Match = []string{"x*"} }, func(_ *directory, c *Config) { c.Match = nil }, true, 0},
		{"a claim that the scopes lack", refused(Reject(RefusedByConfig, errors.New("the claim email is missing"))), good, true, 0},
		{"two entries under too wide a base", broken(Reject(Ambiguous, errors.New("two entries"))), whole, true, 0},
		{"an account that does not exist yet", missing, good, false, refusalTTL},
		{"an htpasswd line that does not exist yet", broken(ErrNotMine), whole, false, refusalTTL},
		{"a group that the person is not in yet", func(d *directory, c *Config) {
			c.RequireGroups = []string{"devs"}
			d.put("bob", account("right", "uuid-1", "bob"))
		}, good, false, refusalTTL},
		{"two entries, of which one goes", broken(Reject(Ambiguous, errors.New("two entries"))), whole, false, refusalTTL},
		{"a disabled account", refused(Reject(Disabled, errors.New("disabled"))), good, false, refusalTTL},
		{"an expired account", refused(Reject(Expired, errors.New("expired"))), good, false, refusalTTL},
		{"a locked account", refused(Reject(Locked, errors.New("locked"))), good, false, refusalTTL},
		{"a password that must be changed first", refused(Reject(MustChange, errors.New("must change"))), good, false, refusalTTL},
		{"a lock that the directory answers as a wrong password", other("while locked", "locked"), other("right", "unlocked"), false, 0},
		{"a password that is set only later", other("old", "1"), other("right", "2"), false, 0},
	}
}

// TestCures: B10. The right password is refused twice at two addresses, and then the reason is
// cured. It is accepted immediately after a reload, and within half a minute where only the
// directory has changed.
func TestCures(t *testing.T) {
	for _, test := range troubles() {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, cfg := &directory{accounts: bob()}, Config{Name: "corp", Kind: "ldap"}
				limits := newThrottle(t)
				test.begin(d, &cfg)
				c := chainOf(t, limits, Member{d, cfg})
				for i := range 4 {
					if got := outcome(c.try(t, typed("bob", "right", []netip.Addr{home, stranger}[i%2]))); got != "401" {
						t.Errorf("before the cure = %s, want 401", got)
					}
				}
				test.mend(d, &cfg)
				if test.reload {
					limits.Reload(throttleConfig("mended"))
					c = chainOf(t, limits, Member{d, cfg})
				}
				time.Sleep(test.after)
				if err := c.try(t, typed("bob", "right", home)); err != nil {
					t.Errorf("after the cure = %v, want an identity", err)
				}
			})
		})
	}
}

// TestCuresAfterRestart: the same with another process instead of a reload: after a restart,
// or on another replica.
func TestCuresAfterRestart(t *testing.T) {
	for _, test := range troubles() {
		if !test.reload {
			continue
		}
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, cfg, store := &directory{accounts: bob()}, Config{Name: "corp", Kind: "ldap"}, throttle.NewMemoryStore()
				test.begin(d, &cfg)
				before := chainOf(t, newReplica(t, store), Member{d, cfg})
				if got := outcome(before.try(t, typed("bob", "right", home))); got != "401" {
					t.Errorf("before the cure = %s, want 401", got)
				}
				test.mend(d, &cfg)
				after := chainOf(t, newThrottleOf(t, store, "mended"), Member{d, cfg})
				if err := after.try(t, typed("bob", "right", home)); err != nil {
					t.Errorf("after the cure = %v, want an identity", err)
				}
			})
		})
	}
}

// TestCachedRefusalHasFirstReason: B10. A refusal from a cache has the reason of the first
// refusal and, but for a wrong password, its text.
func TestCachedRefusalHasFirstReason(t *testing.T) {
	for _, test := range troubles() {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, cfg := &directory{accounts: bob()}, Config{Name: "corp", Kind: "ldap"}
				test.begin(d, &cfg)
				c := chainOf(t, newThrottle(t), Member{d, cfg})
				first := c.try(t, typed("bob", "right", home))
				again := c.try(t, typed("bob", "right", stranger))
				want := []string{first.Error(), "refused before: " + first.Error()} // asked again, or from a cache
				if ReasonOf(first) == WrongPassword {
					want = []string{"provider corp: refused before: credential rejected: wrong password"}
				}
				if ReasonOf(again) != ReasonOf(first) || !slices.Contains(want, again.Error()) {
					t.Errorf("first refused for %q, then for %q, want %q", first, again, want)
				}
			})
		})
	}
}

// TestStoreHasNoNames: the rows of the throttle name no account, for any reason of a refusal.
func TestStoreHasNoNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := throttle.NewMemoryStore()
		a := account("right", "uuid-bob", "bob")
		d := &directory{accounts: map[Login]fakeAccount{"bob": a}}
		c := chainOf(t, newReplica(t, store), Member{d, Config{Name: "corp", Kind: "ldap"}})
		for i, refusal := range []error{
			Reject(Locked, errors.New("uid=bob,ou=people: locked")),
			Reject(RefusedByConfig, errors.New("uid=bob,ou=people is in none of the groups")),
			Reject(WrongPassword, errors.New("uid=bob,ou=people: wrong password")),
		} {
			a.refusal, a.password = refusal, fmt.Sprint("right", i)
			d.put("bob", a)
			c.try(t, typed("bob", a.password, home))
		}
		c.try(t, typed("nobody-bob", "w", home))
		synctest.Wait()
		rows, err := store.ScanWindows(t.Context(), throttle.MAC{}, 100)
		if err != nil || len(rows) < 4 {
			t.Fatalf("ScanWindows = %d rows, %v, want two names, an account and an address", len(rows), err)
		}
		for _, row := range rows {
			for _, name := range []string{"bob", "people", "corp", "right"} {
				if bytes.Contains(row.Body, []byte(name)) {
					t.Errorf("a row holds %q: %q", name, row.Body)
				}
			}
		}
	})
}

// TestAddressBudgetIsEmptyAfterReload: B10. Thirty-one people at one address are refused for a
// claim that the configuration lacks. Once it is corrected, the budget of the address is
// empty on every replica.
func TestAddressBudgetIsEmptyAfterReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := throttle.NewMemoryStore()
		accounts := bob()
		d := &directory{accounts: accounts}
		person := func(i int) Login { return Login(fmt.Sprint("user", i)) }
		for i := range addressFailures + 1 {
			a := account("right", fmt.Sprint("uuid-u", i), fmt.Sprint("user", i))
			a.refusal = Reject(RefusedByConfig, errors.New("the claim email is missing"))
			accounts[person(i)] = a
		}
		limits := newReplica(t, store)
		c := chainOf(t, limits, Member{d, Config{Name: "corp", Kind: "ldap"}})
		for i := range addressFailures + 1 {
			want := map[bool]string{true: "401", false: "429"}[i < addressFailures]
			if got := outcome(c.try(t, typed(person(i), "right", home))); got != want {
				t.Errorf("person %d before it is mended = %s, want %s", i, got, want)
			}
		}
		for i := range addressFailures + 1 {
			d.put(person(i), account("right", fmt.Sprint("uuid-u", i), fmt.Sprint("user", i)))
		}
		mended := throttleConfig("mended")
		limits.Reload(mended)
		replica := newThrottleOf(t, store, "mended")
		for name, c := range map[string]*Chain{
			"the replica that loads it again": chainOf(t, limits, Member{d, Config{Name: "corp", Kind: "ldap"}}),
			"another":                         chainOf(t, replica, Member{d, Config{Name: "corp", Kind: "ldap"}}),
		} {
			for i := range addressFailures + 1 {
				if err := c.try(t, typed(person(i), "right", home)); err != nil {
					t.Errorf("%s: person %d = %v, want an identity", name, i, err)
				}
			}
		}
	})
}

// TestOtherRefusalIsCached: B11. A password of an account that the provider refuses for another
// reason is sent once in half a minute, and no more of them are sent than the limit.
func TestOtherRefusalIsCached(t *testing.T) {
	for _, reason := range []Reason{Disabled, Expired, Locked, MustChange} {
		t.Run(string(reason), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := account("right", "uuid-1", "bob")
				a.refusal = Reject(reason, errors.New("refused"))
				d := &directory{accounts: map[Login]fakeAccount{"bob": a}}
				c := one(t, d, nil)
				for range 25 {
					if got := outcome(c.try(t, typed("bob", "right", home))); got != "401" {
						t.Errorf("Authenticate = %s, want 401", got)
					}
				}
				if d.reached() != 1 {
					t.Errorf("25 equal logins were sent %d times, want once", d.reached())
				}
				for i := range 25 {
					c.try(t, typed("bob", fmt.Sprint("w", i), home))
				}
				if d.reached() != strangers {
					t.Errorf("26 distinct passwords were sent %d times, want %d", d.reached(), strangers)
				}
			})
		})
	}
}

// TestRefusalTakesTheTimeOfAProof: a refusal without a proof takes as long as a wrong password,
// so that its time does not tell why.
func TestRefusalTakesTheTimeOfAProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: 70 * time.Millisecond}
		a := account("right", "uuid-3", "locked")
		a.refusal = Reject(Locked, errors.New("locked"))
		d.accounts["locked"] = a
		withState := account("right", "uuid-4", "carol")
		withState.state = "1"
		d.accounts["carol"] = withState
		c := one(t, d, nil)
		took := func(login Login, password string, from netip.Addr) time.Duration {
			began := time.Now()
			if got := outcome(c.try(t, typed(login, password, from))); got != "401" {
				t.Errorf("%s with %q = %s, want 401", login, password, got)
			}
			return time.Since(began)
		}
		wrong := took("alice", "wrong", home)
		for i := range strangers { // so that the account's window is full
			took([]Login{"bob", `corp\bob`, "bob@corp.example"}[i%3], fmt.Sprint("w", i), home)
		}
		for _, test := range []struct {
			name, password string
			login          Login
		}{
			{"a name without an account", "wrong", "nobody"},
			{"the same again", "wrong", "nobody"},
			{"a locked account", "right", "locked"},
			{"the same again", "right", "locked"},
			{"a wrong password", "wrong", "carol"},
			{"the same again, which only the account's state can change", "wrong", "carol"},
			{"the same again, which nothing can change", "wrong", "alice"},
			{"an account whose window is full", "right", "bob"},
		} {
			if got := took(test.login, test.password, stranger); got != wrong {
				t.Errorf("%s: %v, want %v as a wrong password takes", test.name, got, wrong)
			}
		}
	})
}

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
