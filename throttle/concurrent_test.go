package throttle

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// concurrently calls login count times concurrently, and counts the answers.
func concurrently(t *testing.T, count int, login func(i int) string) map[string]int {
	t.Helper()
	var group sync.WaitGroup
	var mu sync.Mutex
	got := map[string]int{}
	for i := range count {
		group.Go(func() {
			answer := login(i)
			mu.Lock()
			defer mu.Unlock()
			got[answer]++
		})
	}
	group.Wait()
	return got
}

// TestConcurrentEqualPasswordsAreSentOnce: fifty equal passwords are sent once, on one
// replica and on five, under any name and for any refusal.
func TestConcurrentEqualPasswordsAreSentOnce(t *testing.T) {
	for _, replicas := range []int{1, 5} {
		for _, refusal := range []Outcome{Wrong, OtherRefusal, ProvedRefused} {
			t.Run(fmt.Sprint(replicas, " replicas, outcome ", refusal), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					d := newDirectory()
					d.slow = time.Second
					d.accounts["bob"].always = refusal
					store := &farStore{MemoryStore: NewMemoryStore(), slow: 3 * time.Millisecond}
					var all []*Throttle
					for range replicas {
						all = append(all, newTest(t, store))
					}
					got := concurrently(t, 50, func(i int) string {
						from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
						name := []string{"bob", "bob@mail"}[i/replicas%2]
						if refusal == ProvedRefused {
							name = "bob" // a right password counts for one name
						}
						return d.login(t.Context(), all[i%replicas], name, "wrong", from)
					})
					if len(got) != 1 || d.arrived() != 1 {
						t.Errorf("the answers are %v with %d passwords sent, want one answer with one", got, d.arrived())
					}
				})
			})
		}
	}
}

// TestConcurrentDistinctPasswordsMeetTheLimit: of concurrent distinct passwords no more
// are sent than of those that come one after another.
func TestConcurrentDistinctPasswordsMeetTheLimit(t *testing.T) {
	for _, replicas := range []int{1, 5} {
		t.Run(fmt.Sprint(replicas, " replicas"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDirectory()
				d.slow = time.Second
				store := &farStore{MemoryStore: NewMemoryStore(), slow: 3 * time.Millisecond}
				var all []*Throttle
				for range replicas {
					all = append(all, newTest(t, store))
				}
				got := concurrently(t, 48, func(i int) string {
					from := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
					return d.login(t.Context(), all[i%replicas], []string{"bob", "bob@mail"}[i/replicas%2], fmt.Sprint("w", i), from)
				})
				if d.arrived() != 3 || got["401 wrong password"] != 3 {
					t.Errorf("the answers are %v with %d passwords sent, want 3", got, d.arrived())
				}
			})
		})
	}
}

// TestProvedPasswordReleasesWaiters: once the password was proved under one name of an
// account, the logins under its other names run concurrently, and so does one that comes
// while they are in flight.
func TestProvedPasswordReleasesWaiters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		d.slow = time.Second
		bob := d.accounts["bob"]
		d.accounts["CORP-bob"] = bob
		throttle := newTest(t, NewMemoryStore())
		began := time.Now()
		var group sync.WaitGroup
		for _, come := range []struct {
			after time.Duration
			name  string
			done  time.Duration
		}{{0, "bob", 1000}, {0, "bob@mail", 2000}, {0, "CORP-bob", 2000}, {1500, "bob", 2500}, {2100, "bob@mail", 3100}} {
			group.Go(func() {
				time.Sleep(come.after * time.Millisecond)
				if got := d.login(t.Context(), throttle, come.name, "right", home); got != "200" {
					t.Errorf("%s = %s, want 200", come.name, got)
				}
				// Any of the logins that came together may have been the first.
				if done := time.Since(began).Round(time.Millisecond); done > come.done*time.Millisecond+time.Second && come.after == 0 || done > come.done*time.Millisecond && come.after > 0 {
					t.Errorf("%s, which came after %d ms, was done after %v, want %d ms", come.name, come.after, done, come.done)
				}
			})
		}
		group.Wait()
		synctest.Wait()
		if took := time.Since(began); took != 3100*time.Millisecond {
			t.Errorf("all took %v, want 3.1s", took)
		}
		if s := throttle.Stats(); s.Asking != 0 || s.Addresses != 0 {
			t.Errorf("Stats = %+v with no login in flight, want zero", s)
		}
	})
}

// TestKilledProcessLeavesLostAnswer: the password of a process that was killed is a
// lost answer once its lease expires; until then an equal password waits.
func TestKilledProcessLeavesLostAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		d.limit.Passwords = 2
		store := NewMemoryStore()
		killed, other := newTest(t, store), newTest(t, store)
		a, err := killed.Begin(t.Context(), d.guess("bob", "right", home))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Reserve(t.Context(), Account{Provider: "corp", Subject: "uuid-bob", State: "s1", Limit: d.limit}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if got := d.login(t.Context(), other, "bob", "right", home); got != "503 unanswered" {
			t.Errorf("an equal password = %s, want 503, since the window has room for one", got)
		}
		if took := time.Since(began); took < leaseTTL || took > leaseTTL+pollLast {
			t.Errorf("it waited %v, want %v", took, leaseTTL)
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if b, err := other.Begin(short, d.guess("alice", "right", home)); err != nil {
			t.Error(err)
		} else {
			b.End()
		}
		time.Sleep(31 * time.Minute)
		if got := d.login(t.Context(), other, "bob", "right", home); got != "200" {
			t.Errorf("after the window = %s, want 200", got)
		}
	})
}

// TestWaitEndsWithContext: the wait for an equal password ends with the context of the
// login that waits.
func TestWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		store := NewMemoryStore()
		slow, other := newTest(t, store), newTest(t, store)
		a, _ := slow.Begin(t.Context(), d.guess("bob", "w", home))
		if _, err := a.Reserve(t.Context(), Account{Provider: "corp", Subject: "uuid-bob", State: "s1", Limit: d.limit}); err != nil {
			t.Fatal(err)
		}
		for _, waiting := range []*Throttle{slow, other} { // by the call, and by the lease
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			began := time.Now()
			got := d.login(ctx, waiting, "bob", "w", home)
			if took := time.Since(began); took != 2*time.Second || !strings.Contains(got, "wait for the same login") {
				t.Errorf("login = %s after %v, want an error after 2s", got, took)
			}
			cancel()
		}
		a.End() // without an outcome
		synctest.Wait()
		if got := d.login(t.Context(), other, "bob", "w", home); got != "401 wrong password" {
			t.Errorf("when the first has ended = %s, want 401", got)
		}
		if s := slow.Stats(); s.Asking != 0 || s.Addresses != 0 {
			t.Errorf("Stats = %+v with no login in flight, want zero", s)
		}
	})
}
