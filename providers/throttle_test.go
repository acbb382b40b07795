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

// outcome returns the HTTP status of an error.
func outcome(err error) string {
	var limited *throttle.RetryAfter
	switch {
	case err == nil:
		return "200"
	case errors.As(err, &limited):
		return "429"
	case errors.Is(err, ErrRejected), errors.Is(err, ErrGone):
		return "401"
	}
	return "503"
}

// step is a login in a story, and its outcome.
type step struct {
	wait     time.Duration // before it
	login    Login
	password string
	from     netip.Addr
	want     string // outcome
	reached  int    // secrets that have reached the directory after it
}

// TestThrottleStories plays logins one after another, and counts the secrets that reach the
// directory.
func TestThrottleStories(t *testing.T) {
	other := netip.MustParseAddr("203.0.113.9")
	domains := func(d *directory, _ *Config) { d.domains = []string{"CORP", "corp.example"} }
	for _, test := range []struct {
		name  string
		edit  func(*directory, *Config)
		steps []step
	}{
		{name: "a wrong password is sent once", steps: []step{
			{0, "bob", "wrong", home, "401", 1},
			{0, "bob", "wrong", home, "401", 1},
			{30 * time.Minute, "bob", "wrong", stranger, "401", 1},
			{time.Minute, "bob", "wrong", home, "401", 2},
		}},
		{name: "POST and then GET count once", steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, "bob", "w1", home, "401", 1},
			{0, "bob", "w2", home, "401", 2}, {0, "bob", "w2", home, "401", 2},
			{0, "bob", "right", home, "200", 3},
		}},
		{name: "three distinct ones without a proof, then none", steps: []step{
			{0, "bob", "w1", home, "401", 1},
			{time.Minute, "bob", "w2", home, "401", 2},
			{time.Minute, "bob", "w3", home, "401", 3},
			{0, "bob", "w4", home, "429", 3},
			{0, "bob", "right", home, "429", 3},
			{0, "bob", "w1", home, "401", 3}, // its entry is wrong, so that it is not sent
			{30 * time.Minute, "bob", "right", home, "429", 3},
			{time.Minute, "bob", "right", home, "200", 4},
		}},
		{name: "a fourth with a proof", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{2 * time.Minute, "bob", "w1", home, "401", 2}, {0, "bob", "w2", home, "401", 3}, {0, "bob", "w3", home, "401", 4},
			{0, "bob", "w4", stranger, "429", 4},
			{0, "bob", "w4", home, "401", 5},
			{0, "bob", "w5", home, "429", 5},
			{0, "bob", "right", home, "429", 5},
			{window, "bob", "right", home, "200", 6},
		}},
		{name: "a window expires as a whole, a quiet period after the last new entry", steps: []step{
			{0, "bob", "w1", home, "401", 1},
			{20 * time.Minute, "bob", "w2", home, "401", 2},
			{20 * time.Minute, "bob", "w1", home, "401", 2},
			{0, "bob", "w3", home, "401", 3},
			{30 * time.Minute, "bob", "right", home, "429", 3},
			{time.Minute, "bob", "w1", home, "401", 4},
		}},
		{name: "a refused login does not extend the window", steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, "bob", "w2", home, "401", 2}, {0, "bob", "w3", home, "401", 3},
			{20 * time.Minute, "bob", "w4", home, "429", 3}, {0, "bob", "w1", home, "401", 3},
			{11 * time.Minute, "bob", "right", home, "200", 4},
		}},
		{name: "a right password takes no room, and removes only its own entry", steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, "bob", "w2", home, "401", 2},
			{0, "bob", "right", home, "200", 3},
			{2 * time.Minute, "bob", "right", stranger, "200", 4}, {2 * time.Minute, "bob", "right", other, "200", 5},
			{0, "bob", "w3", home, "401", 6}, {0, "bob", "w4", home, "401", 7},
			{0, "bob", "w5", home, "429", 7},
		}},
		{name: "names of one account share its window", steps: []step{
			{0, "bob", "w1", home, "401", 1},
			{0, `corp\bob`, "w2", home, "401", 2},
			{0, "bob@corp.example", "w3", home, "401", 3},
			{0, "bob", "w4", home, "401", 3}, // not 429, which would tell that the names are one account
			{0, "bob", "right", home, "401", 3},
			{0, `corp\bob`, "w1", home, "401", 3},
		}},
		{name: "B2: a configured domain makes no other name window", edit: domains, steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, `corp\bob`, "w2", home, "401", 2}, {0, "bob@CORP.example", "w3", home, "401", 2},
			{0, "bob", "w4", home, "429", 2}, {0, `corp\bob`, "w4", home, "429", 2}, {0, `CORP\bob`, "w4", home, "429", 2},
		}},
		{name: "B2: nor for a name without an account", edit: domains, steps: []step{
			{0, "nobody", "w1", home, "401", 0}, {0, `corp\nobody`, "w2", home, "401", 0}, {0, "nobody@CORP.example", "w3", home, "401", 0},
			{0, "nobody", "w4", home, "429", 0}, {0, `corp\nobody`, "w4", home, "429", 0}, {0, `CORP\nobody`, "w4", home, "429", 0},
		}},
		{name: "another account is not limited", steps: []step{
			{0, "bob", "w1", stranger, "401", 1}, {0, "bob", "w2", stranger, "401", 2}, {0, "bob", "w3", stranger, "401", 3},
			{0, "alice", "right", stranger, "200", 4},
		}},
		{name: "a name without an account has the same answers", steps: []step{
			{0, "nobody", "w1", home, "401", 0}, {0, "nobody", "w2", home, "401", 0}, {0, "nobody", "w3", home, "401", 0},
			{0, "nobody", "w4", home, "429", 0}, {0, "nobody", "w1", home, "401", 0},
			{window, "nobody", "w4", home, "401", 0},
		}},
		{name: "a name that no match has has the same answers", edit: func(_ *directory, c *Config) { c.Match = []string{"bob"} }, steps: []step{
			{0, "alice", "w1", home, "401", 0}, {0, "alice", "w2", home, "401", 0}, {0, "alice", "w3", home, "401", 0},
			{0, "alice", "w4", home, "429", 0},
		}},
		{name: "a stranger keeps the person out at new addresses, and not at known ones", edit: domains, steps: []step{
			{0, "bob", "right", home, "200", 1},
			{2 * time.Hour, "bob", "w1", stranger, "401", 2}, {0, "bob", "w2", stranger, "401", 3}, {0, "bob", "w3", stranger, "401", 4},
			{0, "bob", "w4", stranger, "429", 4},
			{0, "bob", "right", other, "429", 4},
			{0, "bob", "right", home, "200", 5},
		}},
		{name: "but leaves the person one mistake at a known address", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{2 * time.Hour, "bob", "w1", stranger, "401", 2}, {0, "bob", "w2", stranger, "401", 3}, {0, "bob", "w3", stranger, "401", 4},
			{0, "bob", "mistake", home, "401", 5},
			{0, "bob", "right", home, "429", 5},
			{window, "bob", "right", home, "200", 6},
		}},
		{name: "a stranger at the known address keeps the person out everywhere", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{2 * time.Hour, "bob", "w1", home, "401", 2}, {0, "bob", "w2", home, "401", 3}, {0, "bob", "w3", home, "401", 4}, {0, "bob", "w4", home, "401", 5},
			{0, "bob", "right", home, "429", 5},
			{0, "bob", "right", other, "429", 5},
		}},
		{name: "a proof lasts a day", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{25 * time.Hour, "bob", "w1", stranger, "401", 2}, {0, "bob", "w2", stranger, "401", 3}, {0, "bob", "w3", stranger, "401", 4},
			{0, "bob", "right", home, "429", 4},
		}},
		{name: "the cache of right passwords answers no guess", steps: []step{
			{0, "bob", "right", home, "200", 1},
			{0, "bob", "w1", stranger, "401", 2}, {0, "bob", "w2", stranger, "401", 3}, {0, "bob", "w3", stranger, "401", 4},
			{0, "bob", "right", other, "429", 4},
			{0, "bob", "right", home, "200", 4},
		}},
		{name: "a limit of its own", edit: func(_ *directory, c *Config) { c.WrongPasswords = 1 }, steps: []step{
			{0, "bob", "w1", home, "401", 1}, {0, "bob", "w2", home, "429", 1},
		}},
		{name: "a window of its own", edit: func(_ *directory, c *Config) { c.WrongPasswordWindow = 2 * time.Minute }, steps: []step{
			{0, "bob", "w1", home, "401", 1},
			{2 * time.Minute, "bob", "w1", home, "401", 1},
			{time.Minute, "bob", "w1", home, "401", 2},
		}},
		{name: "an unknown address has no proofs", steps: []step{
			{0, "bob", "right", netip.Addr{}, "200", 1},
			{2 * time.Minute, "bob", "w1", netip.Addr{}, "401", 2}, {0, "bob", "w2", netip.Addr{}, "401", 3}, {0, "bob", "w3", netip.Addr{}, "401", 4},
			{0, "bob", "right", netip.Addr{}, "429", 4},
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &directory{accounts: bob()}
				c := one(t, d, func(cfg *Config) {
					if test.edit != nil {
						test.edit(d, cfg)
					}
				})
				for i, s := range test.steps {
					time.Sleep(s.wait)
					err := c.try(t, typed(s.login, s.password, s.from))
					if got := outcome(err); got != s.want || d.reached() != s.reached {
						t.Errorf("step %d: Authenticate(%q, %q) = %s (%v) with %d secrets sent, want %s with %d",
							i, s.login, s.password, got, err, d.reached(), s.want, s.reached)
					}
				}
			})
		})
	}
}

// TestThrottleWithoutSubject: a password grant has no subject before the proof, so that the
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

// TestBurstOfGuesses (B2): concurrent distinct passwords have the same answers whether the name
// exists or not, Retry-After included, though only those of an account are in flight.
func TestBurstOfGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := one(t, &directory{accounts: bob(), slow: time.Second}, nil)
		for _, name := range []Login{"bob", "nobody"} {
			got := make(map[string]int)
			var mu sync.Mutex
			var burst sync.WaitGroup
			for i := range 12 {
				burst.Go(func() {
					err := c.try(t, typed(name, fmt.Sprint("w", i), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})))
					answer := outcome(err)
					if limited, ok := errors.AsType[*throttle.RetryAfter](err); ok {
						answer += " " + limited.After.String()
					}
					mu.Lock()
					defer mu.Unlock()
					got[answer]++
				})
			}
			burst.Wait()
			if want := fmt.Sprint(map[string]int{"401": strangers, "429 31m0s": 12 - strangers}); fmt.Sprint(got) != want {
				t.Errorf("12 concurrent guesses at %s = %v, want %s", name, got, want)
			}
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

// TestConcurrentGuesses: passwords in flight count as wrong ones.
func TestConcurrentGuesses(t *testing.T) {
	for _, test := range []struct {
		name     string
		cred     func(i int) Credential
		most     int // secrets that may reach the directory
		outcomes map[string]int
	}{
		{"100 times the same wrong one", func(int) Credential { return typed("bob", "wrong", home) }, 1, map[string]int{"401": 100}},
		{"the same for an offline token", func(i int) Credential {
			c := typed("bob", "wrong", home)
			c.Offline = i%2 == 0
			return c
		}, 1, map[string]int{"401": 100}},
		{"the same under every name", func(i int) Credential {
			return typed([]Login{"bob", `corp\bob`, "bob@corp.example"}[i%3], "wrong", home)
		}, 1, map[string]int{"401": 100}},
		{"100 distinct ones", func(i int) Credential { return typed("bob", fmt.Sprint("w", i), home) }, 3, map[string]int{"401": 3, "429": 97}},
		{"100 distinct ones from as many addresses", func(i int) Credential {
			return typed([]Login{"bob", `corp\bob`}[i%2], fmt.Sprint("w", i), netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
		}, 3, map[string]int{"401": 6, "429": 94}}, // each of two names has a window, and a full account window is 401 too
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &directory{accounts: bob(), slow: time.Second}
				c := one(t, d, nil)
				var all sync.WaitGroup
				var mu sync.Mutex
				got := make(map[string]int)
				for i := range 100 {
					all.Go(func() {
						o := outcome(c.try(t, test.cred(i)))
						mu.Lock()
						defer mu.Unlock()
						got[o]++
					})
				}
				all.Wait()
				if d.reached() > test.most || fmt.Sprint(got) != fmt.Sprint(test.outcomes) {
					t.Errorf("%d secrets reached the directory and the answers are %v, want at most %d and %v", d.reached(), got, test.most, test.outcomes)
				}
			})
		})
	}
}

// TestKnownAddressHasOneEntryMore: guesses in flight count from every address, and one entry is
// left to the address with a proof.
func TestKnownAddressHasOneEntryMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: time.Second}
		c := one(t, d, nil)
		if err := c.try(t, typed("bob", "right", home)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		var all sync.WaitGroup
		for i := range 4 {
			for _, from := range []netip.Addr{home, stranger} {
				all.Go(func() { c.try(t, typed("bob", fmt.Sprint("w", i, from), from)) })
				synctest.Wait() // in turn, so that each sees the one before
			}
		}
		all.Wait()
		if d.reached() != 1+limit {
			t.Errorf("%d secrets reached the directory, want the right one and %d", d.reached(), limit)
		}
	})
}

// TestConcurrentGuessesFromKnownAddress: concurrent distinct guesses from an address with a
// proof take every free entry of the window, those from others all but one.
func TestConcurrentGuessesFromKnownAddress(t *testing.T) {
	type guesses struct {
		from   netip.Addr
		reach  int // of ten
		inTurn bool
	}
	for _, test := range []struct {
		name string
		play []guesses
	}{
		{"the owner alone", []guesses{{home, 4, false}}},
		{"the owner alone, in turn", []guesses{{home, 4, true}}},
		{"the owner after a stranger", []guesses{{stranger, 3, false}, {home, 1, false}}},
		{"a stranger after the owner", []guesses{{home, 4, false}, {stranger, 0, false}}},
		{"the owner after a stranger, in turn", []guesses{{stranger, 3, true}, {home, 1, true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := &directory{accounts: bob(), slow: time.Second}
				c := one(t, d, nil)
				if err := c.try(t, typed("bob", "right", home)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(2 * time.Minute)
				var all sync.WaitGroup
				var mu sync.Mutex
				reach := 0
				got, want := make(map[string]int), make(map[string]int)
				for _, g := range test.play {
					reach += g.reach
					if g.reach > 0 {
						want[fmt.Sprint(g.from, " 401")] = g.reach
					}
					want[fmt.Sprint(g.from, " 429")] = 10 - g.reach
					for i := range 10 {
						all.Go(func() {
							o := outcome(c.try(t, typed("bob", fmt.Sprint("w", i, g.from), g.from)))
							mu.Lock()
							defer mu.Unlock()
							got[fmt.Sprint(g.from, " ", o)]++
						})
						if g.inTurn {
							synctest.Wait()
						}
					}
					synctest.Wait()
				}
				all.Wait()
				if d.reached() != 1+reach || fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%d secrets reached the directory and the answers are %v, want %d and %v", d.reached(), got, 1+reach, want)
				}
			})
		})
	}
}

// TestProvedPasswordReleasesOtherSpellings: once the first is proved the others wait no longer.
func TestProvedPasswordReleasesOtherSpellings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := one(t, &directory{accounts: bob(), slow: time.Second}, nil)
		began := time.Now()
		var all sync.WaitGroup
		for login := range bob() {
			if login != "alice" {
				all.Go(func() {
					if err := c.try(t, typed(login, "right", home)); err != nil {
						t.Error(err)
					}
				})
			}
		}
		all.Wait()
		if took := time.Since(began); took != 2*time.Second {
			t.Errorf("three spellings of one account took %v, want 2s", took)
		}
	})
}

// TestProvedPasswordIsNotWaitedFor: as long as one login with a proved password is in progress,
// further ones with it do not wait, though others of them have ended.
func TestProvedPasswordIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: time.Second}
		c := one(t, d, func(cfg *Config) { cfg.Remember = pointer(time.Duration(0)) })
		began := time.Now()
		var all sync.WaitGroup
		for _, come := range []struct {
			after time.Duration
			login Login
			done  time.Duration
		}{
			{0, "bob", 1000 * time.Millisecond},
			{500 * time.Millisecond, `corp\bob`, 2000 * time.Millisecond}, // waits for the first
			{1500 * time.Millisecond, "bob@corp.example", 2500 * time.Millisecond},
			{2100 * time.Millisecond, "bob", 3100 * time.Millisecond}, // the second is done, the third is not
			{2200 * time.Millisecond, `corp\bob`, 3200 * time.Millisecond},
		} {
			all.Go(func() {
				time.Sleep(come.after)
				if err := c.try(t, typed(come.login, "right", home)); err != nil {
					t.Error(err)
				}
				if done := time.Since(began); done != come.done {
					t.Errorf("%q, which came after %v, was done after %v, want %v", come.login, come.after, done, come.done)
				}
			})
		}
		all.Wait()
		if n := c.throttle.Stats().Asking; n != 0 {
			t.Errorf("%d passwords are being proved when none is, want none", n)
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

// TestThrottledAnswerIsNotShared: an equal login from another address does not share a 429.
func TestThrottledAnswerIsNotShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob()}
		c := chainOf(t, newReplica(t, slowStore{throttle.NewMemoryStore(), 100 * time.Millisecond}), Member{d, Config{Name: "corp", Kind: "ldap"}})
		c.try(t, typed("bob", "right", home))
		time.Sleep(2 * time.Minute)
		for i := range 3 {
			c.try(t, typed("bob", fmt.Sprint("w", i), stranger))
		}
		var all sync.WaitGroup
		for _, login := range []struct {
			from netip.Addr
			want string
		}{{stranger, "429"}, {home, "200"}} {
			all.Go(func() {
				if got := outcome(c.try(t, typed("bob", "right", login.from))); got != login.want {
					t.Errorf("Authenticate from %v = %s, want %s", login.from, got, login.want)
				}
			})
			synctest.Wait()
		}
		all.Wait()
	})
}

// TestGuessOfCanceledRequestCounts: a guess counts though its client hangs up before the answer,
// as it does at the directory.
func TestGuessOfCanceledRequestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: time.Second}
		c := one(t, d, nil)
		for i := range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := c.Authenticate(ctx, typed("bob", fmt.Sprint("w", i), home))
			if want := map[bool]string{true: "401", false: "429"}[i < 3]; outcome(err) != want {
				t.Errorf("guess %d, which was canceled = %v, want %s", i, err, want)
			}
			cancel()
			time.Sleep(2 * time.Second)
		}
		if d.reached() != 3 {
			t.Errorf("%d secrets reached the directory, want 3", d.reached())
		}
	})
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
