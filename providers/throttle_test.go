package providers

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/throttle"
)

// TestThrottleWithoutSubject: a password grant has no subject before Prove, so that the
// login name is the key of the account window.
func TestThrottleWithoutSubject(t *testing.T) {
	d := &directory{accounts: bob(), catches: true}
	c := one(t, d, nil)
	for i, want := range []string{"401", "401", "401", "429"} {
		if got := outcome(c.try(t, typed("bob", fmt.Sprint("w", i), home))); got != want {
			t.Errorf("wrong password %d = %s, want %s", i, got, want)
		}
	}
	if got := outcome(c.try(t, typed("nobody", "w", home))); got != "401" || d.reached() != 4 {
		t.Errorf("another name = %s with %d secrets sent, want 401 with 4", got, d.reached())
	}
}

// TestSpellingsWithoutSubject: all spellings that some provider takes for one account share its
// window.
func TestSpellingsWithoutSubject(t *testing.T) {
	d := &directory{accounts: map[Login]fakeAccount{"jose doe": account("right", "uuid-1", "jose doe")}, catches: true}
	c := one(t, d, nil)
	spellings := []string{"jose doe", "jos\u00e9 doe", "jose  doe", "jose\u00a0doe", "jose\u034f doe", "jose\ufe0f doe", "j\u00f5se doe", "JOSE\u3000DOE", "jose\u3164doe"}
	for i, typedAs := range spellings {
		login, err := ParseLogin(typedAs)
		if err != nil {
			t.Fatalf("ParseLogin(%q) = %v", typedAs, err)
		}
		c.try(t, typed(login, fmt.Sprint("w", i), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})))
		c.try(t, typed(login, "the same", netip.AddrFrom4([4]byte{10, 0, 1, byte(i)})))
	}
	if d.reached() != 3 {
		t.Errorf("%d guesses at one account in %d spellings reached the provider, want 3", d.reached(), len(spellings))
	}
}

// TestCorrectedSpelling: a right password that was refused under a mistyped name is accepted
// under the right one.
func TestCorrectedSpelling(t *testing.T) {
	d := &directory{accounts: map[Login]fakeAccount{"jose": account("right", "uuid-1", "jose")}, catches: true}
	c := one(t, d, nil)
	if got := outcome(c.try(t, typed("jos\u00e9", "right", home))); got != "401" {
		t.Errorf("another name = %s, want 401", got)
	}
	if got := outcome(c.try(t, typed("jose", "right", home))); got != "200" {
		t.Errorf("the right one = %s, want 200", got)
	}
}

// TestThrottledLoginAsksNoProvider: a login beyond the limit makes not even a Lookup.
func TestThrottledLoginAsksNoProvider(t *testing.T) {
	d := &directory{accounts: bob()}
	c := one(t, d, nil)
	for i := range strangers {
		c.try(t, typed("bob", fmt.Sprint("w", i), home))
	}
	before := d.searches()
	for i := range 20 {
		c.try(t, typed("bob", fmt.Sprint("w", i), home))
	}
	if more := d.searches() - before; more != 0 {
		t.Errorf("20 refused logins made %d searches, want 0", more)
	}
}

// TestRetryAfterSaysWhenThereIsRoom: Retry-After is the time until the window expires, counted
// from the last new wrong password.
func TestRetryAfterSaysWhenThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := one(t, &directory{accounts: bob()}, nil)
		for i := range strangers {
			c.try(t, typed("bob", fmt.Sprint("w", i), home))
			time.Sleep(time.Minute)
		}
		var limited *throttle.RetryAfter
		if err := c.try(t, typed("bob", "right", home)); !errors.As(err, &limited) || limited.After != window-time.Minute {
			t.Fatalf("Authenticate = %v, want a RetryAfter of %v", err, window-time.Minute)
		}
		time.Sleep(limited.After)
		if err := c.try(t, typed("bob", "right", home)); err != nil {
			t.Errorf("Authenticate when the time is over = %v, want an identity", err)
		}
	})
}

// TestAccountOfALoginChanges: a login name that gets another account leaves nothing in the window
// of the account before.
func TestAccountOfALoginChanges(t *testing.T) {
	first, second := account("first", "uuid-1", "bob"), account("second", "uuid-2", "bob")
	for _, test := range []struct {
		name                  string
		before, during, after map[Login]fakeAccount
		left                  Login // a name of the account that "bob" was before; "bob" itself is the second's
	}{
		{"to another account",
			map[Login]fakeAccount{"bob": first}, map[Login]fakeAccount{"bob": second}, map[Login]fakeAccount{"robert": first}, "robert"},
		{"from none to an account",
			nil, map[Login]fakeAccount{"bob": second}, nil, "bób"},
		{"from an account to none",
			map[Login]fakeAccount{"bob": first}, nil, map[Login]fakeAccount{"robert": first}, "robert"},
	} {
		for _, secret := range []string{"second", "wrong"} {
			t.Run(test.name+", "+secret, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d, grant := &directory{accounts: test.before}, &directory{catches: true}
					c := chainOf(t, newThrottle(t),
						Member{d, Config{Name: "corp", Kind: "ldap", Prefix: pointer(""), WrongPasswords: 5}},
						Member{grant, Config{Name: "sso", Kind: "oidc", Prefix: pointer(""), WrongPasswords: 5}})
					c.try(t, typed("bob", "w", home))
					time.Sleep(window) // so that it has expired
					d.accounts = test.during
					c.try(t, typed("bob", secret, home))
					d.accounts = test.after
					before := d.reached() + grant.reached()
					got := concurrently(t, c, 3, func(i int) Credential { return typed(test.left, fmt.Sprint("w", i), stranger) })
					if n := d.reached() + grant.reached() - before; n != 3 || got["401"] != 3 {
						t.Errorf("of three guesses at the account before %d reached a provider and the answers are %v, want all, and 401", n, got)
					}
					if n := c.throttle.Stats().Asking; n != 0 {
						t.Errorf("%d passwords are being proved when none is, want none", n)
					}
				})
			})
		}
	}
}

// TestRejectedAtLookup: a rejection at Lookup, such as of a name of two entries, counts for the
// name.
func TestRejectedAtLookup(t *testing.T) {
	c := one(t, &directory{broken: fmt.Errorf("two entries: %w", ErrRejected)}, nil)
	for i, want := range []string{"401", "401", "401", "429"} {
		if got := outcome(c.try(t, typed("bob", fmt.Sprint("w", i), home))); got != want {
			t.Errorf("login %d = %s, want %s", i, got, want)
		}
	}
}

// TestRefusedTokenIsCached: the refusal of a token is cached by token, so that others do not
// make it be sent again.
func TestRefusedTokenIsCached(t *testing.T) {
	d := &directory{takes: []Kind{RefreshToken}}
	c := one(t, d, nil)
	for i := range 100 {
		cred := typed("$refresh", fmt.Sprint("token", i%80), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
		if got := outcome(c.try(t, cred)); got != "401" {
			t.Errorf("token %d = %s, want 401", i, got)
		}
	}
	if d.searches() != 80 {
		t.Errorf("80 refused tokens were sent %d times, want once each", d.searches())
	}
}

// TestStoreReadsAndWrites: a login that the cache answers reads the windows once. One that asks
// the provider reads and writes once more before it, and writes at its answer or after it.
func TestStoreReadsAndWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: throttle.NewMemoryStore()}
		c := chainOf(t, newReplica(t, store), Member{&directory{accounts: bob()}, Config{Name: "corp", Kind: "ldap"}})
		offline := typed("bob", "right", home)
		offline.Offline = true
		for _, test := range []struct {
			name string
			cred Credential
			want counts
		}{
			{"the first", typed("bob", "right", home), counts{reads: 2, writes: 2}},
			{"a cached one", typed("bob", "right", home), counts{reads: 1}},
			{"a cached one, the first from another address", typed("bob", "right", stranger), counts{reads: 1, writes: 1}},
			{"for an offline token", offline, counts{reads: 2, writes: 2}},
			{"a wrong one", typed("bob", "wrong", home), counts{reads: 2, writes: 2}},
			{"the same again", typed("bob", "wrong", home), counts{}},
			{"a name without an account", typed("nobody", "wrong", home), counts{reads: 2, writes: 2}},
		} {
			store.take()
			c.try(t, test.cred)
			synctest.Wait() // for the writes after the answer
			if got := store.take(); got != test.want {
				t.Errorf("%s: %+v, want %+v", test.name, got, test.want)
			}
		}
	})
}

// counting is a store that counts its reads and writes.
type counting struct {
	throttle.Store
	mu sync.Mutex
	counts
}

type counts struct{ reads, writes int }

func (c *counting) take() counts {
	c.mu.Lock()
	defer c.mu.Unlock()
	got := c.counts
	c.counts = counts{}
	return got
}

func (c *counting) ReadWindows(ctx context.Context, keys []throttle.MAC) ([]throttle.Row, time.Time, error) {
	c.mu.Lock()
	c.reads++
	c.mu.Unlock()
	return c.Store.ReadWindows(ctx, keys)
}

func (c *counting) SwapWindows(ctx context.Context, changes []throttle.Change) error {
	c.mu.Lock()
	c.writes++
	c.mu.Unlock()
	return c.Store.SwapWindows(ctx, changes)
}

// TestUnavailableCountsNothing: passwords that were not sent, since the directory is down, do not
// count.
func TestUnavailableCountsNothing(t *testing.T) {
	d := &directory{accounts: bob()}
	c := one(t, d, nil)
	d.set(errors.New("connection refused"))
	for i := range 10 {
		if got := outcome(c.try(t, typed("bob", fmt.Sprint("w", i), home))); got != "503" {
			t.Errorf("while the directory is down = %s, want 503", got)
		}
	}
	if fmt.Sprint(c.Down()) != "[corp]" {
		t.Errorf("Down() = %v, want [corp]", c.Down())
	}
	d.set(nil)
	if err := c.try(t, typed("bob", "right", home)); err != nil || len(c.Down()) > 0 {
		t.Errorf("when it is back = %v with %v down, want an identity and none", err, c.Down())
	}
}

// TestSharedWindows: two processes with one store share the limit, and the wrong passwords of the
// other are not sent again.
func TestSharedWindows(t *testing.T) {
	d, store := &directory{accounts: bob()}, throttle.NewMemoryStore()
	a := chainOf(t, newReplica(t, store), Member{d, Config{Name: "corp", Kind: "ldap"}})
	b := chainOf(t, newReplica(t, store), Member{d, Config{Name: "corp", Kind: "ldap"}})
	for i, c := range []*Chain{a, b, a, b, a} {
		c.try(t, typed("bob", fmt.Sprint("w", i), home))
	}
	if d.reached() != strangers {
		t.Errorf("%d secrets reached the directory, want %d", d.reached(), strangers)
	}
	if got := outcome(b.try(t, typed("bob", "w0", home))); got != "401" || d.reached() != strangers {
		t.Errorf("a wrong password of the other replica = %s with %d secrets sent, want 401 with %d", got, d.reached(), strangers)
	}
}
