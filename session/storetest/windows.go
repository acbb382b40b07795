package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/session"
	"shorepass/throttle"
)

// ThrottleStore is a store that has the rows of the throttle too.
type ThrottleStore interface {
	session.Store
	throttle.Store
}

// RunWindows tests the contract of [throttle.Store]. open returns a new, empty store
// that is closed when the test ends, and a function that opens it again, as another
// replica does.
func RunWindows(t *testing.T, open func(t *testing.T) (store ThrottleStore, reopen func() ThrottleStore)) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, s ThrottleStore, reopen func() ThrottleStore)
	}{
		{"rows are read in the order of the keys", testRows},
		{"a row that has changed is a conflict", testConflict},
		{"all changes of a swap are written or none", testAllOrNone},
		{"concurrent swaps lose no change", testConcurrentSwaps},
		{"a scan pages through the rows with a body", testScan},
		{"sweep deletes expired rows", testExpired},
		{"a canceled context is an error", testCanceled},
		{"five replicas ask once about fifty equal wrong passwords", testEqualPasswords},
		{"five replicas admit three of 48 distinct wrong passwords", testDistinctPasswords},
		{"an unlock on one replica admits logins on the others", testUnlock},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, reopen := open(t)
			tc.test(t, s, reopen)
		})
	}
}

func key(n byte) throttle.MAC { return throttle.MAC{n, 1} }

// change returns the change of row n from a version to the next.
func change(n byte, from, to int64, body string) throttle.Change {
	return throttle.Change{Old: from, Row: throttle.Row{Key: key(n), Version: to, Expires: epoch.Add(time.Duration(n) * time.Minute), Body: []byte(body)}}
}

func readRows(t *testing.T, s ThrottleStore, keys ...throttle.MAC) []throttle.Row {
	t.Helper()
	rows, _, err := s.ReadWindows(t.Context(), keys)
	must(t, err)
	return rows
}

// versions returns the versions of the rows of keys.
func versions(t *testing.T, s ThrottleStore, keys ...throttle.MAC) (all []int64) {
	t.Helper()
	for _, row := range readRows(t, s, keys...) {
		all = append(all, row.Version)
	}
	return all
}

func swap(t *testing.T, s ThrottleStore, changes ...throttle.Change) {
	t.Helper()
	must(t, s.SwapWindows(t.Context(), changes))
}

func testRows(t *testing.T, s ThrottleStore, reopen func() ThrottleStore) {
	check(t, "keys without a row", readRows(t, s, key(1), key(2)), []throttle.Row{{Key: key(1)}, {Key: key(2)}})
	check(t, "no keys", len(readRows(t, s)), 0)
	first, second := change(1, 0, 11, "first\x00\xff"), change(2, 0, 22, "")
	second.Body = nil
	swap(t, s, first, second)
	rows := readRows(t, reopen(), key(2), key(3), key(1), key(4), key(2), key(5))
	check(t, "an empty body", len(rows[0].Body), 0)
	rows[0].Body, rows[4].Body = nil, nil
	check(t, "rows in the order of the keys", rows, []throttle.Row{second.Row, {Key: key(3)}, first.Row, {Key: key(4)}, second.Row, {Key: key(5)}})
	_, now, err := s.ReadWindows(t.Context(), []throttle.MAC{key(1)})
	must(t, err)
	store, err := s.Now(t.Context())
	must(t, err)
	if d := store.Sub(now); d < -time.Second || d > 10*time.Second {
		t.Errorf("the time of a read is %v before the store's, want about the same", d)
	}
}

func testConflict(t *testing.T, s ThrottleStore, reopen func() ThrottleStore) {
	other := reopen()
	swap(t, s, change(1, 0, 11, "a"))
	swap(t, other, change(1, 11, 12, "b"))
	for name, stale := range map[string]throttle.Change{"an older version": change(1, 11, 13, "c"), "no row": change(1, 0, 14, "d"), "a row that does not exist": change(2, 5, 15, "e")} {
		if err := s.SwapWindows(t.Context(), []throttle.Change{stale}); !errors.Is(err, throttle.ErrConflict) {
			t.Errorf("SwapWindows, read at %s = %v, want ErrConflict", name, err)
		}
	}
	check(t, "after the conflicts", versions(t, s, key(1), key(2)), []int64{12, 0})
	swap(t, s, change(1, 12, 16, "f")) // a conflict leaves the store usable
}

func testAllOrNone(t *testing.T, s ThrottleStore, reopen func() ThrottleStore) {
	swap(t, s, change(1, 0, 11, "a"), change(3, 0, 31, "a"))
	for _, stale := range []byte{1, 2, 3} {
		changes := []throttle.Change{change(1, 11, 12, "b"), change(2, 0, 22, "b"), change(3, 31, 32, "b")}
		changes[stale-1].Old = 99
		if err := s.SwapWindows(t.Context(), changes); !errors.Is(err, throttle.ErrConflict) {
			t.Errorf("SwapWindows with a stale row %d = %v, want ErrConflict", stale, err)
		}
	}
	check(t, "after the conflicts", versions(t, reopen(), key(1), key(2), key(3)), []int64{11, 0, 31})
}

// testConcurrentSwaps: two replicas swap the same rows in different orders, each
// until it succeeds. No change is lost, and no lock order deadlocks.
func testConcurrentSwaps(t *testing.T, s ThrottleStore, reopen func() ThrottleStore) {
	var group sync.WaitGroup
	var version atomic.Int64
	for i, store := range []ThrottleStore{s, reopen(), s, reopen()} {
		group.Go(func() {
			for range 10 {
				for !swapBoth(t, store, i%2 == 0, &version) {
				}
			}
		})
	}
	group.Wait()
	for i, row := range readRows(t, s, key(1), key(2)) {
		check(t, fmt.Sprintf("changes of row %d", i+1), len(row.Body), 40)
	}
}

func swapBoth(t *testing.T, s ThrottleStore, inOrder bool, version *atomic.Int64) bool {
	rows, _, err := s.ReadWindows(t.Context(), []throttle.MAC{key(1), key(2)})
	if err != nil {
		t.Error(err)
		return true
	}
	var changes []throttle.Change
	for i, row := range rows {
		c := change(byte(i+1), row.Version, version.Add(1), string(row.Body)+"x")
		changes = append(changes, c)
	}
	if !inOrder {
		changes[0], changes[1] = changes[1], changes[0]
	}
	err = s.SwapWindows(t.Context(), changes)
	if err != nil && !errors.Is(err, throttle.ErrConflict) {
		t.Error(err)
		return true
	}
	return err == nil
}

func testScan(t *testing.T, s ThrottleStore, reopen func() ThrottleStore) {
	for n := byte(1); n <= 5; n++ {
		swap(t, s, change(n, 0, int64(n), "body"))
	}
	swap(t, s, change(3, 3, 33, "")) // a row without a body
	other := reopen()
	var scanned []throttle.MAC
	for after := (throttle.MAC{}); ; {
		rows, err := other.ScanWindows(t.Context(), after, 3)
		must(t, err)
		for _, row := range rows {
			check(t, "a scanned row", []throttle.Row{row}, readRows(t, s, row.Key))
			scanned = append(scanned, row.Key)
		}
		if len(rows) < 3 {
			break
		}
		after = rows[len(rows)-1].Key
	}
	check(t, "scanned", scanned, []throttle.MAC{key(1), key(2), key(4), key(5)})
}

func testExpired(t *testing.T, s ThrottleStore, _ func() ThrottleStore) {
	now, err := s.Now(t.Context())
	must(t, err)
	for n, in := range []time.Duration{-time.Minute, time.Hour, -time.Second, 24 * time.Hour} {
		c := change(byte(n), 0, 1, "body")
		c.Expires = now.Add(in)
		swap(t, s, c)
	}
	past := now.Add(-1000 * time.Hour)
	n, err := s.Sweep(t.Context(), session.SweepTimes{Now: now, DeleteEnded: past}, 10)
	must(t, err)
	check(t, "rows that a sweep touched", n, 2)
	check(t, "after the sweep", versions(t, s, key(0), key(1), key(2), key(3)), []int64{0, 1, 0, 1})
}

func testCanceled(t *testing.T, s ThrottleStore, _ func() ThrottleStore) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.ReadWindows(ctx, []throttle.MAC{key(1)}); err == nil {
		t.Error("ReadWindows with a canceled context: no error")
	}
	if err := s.SwapWindows(ctx, []throttle.Change{change(1, 0, 1, "a")}); err == nil {
		t.Error("SwapWindows with a canceled context: no error")
	}
}

// replicas returns five throttles that share a store, each with connections of its
// own.
func replicas(t *testing.T, s ThrottleStore, reopen func() ThrottleStore) (all []*throttle.Throttle) {
	secretKey := sha256.Sum256([]byte("the key that replicas share"))
	for i := range 5 {
		store := s
		if i > 0 {
			store = reopen()
		}
		r := throttle.New(withoutDeadline{store}, secretKey[:], throttle.Config{AddressFailures: 1000}, slog.New(slog.DiscardHandler))
		t.Cleanup(r.Close)
		all = append(all, r)
	}
	return all
}

// withoutDeadline is a store that ignores the throttle's deadline, so that the tests
// pass on a busy machine.
type withoutDeadline struct{ throttle.Store }

func (w withoutDeadline) ReadWindows(ctx context.Context, keys []throttle.MAC) ([]throttle.Row, time.Time, error) {
	return w.Store.ReadWindows(context.WithoutCancel(ctx), keys)
}

func (w withoutDeadline) SwapWindows(ctx context.Context, changes []throttle.Change) error {
	return w.Store.SwapWindows(context.WithoutCancel(ctx), changes)
}

// wrong tries a wrong password for bob's account from an address, and reports
// whether the throttle let the provider be asked.
func wrong(t *testing.T, r *throttle.Throttle, name, password string, from byte) (asked bool) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	limit := throttle.Limit{Passwords: 4, Window: 30 * time.Minute}
	a, err := r.Begin(ctx, throttle.Guess{Name: name, Text: name, Secret: secret.New(password), Address: netip.AddrFrom4([4]byte{10, 0, 0, from}), Limit: limit})
	if err == nil {
		defer a.End()
		var answer throttle.Answer
		answer, err = a.Reserve(ctx, throttle.Account{Provider: "corp", Subject: "uuid-of-bob", State: "as it is", Limit: limit})
		asked = err == nil && answer.Verdict == throttle.Ask
	}
	if _, full := errors.AsType[*throttle.RetryAfter](err); err != nil && !full {
		t.Errorf("a wrong password: %v", err)
	}
	if asked {
		time.Sleep(30 * time.Millisecond) // the provider's answer
		a.Settle(throttle.Wrong, throttle.Cause{Reason: "wrong password"})
	}
	return asked
}

// concurrently tries count guesses at the same time on all replicas, and returns how
// often the provider was asked.
func concurrently(t *testing.T, all []*throttle.Throttle, count int, guess func(i int) (name, password string)) (asked int) {
	var n atomic.Int64
	var group sync.WaitGroup
	for i := range count {
		group.Go(func() {
			if name, password := guess(i); wrong(t, all[i%len(all)], name, password, byte(i)) {
				n.Add(1)
			}
		})
	}
	group.Wait()
	return int(n.Load())
}

func testEqualPasswords(t *testing.T, s ThrottleStore, reopen func() ThrottleStore) {
	all := replicas(t, s, reopen)
	asked := concurrently(t, all, 50, func(i int) (string, string) { return []string{"bob", "bob@corp"}[i%2], "wrong" })
	check(t, "requests to the provider", asked, 1)
}

func testDistinctPasswords(t *testing.T, s ThrottleStore, reopen func() ThrottleStore) {
	all := replicas(t, s, reopen)
	asked := concurrently(t, all, 48, func(i int) (string, string) { return []string{"bob", "bob@corp"}[i%2], fmt.Sprint("wrong", i) })
	check(t, "distinct passwords that the provider was asked about", asked, 3) // one less than the limit: no address has a proof
}

func testUnlock(t *testing.T, s ThrottleStore, reopen func() ThrottleStore) {
	all := replicas(t, s, reopen)
	for i := range 3 {
		wrong(t, all[0], "bob", fmt.Sprint("wrong", i), 1)
		wrong(t, all[0], "alice", fmt.Sprint("wrong", i), 1) // shares the account
	}
	wrong(t, all[0], "carol", "wrong", 1)
	all[0].Close() // writes what is buffered
	check(t, "asked while the window is full", wrong(t, all[1], "bob", "another", 1), false)
	emptied, err := all[2].Unlock(t.Context(), "bob")
	must(t, err)
	check(t, "windows that Unlock emptied", emptied, 2)
	check(t, "asked after Unlock", wrong(t, all[1], "bob", "another", 1), true)
	check(t, "asked about alice, whose name window is full", wrong(t, all[1], "alice", "another", 1), false)
}

// BenchmarkThrottle reports the median time that a login with a right and with a
// wrong password spends in a throttle on s: until its entry is reserved, and until
// it is settled and can be answered.
func BenchmarkThrottle(b *testing.B, s throttle.Store) {
	limit := throttle.Limit{Passwords: 50, Window: time.Minute}
	for name, outcome := range map[string]throttle.Outcome{"right": throttle.Proved, "wrong": throttle.Wrong} {
		b.Run(name, func(b *testing.B) {
			r := throttle.New(s, make([]byte, 32), throttle.Config{AddressFailures: 1000}, slog.New(slog.DiscardHandler))
			defer r.Close()
			var reserved, settled []time.Duration
			for i := 0; b.Loop(); i++ {
				began := time.Now()
				user := fmt.Sprint(name, i)
				a, err := r.Begin(b.Context(), throttle.Guess{Name: user, Text: user, Secret: secret.New("password"), Address: netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), Limit: limit})
				if err == nil {
					_, err = a.Reserve(b.Context(), throttle.Account{Provider: "corp", Subject: user, Limit: limit})
				}
				if err != nil {
					b.Fatal(err)
				}
				reserved = append(reserved, time.Since(began))
				a.Settle(outcome, throttle.Cause{})
				settled = append(settled, time.Since(began))
			}
			for unit, all := range map[string][]time.Duration{"µs-reserved": reserved, "µs-settled": settled} {
				slices.Sort(all)
				b.ReportMetric(float64(all[len(all)/2].Microseconds()), unit)
			}
		})
	}
}
