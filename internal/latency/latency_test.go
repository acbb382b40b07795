package latency

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRecorder(t *testing.T) {
	r := New("bind", "search")
	for _, took := range []time.Duration{0, time.Millisecond, time.Millisecond + 1, 3 * time.Second, 10*time.Second + 1} {
		r.record("search", took, took > time.Second)
	}
	want := map[string]Stats{
		"bind":   {},
		"search": {Count: 5, Sum: 13*time.Second + 2*time.Millisecond + 2, Cumulative: [len(Bounds)]uint64{2, 3, 3, 3, 3, 3, 4, 4}, Failures: 2},
	}
	if diff := cmp.Diff(want, r.Stats()); diff != "" {
		t.Errorf("Stats (-want +got):\n%s", diff)
	}
}

// TestRecorderConcurrently: no operation is lost, and a snapshot is never inconsistent
// (its count is the sum of its buckets).
func TestRecorderConcurrently(t *testing.T) {
	r := New("search")
	var working sync.WaitGroup
	for range 8 {
		working.Go(func() {
			for i := range 1000 {
				r.Record("search", time.Now(), i%2 == 0)
				r.Stats()
			}
		})
	}
	working.Wait()
	if got := r.Stats()["search"]; got.Count != 8000 || got.Failures != 4000 {
		t.Errorf("%d operations and %d failures, want 8000 and 4000", got.Count, got.Failures)
	}
}

func TestUnknownOperation(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an operation that New does not name was recorded")
		}
	}()
	New("search").Record("serach", time.Now(), false)
}

func BenchmarkRecord(b *testing.B) {
	r := New("bind", "connect", "search")
	began := time.Now()
	for b.Loop() {
		r.Record("search", began, false)
	}
}
