package providers

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// concurrently logs in n times concurrently, and counts the outcomes.
func concurrently(t *testing.T, c *Chain, n int, cred func(i int) Credential) map[string]int {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	got := make(map[string]int)
	for i := range n {
		all.Go(func() {
			o := outcome(c.try(t, cred(i)))
			mu.Lock()
			defer mu.Unlock()
			got[o]++
		})
	}
	all.Wait()
	return got
}

// TestAddressBudgetOfConcurrentLogins: the address budget limits concurrent logins with one
// password under many names, whether or not the names exist.
func TestAddressBudgetOfConcurrentLogins(t *testing.T) {
	for _, test := range []struct {
		name    string
		catches bool // the provider cannot know names, so that every password reaches it
	}{{"names in a directory", false}, {"names that the provider cannot know", true}} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const people = 250 // fewer than maxWaiting
				accounts := make(map[Login]fakeAccount)
				for i := range people {
					accounts[Login(fmt.Sprint("user", i))] = account("right", fmt.Sprint("uuid-", i), fmt.Sprint("user", i))
				}
				d := &directory{accounts: accounts, catches: test.catches, slow: time.Second}
				c := one(t, d, nil)
				got := concurrently(t, c, people, func(i int) Credential { return typed(Login(fmt.Sprint("user", i)), "Summer2026", stranger) })
				if most := addressFailures + maxRunning; d.reached() >= most || got["401"] != d.reached() || got["401"]+got["429"] != people {
					t.Errorf("%d secrets from one address reached the directory and the answers are %v, want less than %d, and 401 or 429", d.reached(), got, most)
				}
				if n := c.throttle.Stats().Addresses; n != 0 {
					t.Errorf("%d addresses have a queue when no login is in progress, want none", n)
				}
			})
		})
	}
}

// TestManyFromOneAddress: two hundred people behind one address log in concurrently with right
// passwords, and none is refused.
func TestManyFromOneAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const people = 200
		accounts := make(map[Login]fakeAccount)
		for i := range people {
			accounts[Login(fmt.Sprint("user", i))] = account(fmt.Sprint("right", i), fmt.Sprint("uuid-", i), fmt.Sprint("user", i))
		}
		c := one(t, &directory{accounts: accounts, slow: 100 * time.Millisecond}, nil)
		right := func(i int) Credential { return typed(Login(fmt.Sprint("user", i)), fmt.Sprint("right", i), home) }
		began := time.Now()
		if got := concurrently(t, c, people, right); got["200"] != people {
			t.Errorf("%d concurrent right logins from one address = %v, want 200 for all", people, got)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("they took %v, want less than 2s", took)
		}
		time.Sleep(2 * time.Minute) // so that no password is cached
		began = time.Now()
		if got := concurrently(t, c, people, right); got["200"] != people || time.Since(began) != 100*time.Millisecond {
			t.Errorf("with a proof there = %v after %v, want 200 for all, without a queue", got, time.Since(began))
		}
	})
}

// TestOneAddressLeavesRoom: however many logins come from one address, those from another do
// not wait.
func TestOneAddressLeavesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), catches: true, slow: 5 * time.Second}
		c := one(t, d, nil)
		ctx, cancel := context.WithCancel(t.Context())
		var crowd sync.WaitGroup
		for i := range maxLogins + 100 {
			crowd.Go(func() { _, _ = c.Authenticate(ctx, typed(Login(fmt.Sprint("nobody", i)), "w", stranger)) })
		}
		synctest.Wait()
		if c.logins.count > maxRunning+maxWaiting {
			t.Errorf("%d logins from one address are in progress, want at most %d", c.logins.count, maxRunning+maxWaiting)
		}
		if got := outcome(c.try(t, typed("bob", "right", home))); got != "200" {
			t.Errorf("a login from elsewhere = %s, want 200", got)
		}
		cancel()
		crowd.Wait()
	})
}

// TestOneAccountLeavesRoom: however many logins of one account are in progress, at an
// address with a proof, so that no queue limits them, those of others do not wait. Equal
// ones share one verification, and those beyond the bound are unavailable.
func TestOneAccountLeavesRoom(t *testing.T) {
	for _, test := range []struct {
		name   string
		plain  bool // the provider issues no refresh tokens
		crowd  int
		want   string
		asked  int
		answer map[string]int
	}{
		{"equal ones within the bound", true, maxLoginsOfName, "200", 1, map[string]int{"200": maxLoginsOfName}},
		{"equal ones beyond it", true, 700, "200", 1, map[string]int{"200": maxLoginsOfName, "503": 700 - maxLoginsOfName}},
		{"equal ones, each for a refresh token", false, 700, "200", maxLoginsOfName, map[string]int{"200": maxLoginsOfName, "503": 700 - maxLoginsOfName}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &directory{accounts: bob(), slow: time.Second, plain: test.plain}
				c := one(t, d, nil)
				offline := func(int) Credential {
					cred := typed("bob", "right", home)
					cred.Offline = true
					return cred
				}
				c.try(t, offline(0))
				before := d.reached()
				var other sync.WaitGroup
				other.Go(func() {
					time.Sleep(time.Millisecond) // so that the crowd is first
					if got := outcome(c.try(t, typed("alice", "right", home))); got != test.want {
						t.Errorf("another person's login = %s, want %s", got, test.want)
					}
				})
				if got := concurrently(t, c, test.crowd, offline); fmt.Sprint(got) != fmt.Sprint(test.answer) {
					t.Errorf("%d concurrent logins of one account = %v, want %v", test.crowd, got, test.answer)
				}
				other.Wait()
				if n := d.reached() - before - 1; n != test.asked {
					t.Errorf("they were sent %d times, want %d", n, test.asked)
				}
			})
		})
	}
}

// TestLoginsAreBounded: at a hanging directory no more logins wait than the bound; others
// are unavailable immediately. A cached login is still answered at the address where it was
// proved, and at no other: guesses of strangers are not counted then, so that the answer
// must not tell which is right.
func TestLoginsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob()}
		c := one(t, d, nil)
		if err := c.try(t, typed("bob", "right", home)); err != nil {
			t.Fatal(err)
		}
		d.catches, d.slow = true, time.Hour
		began := time.Now()
		var crowd sync.WaitGroup
		for i := range maxLogins {
			crowd.Go(func() {
				from := netip.AddrFrom4([4]byte{10, 0, byte(i / 256), byte(i)})
				if got := outcome(c.try(t, typed(Login(fmt.Sprint("nobody", i)), "w", from))); got != "503" {
					t.Errorf("a login at a directory that hangs = %s, want 503", got)
				}
			})
		}
		synctest.Wait()
		for range 100 {
			if got := outcome(c.try(t, typed("carol", "w", stranger))); got != "503" || !time.Now().Equal(began) {
				t.Errorf("one login too many = %s after %v, want 503 immediately", got, time.Since(began))
			}
		}
		if got := outcome(c.try(t, typed("bob", "right", home))); got != "200" {
			t.Errorf("a cached login = %s, want 200", got)
		}
		if got := outcome(c.try(t, typed("bob", "right", stranger))); got != "503" {
			t.Errorf("a cached login from elsewhere = %s, want 503 as for a wrong password", got)
		}
		crowd.Wait()
		if c.logins.count != 0 || len(c.logins.names) != 0 || len(c.logins.calls) != 0 {
			t.Errorf("%d logins of %d names on %d calls are left when no login is in progress", c.logins.count, len(c.logins.names), len(c.logins.calls))
		}
	})
}

// TestAddressBudget: the budget of an address counts failures under any name, and does not limit
// a login with a proof.
func TestAddressBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		accounts := bob()
		for i := range 40 {
			accounts[Login(fmt.Sprint("user", i))] = account("right", fmt.Sprint("uuid-u", i), fmt.Sprint("user", i))
		}
		d := &directory{accounts: accounts}
		c := one(t, d, nil)
		office := netip.MustParseAddr("2001:db8:1:2::1")
		neighbour := netip.MustParseAddr("2001:db8:1:2:ffff::9")
		if err := c.try(t, typed("bob", "right", office)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		c.try(t, typed("bob", "wrong", office)) // has a proof, so that it does not count for the address
		for i := range 40 {
			want := "401"
			if i >= addressFailures {
				want = "429"
			}
			from := []netip.Addr{office, neighbour}[i%2]
			if got := outcome(c.try(t, typed(Login(fmt.Sprint("user", i)), "wrong", from))); got != want {
				t.Errorf("failure %d from one /64 = %s, want %s", i, got, want)
			}
		}
		before := d.searches()
		if got := outcome(c.try(t, typed("user39", "right", neighbour))); got != "429" || d.searches() != before {
			t.Errorf("a newcomer at that address = %s with %d searches, want 429 with none", got, d.searches()-before)
		}
		if got := outcome(c.try(t, typed("bob", "right", office))); got != "200" {
			t.Errorf("a login with a proof at that address = %s, want 200", got)
		}
		if got := outcome(c.try(t, typed("user39", "right", home))); got != "200" {
			t.Errorf("the same person elsewhere = %s, want 200", got)
		}
		time.Sleep(addressWindow)
		if got := outcome(c.try(t, typed("user39", "right", neighbour))); got != "200" {
			t.Errorf("that address later = %s, want 200", got)
		}
	})
}

// TestAddressBudgetIsCheckedAgainAtReserve: a login that the address budget did not limit at
// first is limited by it once the account is known.
func TestAddressBudgetIsCheckedAgainAtReserve(t *testing.T) {
	useUp := func(c *Chain) {
		for i := range addressFailures {
			if got := outcome(c.try(t, typed(Login(fmt.Sprint("nobody", i)), "w", home))); got != "401" {
				t.Errorf("failure %d = %s, want 401", i, got)
			}
		}
	}
	for _, test := range []struct {
		name string
		play func(d *lookupHook, c *Chain) // after it the account of "bob" has no proof at home
	}{
		{"the name has a proof there, of another account", func(d *lookupHook, c *Chain) {
			d.accounts["bob"] = account("old", "uuid-0", "bob")
			if err := c.try(t, typed("bob", "old", home)); err != nil {
				t.Error(err)
			}
			useUp(c)
			d.accounts = bob()
		}},
		{"others fail during the Lookup", func(d *lookupHook, c *Chain) {
			d.do = func() { useUp(c) }
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := &lookupHook{directory: directory{accounts: bob()}}
			c := chainOf(t, newThrottle(t), Member{d, Config{Name: "corp", Kind: "ldap"}})
			test.play(d, c)
			before := d.reached()
			if got := outcome(c.try(t, typed("bob", "right", home))); got != "429" || d.reached() != before {
				t.Errorf("at that address = %s with %d secrets sent, want 429 with none", got, d.reached()-before)
			}
			d.do = nil
			if got := outcome(c.try(t, typed("bob", "right", stranger))); got != "200" {
				t.Errorf("the same person elsewhere = %s, want 200", got)
			}
		})
	}
}

// lookupHook calls do during the Lookup of bob.
type lookupHook struct {
	directory
	do func()
}

func (m *lookupHook) Lookup(ctx context.Context, login Login) (*Account, error) {
	if m.do != nil && login == "bob" {
		m.do()
	}
	return m.directory.Lookup(ctx, login)
}
