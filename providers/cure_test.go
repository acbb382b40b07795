package providers

import (
	"bytes"
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

// TestCures: the right password is refused twice at two addresses, and then the reason is
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

// TestCachedRefusalHasFirstReason: a refusal from a cache has the reason of the first
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
				if reason := ReasonOf(first); slices.Contains([]Reason{WrongPassword, Gone, Unspecified}, reason) {
					want = []string{"provider corp: refused before: credential rejected: " + string(reason)}
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

// TestAddressBudgetIsEmptyAfterReload: thirty-one people at one address are refused for a
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

// TestOtherRefusalIsCached: a password of an account that the provider refuses for another
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

// TestRefusalByConfigIsCached: a right password that the configuration refuses reaches the
// provider once in half a minute. It takes an entry in the name window, and none in the
// account window.
func TestRefusalByConfigIsCached(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob()}
		c := chainOf(t, newThrottle(t), Member{d, Config{Name: "corp", Kind: "ldap", RequireGroups: []string{"registry-users"}}})
		for range 50 {
			if got := outcome(c.try(t, typed("bob", "right", home))); got != "401" {
				t.Errorf("a person in no required group = %s, want 401", got)
			}
		}
		if d.reached() != 1 {
			t.Errorf("the password reached the directory %d times, want once", d.reached())
		}
		for i := range strangers - 1 {
			if got := outcome(c.try(t, typed("bob", fmt.Sprint("w", i), home))); got != "401" {
				t.Errorf("a wrong password = %s, want 401", got)
			}
		}
		time.Sleep(refusalTTL)
		c.try(t, typed("bob", "right", home))
		if d.reached() != 1+strangers-1+1 {
			t.Errorf("passwords reached the directory %d times, want once more after half a minute and %d wrong ones", d.reached(), strangers-1)
		}
	})
}

// TestRefusalByConfigIsCachedForAnySpelling: the cached refusal holds for every spelling of
// the name. Another replica asks for itself, since a reload empties the cache of one
// process.
func TestRefusalByConfigIsCachedForAnySpelling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: time.Second}
		store, member := throttle.NewMemoryStore(), Member{d, Config{Name: "corp", Kind: "ldap", RequireGroups: []string{"registry-users"}}}
		c, replica := chainOf(t, newReplica(t, store), member), chainOf(t, newReplica(t, store), member)
		spellings := []Login{"bob", `corp\bob`, "bob@corp.example"}
		for _, when := range []string{"the first time", "again"} {
			for _, login := range spellings {
				if got := outcome(c.try(t, typed(login, "right", home))); got != "401" {
					t.Errorf("%s, as %q = %s, want 401", when, login, got)
				}
			}
			if d.reached() != 1 || d.searches() != len(spellings) {
				t.Errorf("%s: the password was sent %d times in %d searches, want once, and one search for each spelling", when, d.reached(), d.searches())
			}
		}
		if got := outcome(replica.try(t, typed("bob", "right", home))); got != "401" || d.reached() != 2 {
			t.Errorf("at a replica = %s with the password sent %d times more, want 401 with once", got, d.reached()-1)
		}
		time.Sleep(refusalTTL)
		if got := concurrently(t, c, len(spellings), func(i int) Credential { return typed(spellings[i], "right", home) }); got["401"] != len(spellings) || d.reached() != 3 {
			t.Errorf("under all of them concurrently = %v with the password sent %d times more, want 401 with once", got, d.reached()-2)
		}
	})
}
