package storetest

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"shorepass/session"
	throttle "shorepass/throttle/counting"
)

// Counting is a store that keeps what the throttle counts too.
type Counting interface {
	session.Store
	throttle.CounterStore
}

// RunCounters plays the contract of [throttle.CounterStore] on stores that
// open opens: each new and empty, and closed by the test's end. again opens
// what the one before opened, as another replica does.
func RunCounters(t *testing.T, open func(t *testing.T) (store Counting, again func() Counting)) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, s, other Counting)
	}{
		{"marks", testMarks},
		{"the later time", testLater},
		{"a mark that is taken out", testUncount},
		{"many marks", testManyMarks},
		{"marks that are over", testOver},
		{"replicas that count at once", testCountAtOnce},
		{"the limit of the caller", testCountLimit},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, again := open(t)
			tc.test(t, s, again())
		})
	}
}

func count(t *testing.T, s Counting, counts ...throttle.Count) {
	t.Helper()
	must(t, s.Count(t.Context(), counts))
}

// marks returns the marks of one bucket, sorted.
func marks(t *testing.T, s Counting, bucket throttle.Mark) []throttle.Mark {
	t.Helper()
	found, err := s.Marks(t.Context(), []throttle.Mark{bucket})
	must(t, err)
	var all []throttle.Mark
	for _, m := range found[0] {
		all = append(all, m.Mark)
	}
	slices.SortFunc(all, func(a, b throttle.Mark) int { return bytes.Compare(a[:], b[:]) })
	return all
}

func testMarks(t *testing.T, s, other Counting) {
	found, err := s.Marks(t.Context(), []throttle.Mark{{1}, {2}})
	must(t, err)
	check(t, "marks before any", found, [][]throttle.Counted{nil, nil})
	before := time.Now()
	count(t, s,
		throttle.Count{Bucket: throttle.Mark{1}, Mark: throttle.Mark{10}, For: time.Hour},
		throttle.Count{Bucket: throttle.Mark{1}, Mark: throttle.Mark{11}, For: 2 * time.Hour},
		throttle.Count{Bucket: throttle.Mark{2}, Mark: throttle.Mark{}, For: time.Hour},
		throttle.Count{Bucket: throttle.Mark{1}, Mark: throttle.Mark{10}, For: time.Hour}, // as before: one login can count twice
	)
	found, err = other.Marks(t.Context(), []throttle.Mark{{2}, {3}, {1}, {2}})
	must(t, err)
	lengths := []int{len(found[0]), len(found[1]), len(found[2]), len(found[3])}
	check(t, "how many marks are in buckets 2, 3, 1 and 2", lengths, []int{1, 0, 2, 1})
	check(t, "bucket 1", marks(t, other, throttle.Mark{1}), []throttle.Mark{{10}, {11}})
	for _, m := range found[2] {
		want := time.Hour
		if m.Mark == (throttle.Mark{11}) {
			want = 2 * time.Hour
		}
		if got := m.Until.Sub(before); got < want-time.Second || got > want+10*time.Second {
			t.Errorf("mark %v stays for %v, want %v", m.Mark[0], got, want)
		}
	}
	found, err = s.Marks(t.Context(), nil)
	must(t, err)
	check(t, "of no bucket", len(found), 0)
	must(t, s.Count(t.Context(), nil))
}

func testLater(t *testing.T, s, other Counting) {
	bucket, mark := throttle.Mark{1}, throttle.Mark{2}
	until := func() time.Duration {
		t.Helper()
		found, err := s.Marks(t.Context(), []throttle.Mark{bucket})
		must(t, err)
		return time.Until(found[0][0].Until).Round(time.Minute)
	}
	count(t, s, throttle.Count{Bucket: bucket, Mark: mark, For: time.Hour})
	count(t, other, throttle.Count{Bucket: bucket, Mark: mark, For: 2 * time.Hour})
	check(t, "after a longer one", until(), 2*time.Hour)
	count(t, s, throttle.Count{Bucket: bucket, Mark: mark, For: time.Minute})
	check(t, "after a shorter one", until(), 2*time.Hour)
	count(t, s, throttle.Count{Bucket: bucket, Mark: mark, For: 3 * time.Hour}, throttle.Count{Bucket: bucket, Mark: mark, For: time.Minute})
	check(t, "after both at once", until(), 3*time.Hour)
}

func testUncount(t *testing.T, s, other Counting) {
	bucket := throttle.Mark{1}
	count(t, s, throttle.Count{Bucket: bucket, Mark: throttle.Mark{2}, For: time.Hour},
		throttle.Count{Bucket: bucket, Mark: throttle.Mark{3}, For: time.Hour},
		throttle.Count{Bucket: throttle.Mark{4}, Mark: throttle.Mark{2}, For: time.Hour})
	must(t, other.Uncount(t.Context(), bucket, throttle.Mark{2}))
	check(t, "what is left", marks(t, s, bucket), []throttle.Mark{{3}})
	check(t, "another bucket", marks(t, s, throttle.Mark{4}), []throttle.Mark{{2}})
	must(t, other.Uncount(t.Context(), bucket, throttle.Mark{2})) // which is out already
}

func testManyMarks(t *testing.T, s, other Counting) {
	var counts []throttle.Count
	for i := range 100 {
		counts = append(counts, throttle.Count{Bucket: throttle.Mark{1}, Mark: throttle.Mark{byte(i)}, For: time.Hour + time.Duration(i)*time.Minute})
	}
	count(t, s, counts...)
	got := marks(t, other, throttle.Mark{1})
	if len(got) < 64 {
		t.Fatalf("%d marks of 100 were kept, want the 64 that end last", len(got))
	}
	for i := 36; i < 100; i++ {
		if !slices.Contains(got, throttle.Mark{byte(i)}) {
			t.Errorf("mark %d is gone, which is of the 64 that end last", i)
		}
	}
}

func testOver(t *testing.T, s, _ Counting) {
	count(t, s,
		throttle.Count{Bucket: throttle.Mark{1}, Mark: throttle.Mark{1}, For: 50 * time.Millisecond},
		throttle.Count{Bucket: throttle.Mark{1}, Mark: throttle.Mark{2}, For: time.Hour})
	time.Sleep(100 * time.Millisecond)
	check(t, "what is over", marks(t, s, throttle.Mark{1}), []throttle.Mark{{2}})
	now, err := s.Now(t.Context())
	must(t, err)
	past := now.Add(-1000 * time.Hour)
	n, err := s.Sweep(t.Context(), session.SweepTimes{Now: now, Idle: past, Unused: past, Forget: past}, 10)
	must(t, err)
	check(t, "rows that a sweep touched", n, 1)
	check(t, "after the sweep", marks(t, s, throttle.Mark{1}), []throttle.Mark{{2}})
}

// testCountAtOnce has two replicas count the same marks in different orders.
func testCountAtOnce(t *testing.T, s, other Counting) {
	var group sync.WaitGroup
	for i, store := range []Counting{s, other, s, other} {
		group.Go(func() {
			for round := range 20 {
				var counts []throttle.Count
				for m := range 20 {
					counts = append(counts, throttle.Count{Bucket: throttle.Mark{byte(m)}, Mark: throttle.Mark{byte(round)}, For: time.Hour})
				}
				if i%2 == 1 {
					slices.Reverse(counts)
				}
				if err := store.Count(t.Context(), counts); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	check(t, "how many marks there are", len(marks(t, s, throttle.Mark{7})), 20)
}

func testCountLimit(t *testing.T, s, _ Counting) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Marks(ctx, []throttle.Mark{{1}}); err == nil {
		t.Error("Marks for a caller that is gone: no error")
	}
}
