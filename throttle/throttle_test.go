package throttle

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shorepass/internal/secret"
)

// farStore is a slow store with a clock of its own, which fails while it is down.
type farStore struct {
	*MemoryStore
	slow  time.Duration
	ahead time.Duration

	mu                 sync.Mutex
	down               bool
	reads, swaps, asks int
}

var errLost = errors.New("connection lost")

func (f *farStore) ask(count *int) error {
	time.Sleep(f.slow)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asks++
	if f.down {
		return errLost
	}
	*count++
	return nil
}

func (f *farStore) setDown(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// trips returns how often the store was read and written since the last call.
func (f *farStore) trips() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.reads, f.swaps = 0, 0 }()
	return fmt.Sprint(f.reads, " reads, ", f.swaps, " swaps")
}

func (f *farStore) ReadWindows(ctx context.Context, keys []MAC) ([]Row, time.Time, error) {
	if err := f.ask(&f.reads); err != nil {
		return nil, time.Time{}, err
	}
	rows, now, err := f.MemoryStore.ReadWindows(ctx, keys)
	return rows, now.Add(f.ahead), err
}

func (f *farStore) SwapWindows(ctx context.Context, changes []Change) error {
	if err := f.ask(&f.swaps); err != nil {
		return err
	}
	return f.MemoryStore.SwapWindows(ctx, changes)
}

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
		if s := throttle.Stats(); s != (Stats{}) {
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
		if s := slow.Stats(); s != (Stats{}) {
			t.Errorf("Stats = %+v with no login in flight, want zero", s)
		}
	})
}

// TestStoreClock: rows have times by the store's clock, which may differ from the
// clock of a replica.
func TestStoreClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		rows := NewMemoryStore()
		ahead := newTest(t, &farStore{MemoryStore: rows, ahead: 100 * time.Hour})
		for i := range 3 {
			d.login(t.Context(), ahead, "bob", fmt.Sprint("w", i), stranger)
			synctest.Wait()
		}
		if got := d.login(t.Context(), ahead, "bob", "right", stranger); got != "429 name 31m0s" {
			t.Errorf("login = %s, want 429 for 31m", got)
		}
		time.Sleep(31 * time.Minute)
		if got := d.login(t.Context(), ahead, "bob", "right", stranger); got != "200" {
			t.Errorf("login after it = %s, want 200", got)
		}
	})
}

// TestFallbackWhileStoreIsDown: a replica counts by itself with half the limit, and logs
// that once; when the store answers again, its rows hold.
func TestFallbackWhileStoreIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		store := &farStore{MemoryStore: NewMemoryStore()}
		var logged bytes.Buffer
		throttle := New(store, make([]byte, 32), Config{AddressFailures: 30}, slog.New(slog.NewTextHandler(&logged, nil)))
		defer throttle.Close()
		try := func(what, password string, from netip.Addr, want string) {
			t.Helper()
			if got := d.login(t.Context(), throttle, "bob", password, from); got != want {
				t.Errorf("%s: login(%q) = %s, want %s", what, password, got, want)
			}
			synctest.Wait()
		}
		try("before", "right", home, "200")
		try("before", "w1", home, "401 wrong password")
		store.setDown(true)
		try("while it is down", "w1", home, "401 wrong password") // sent again
		try("while it is down", "right", home, "200")             // the proof holds
		try("while it is down", "w2", home, "401 wrong password")
		try("while it is down", "w3", home, "429 name 31m0s")
		try("while it is down", "w4", stranger, "429 name 31m0s")
		if n := d.arrived(); n != 5 {
			t.Errorf("%d passwords were sent, want 5", n)
		}
		asks := store.asks
		for range 20 {
			try("while the circuit is open", "w5", home, "429 name 31m0s")
		}
		if store.asks != asks {
			t.Errorf("the store was called %d times with the circuit open, want 0", store.asks-asks)
		}
		store.setDown(false)
		time.Sleep(storeRetry)
		try("when it is back", "w2", home, "401 wrong password")
		try("when it is back", "w3", home, "401 wrong password")
		try("when it is back", "w4", home, "401 wrong password")
		try("when it is back", "w5", home, "429 name 31m0s")
		if n := strings.Count(logged.String(), "\n"); n != 2 || !strings.Contains(logged.String(), "half the limit") || !strings.Contains(logged.String(), "answers again") {
			t.Errorf("the log is %s, want one line that it is down and one that it is back", &logged)
		}
	})
}

// rowStore is a store that records how many rows each write has.
type rowStore struct {
	*MemoryStore
	rows []int
}

func (r *rowStore) SwapWindows(ctx context.Context, changes []Change) error {
	r.rows = append(r.rows, len(changes))
	return r.MemoryStore.SwapWindows(ctx, changes)
}

// TestRefusalsWriteAsManyRows (B9): Settle writes as many rows for a name without an
// account, and for an account whose window is full, as for a wrong password: the row of
// the name, that of the account or a padding row, and that of the address.
func TestRefusalsWriteAsManyRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		store := &rowStore{MemoryStore: NewMemoryStore()}
		throttle := newTest(t, store)
		settled := func(name, password, want string) {
			t.Helper()
			from := netip.AddrFrom4([4]byte{10, 0, 0, byte(len(password) + len(name))})
			store.rows = nil
			if got := d.login(t.Context(), throttle, name, password, from); got != want {
				t.Errorf("login of %s = %s, want %s", name, got, want)
			}
			if n := len(store.rows); n != 2 || store.rows[n-1] != 3 {
				t.Errorf("%s of %s: writes of %v rows, want one before and one of 3 after", want, name, store.rows)
			}
		}
		settled("alice", "w", "401 wrong password")
		settled("nobody", "w", "401 no such account")
		settled("nobody", "w2", "401 no such account")
		for i := range 3 {
			settled("bob", fmt.Sprint("w", i), "401 wrong password")
		}
		settled("bob@mail", "w3", "401 full")
	})
}

// fullStore is a store that can always be read, and written unless it is full.
type fullStore struct {
	*MemoryStore
	full bool
}

func (f *fullStore) SwapWindows(ctx context.Context, changes []Change) error {
	if f.full {
		return errLost
	}
	return f.MemoryStore.SwapWindows(ctx, changes)
}

// TestStoreThatCannotBeWritten: a store that fails writes is down until a write
// succeeds, which is logged once, however often a read succeeds.
func TestStoreThatCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		store := &fullStore{NewMemoryStore(), true}
		var logged bytes.Buffer
		throttle := New(store, make([]byte, 32), Config{AddressFailures: 30}, slog.New(slog.NewTextHandler(&logged, nil)))
		defer throttle.Close()
		for i := range 60 {
			d.login(t.Context(), throttle, "bob", fmt.Sprint("w", i%5), stranger)
			time.Sleep(time.Second)
		}
		if n := d.arrived(); n != 1 {
			t.Errorf("%d passwords were sent while the store is full, want 1, half the limit of strangers", n)
		}
		if n := strings.Count(logged.String(), "\n"); n != 1 {
			t.Errorf("the log is %s, want one line", &logged)
		}
		store.full = false
		time.Sleep(storeRetry)
		for i := range 5 {
			d.login(t.Context(), throttle, "bob", fmt.Sprint("w", i), stranger)
		}
		if n := d.arrived(); n != 1+3 {
			t.Errorf("%d passwords were sent in all, want 3 more once its rows hold", n)
		}
		if n := strings.Count(logged.String(), "\n"); n != 2 || !strings.Contains(logged.String(), "answers again") {
			t.Errorf("the log is %s, want one line more, that it is back", &logged)
		}
	})
}

// TestStoreFailsBeforeSettle: a wrong password is recorded though the store fails
// between Reserve and Settle.
func TestStoreFailsBeforeSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		store := &farStore{MemoryStore: NewMemoryStore()}
		throttle := newTest(t, store)
		a, err := throttle.Begin(t.Context(), d.guess("bob", "w", home))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Reserve(t.Context(), Account{Provider: "corp", Subject: "uuid-bob", State: "s1", Limit: d.limit}); err != nil {
			t.Fatal(err)
		}
		store.setDown(true)
		a.Settle(Wrong, Cause{Reason: "wrong password"})
		a.End()
		synctest.Wait()
		if got := d.login(t.Context(), throttle, "bob", "w", home); got != "401 wrong password" || d.arrived() != 0 {
			t.Errorf("login = %s with %d passwords sent, want 401 with none", got, d.arrived())
		}
	})
}

// TestTrips: how often a login calls the store; the last swap is after the answer. A
// name without an account makes as many calls as one with.
func TestTrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		store := &farStore{MemoryStore: NewMemoryStore()}
		throttle := newTest(t, store)
		for _, test := range []struct{ what, name, password, want string }{
			{"the first login from an address", "bob", "right", "2 reads, 2 swaps"},
			{"another", "bob", "right", "2 reads, 2 swaps"},
			{"a wrong password", "alice", "w", "2 reads, 2 swaps"},
			{"the same again", "alice", "w", "2 reads, 0 swaps"},
			{"a name that does not exist", "nobody", "w", "2 reads, 2 swaps"},
			{"the same again", "nobody", "w", "2 reads, 0 swaps"},
		} {
			d.login(t.Context(), throttle, test.name, test.password, home)
			synctest.Wait()
			if got := store.trips(); got != test.want {
				t.Errorf("%s: %s, want %s", test.what, got, test.want)
			}
		}
	})
}

// TestBudget: the budget of an address counts distinct pairs of name and password, each
// for ten minutes by itself. A login with a proof is neither limited by it nor counted
// in it. Another ConfigHash has another budget.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		throttle := newTest(t, NewMemoryStore())
		office, neighbour := netip.MustParseAddr("2001:db8:1:2::1"), netip.MustParseAddr("2001:db8:1:2:ffff::9")
		try := func(what, name, password string, from netip.Addr, want string) {
			t.Helper()
			if got := d.login(t.Context(), throttle, name, password, from); got != want {
				t.Errorf("%s = %s, want %s", what, got, want)
			}
		}
		try("bob's proof", "bob", "right", office, "200")
		try("a wrong password at a known address", "bob", "w", office, "401 wrong password")
		for i := range 30 {
			try("a failure", fmt.Sprint("nobody", i), "w", []netip.Addr{office, neighbour}[i%2], "401 no such account")
			if i == 0 {
				try("the same again", "nobody0", "w", office, "401 no such account")
				time.Sleep(time.Minute)
			}
		}
		try("one more", "nobody30", "w", neighbour, "429 address 9m0s")
		try("a newcomer", "alice", "right", neighbour, "429 address 9m0s")
		try("a person who logged in there", "bob", "right", office, "200")
		try("the newcomer elsewhere", "alice", "right", home, "200")
		time.Sleep(9 * time.Minute)
		try("when the first failure is over", "nobody30", "w", office, "401 no such account")
		try("one more", "nobody31", "w", office, "429 address 1m0s")
		throttle.Reload(Config{AddressFailures: 30, ConfigHash: []byte("corrected")})
		try("after another configuration", "alice", "right", neighbour, "200")
	})
}

// TestTokenCountsForAddressAlone: and the refusal of an equal token is cached.
func TestTokenCountsForAddressAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		throttle := newTest(t, NewMemoryStore())
		refuse := func(token string) string {
			a, err := throttle.Begin(t.Context(), Guess{Name: "$refresh", Text: "$refresh", Token: "refresh_token", Secret: secret.New(token), Address: home})
			if err != nil {
				return status(err)
			}
			defer a.End()
			a.Settle(Wrong, Cause{Reason: "invalid_grant"})
			return "asked"
		}
		for i := range 30 {
			if got := refuse(fmt.Sprint("token", i)); got != "asked" {
				t.Errorf("token %d = %s, want asked", i, got)
			}
			synctest.Wait()
			if got := refuse(fmt.Sprint("token", i)); got != "401 invalid_grant" {
				t.Errorf("token %d again = %s, want 401", i, got)
			}
		}
		if got := refuse("another"); got != "429 address 10m0s" {
			t.Errorf("one more = %s, want 429", got)
		}
		d := newDirectory()
		if got := d.login(t.Context(), throttle, "bob", "w", stranger); got != "401 wrong password" {
			t.Errorf("a password elsewhere = %s, want 401", got)
		}
	})
}

// TestReloadEmptiesRefusalCache: nor is the refusal of an attempt cached that began
// before the reload and is settled after it.
func TestReloadEmptiesRefusalCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		d.accounts["bob"].always = ProvedRefused
		throttle := newTest(t, NewMemoryStore())
		a, _ := throttle.Begin(t.Context(), d.guess("bob", "right", home))
		if _, err := a.Reserve(t.Context(), Account{Provider: "corp", Subject: "uuid-bob", State: "s1", Limit: d.limit}); err != nil {
			t.Fatal(err)
		}
		d.login(t.Context(), throttle, "alice", "w", home)
		throttle.Reload(Config{AddressFailures: 30})
		a.Settle(ProvedRefused, Cause{Reason: "configuration"})
		a.End()
		synctest.Wait()
		d.accounts["bob"].always = 0
		if got := d.login(t.Context(), throttle, "bob", "right", home); got != "200" {
			t.Errorf("after the reload = %s, want 200", got)
		}
	})
}

// TestNoteProof: a redeemed session writes a proof of the login name under which it was
// made, at most once an hour.
func TestNoteProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		store := &farStore{MemoryStore: NewMemoryStore()}
		throttle := newTest(t, store)
		hasProof := func() bool {
			a, err := throttle.Begin(t.Context(), d.guess("bob", "w", home))
			if err != nil {
				t.Fatal(err)
			}
			defer a.End()
			return a.HasProof()
		}
		if hasProof() {
			t.Error("HasProof before any, want none")
		}
		for range 10 {
			throttle.NoteProof("bob", home)
			throttle.NoteProof("bob", nowhere)
			synctest.Wait()
		}
		if !hasProof() {
			t.Error("no proof once a session was redeemed there")
		}
		if store.swaps != 1 {
			t.Errorf("%d writes of ten redemptions, want 1", store.swaps)
		}
		time.Sleep(23 * time.Hour)
		throttle.NoteProof("bob", home)
		time.Sleep(2 * time.Hour)
		if !hasProof() {
			t.Error("no proof two hours after the last redemption")
		}
		time.Sleep(22 * time.Hour)
		if hasProof() {
			t.Error("a proof a day after the last redemption")
		}
	})
}

// TestProofOfAnotherAccount: a proof does not hold for another account that got the
// login name since.
func TestProofOfAnotherAccount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDirectory()
		throttle := newTest(t, NewMemoryStore())
		d.login(t.Context(), throttle, "bob", "right", home)
		synctest.Wait()
		d.accounts["bob"] = &person{subject: "uuid-another", password: "other"}
		for i, want := range []string{"401 wrong password", "401 wrong password", "401 wrong password", "429 name 31m0s"} {
			if got := d.login(t.Context(), throttle, "bob", fmt.Sprint("w", i), home); got != want {
				t.Errorf("login %d = %s, want %s", i, got, want)
			}
			synctest.Wait()
		}
	})
}

func TestAddressKey(t *testing.T) {
	cfg := Config{Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}
	for _, test := range []struct{ address, want string }{
		{"192.0.2.7", "192.0.2.7"}, {"::ffff:192.0.2.7", "192.0.2.7"}, {"10.2.3.4", "10.0.0.0/8"},
		{"2001:db8:1::1", "2001:db8::/32"}, {"2001:db9:1:2:3::1", "2001:db9:1:2::/64"}, {"fe80::1%eth0", "fe80::/64"},
	} {
		if got := cfg.addressKey(netip.MustParseAddr(test.address)); got != test.want {
			t.Errorf("addressKey(%s) = %s, want %s", test.address, got, test.want)
		}
	}
	if got := cfg.addressKey(netip.Addr{}); got != "" {
		t.Errorf("addressKey of an unknown address = %q, want none", got)
	}
}

// TestMemoryStoreEvicts: a full MemoryStore evicts the least recently used row.
func TestMemoryStoreEvicts(t *testing.T) {
	m := NewMemoryStore()
	for i := range maxRows + 10 {
		row := Row{Key: MAC{byte(i), byte(i >> 8), byte(i >> 16)}, Version: 1}
		if err := m.SwapWindows(t.Context(), []Change{{Row: row}}); err != nil {
			t.Fatal(err)
		}
	}
	rows, _, _ := m.ReadWindows(t.Context(), []MAC{{9}, {10}})
	if m.rows.Len() != maxRows || rows[0].Version != 0 || rows[1].Version != 1 {
		t.Errorf("%d rows are stored, and of the first ones %v, want %d and only the second", m.rows.Len(), rows, maxRows)
	}
}
