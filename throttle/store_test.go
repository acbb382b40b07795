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

// TestRefusalsWriteAsManyRows: Settle writes as many rows for a name without an
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
