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

// TestBurstOfGuesses: concurrent distinct passwords have the same answers whether the name
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
