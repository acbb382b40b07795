package session

import (
	"math/rand/v2"
	"testing"
	"time"
)

// countedAnswer is an answer that a replica counts, at a time after epoch.
type countedAnswer struct {
	at      time.Duration
	replica int
	what    string // "vouched", "accepted", "ended" or "refused"
	person  int64
}

// replicaTallies are the tallies of replicas. Answers are counted in the order
// of time.
type replicaTallies []tally

func (r replicaTallies) count(one countedAnswer) {
	tally := &r[one.replica]
	tally.advance(epoch.Add(one.at))
	switch one.what {
	case "vouched":
		tally.Vouched[0]++
	case "accepted":
		tally.Accepted[0]++
	case "ended":
		tally.Ended.add(one.person, tally.Slot)
	case "refused":
		tally.Refused.add(one.person, tally.Slot)
	}
}

// read returns the tallies as the first replica measures them at now: its own,
// and those of the others from the store.
func (r replicaTallies) read(t *testing.T, now time.Time) []*tally {
	t.Helper()
	r[0].advance(now)
	all := []*tally{&r[0]}
	for i := range r[1:] {
		body, err := r[1+i].encode()
		if err != nil {
			t.Fatal(err)
		}
		read, err := decodeTally(body)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, read)
	}
	return all
}

func TestMeasure(t *testing.T) {
	const s, m = time.Second, time.Minute
	for _, tc := range []struct {
		name               string
		counted            []countedAnswer
		at                 time.Duration
		minute, tenMinutes window
	}{
		{"nothing", nil, 0, window{}, window{}},
		{"a person whom two replicas found gone", []countedAnswer{{0, 0, "ended", 7}, {s, 1, "ended", 7}, {s, 1, "ended", 8}}, 2 * s, window{ended: 2}, window{ended: 2}},
		{"a person's many sessions", []countedAnswer{{0, 0, "ended", 7}, {0, 0, "ended", 7}, {0, 0, "ended", 7}}, s, window{ended: 1}, window{ended: 1}},
		{"answers count each", []countedAnswer{{0, 0, "vouched", 0}, {0, 0, "vouched", 0}, {s, 1, "vouched", 0}}, s, window{vouched: 3}, window{vouched: 3}},
		{"a minute later", []countedAnswer{{0, 0, "ended", 7}, {0, 1, "vouched", 0}}, m, window{ended: 1, vouched: 1}, window{ended: 1, vouched: 1}},
		{"more than a minute later", []countedAnswer{{0, 0, "ended", 7}, {0, 1, "vouched", 0}}, m + 5*s, window{}, window{ended: 1, vouched: 1}},
		{"more than ten minutes later", []countedAnswer{{0, 0, "ended", 7}, {0, 1, "ended", 8}, {0, 1, "vouched", 0}}, 10*m + 5*s, window{}, window{}},
		{"a person counts when last ended", []countedAnswer{{0, 0, "ended", 7}, {5 * m, 1, "ended", 7}}, 5*m + 30*s, window{ended: 1}, window{ended: 1}},
		{"logins", []countedAnswer{{0, 0, "refused", 7}, {0, 1, "refused", 7}, {0, 1, "refused", 8}, {m, 0, "accepted", 0}}, m + 30*s, window{accepted: 1}, window{refused: 2, accepted: 1}},
	} {
		now := epoch.Add(tc.at)
		replicas := make(replicaTallies, 2)
		for _, one := range tc.counted {
			replicas.count(one)
		}
		all := replicas.read(t, now)
		if got := measure(all, time.Minute, now); got != tc.minute {
			t.Errorf("%s: within a minute = %+v, want %+v", tc.name, got, tc.minute)
		}
		if got := measure(all, 10*time.Minute, now); got != tc.tenMinutes {
			t.Errorf("%s: within ten minutes = %+v, want %+v", tc.name, got, tc.tenMinutes)
		}
	}
}

// TestMeasureAgainstNaive has replicas whose clocks differ count at random, and
// compares their windows with a list of all answers.
func TestMeasureAgainstNaive(t *testing.T) {
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		replicas := make(replicaTallies, 3)
		var all []countedAnswer
		var at time.Duration
		for range 400 {
			at += time.Duration(random.Int64N(int64(10 * time.Second)))
			replica := random.IntN(len(replicas))
			skew := time.Duration(replica-1) * 900 * time.Millisecond
			what := []string{"vouched", "accepted", "ended", "refused"}[random.IntN(4)]
			one := countedAnswer{at + skew, replica, what, random.Int64N(20)}
			all = append(all, one)
			replicas.count(one)
			if random.IntN(10) > 0 {
				continue
			}
			now := epoch.Add(at)
			read := replicas.read(t, now)
			for _, span := range []time.Duration{time.Minute, 10 * time.Minute} {
				if got, want := measure(read, span, now), naiveWindow(all, span, now); got != want {
					t.Fatalf("seed %d, after %v, within %v: measure = %+v, want %+v", seed, at, span, got, want)
				}
			}
		}
	}
}

// naiveWindow counts the answers in the slots of a window that ends now.
func naiveWindow(all []countedAnswer, span time.Duration, now time.Time) (w window) {
	from := now.Add(-span).Truncate(slotLength).Sub(epoch)
	ended, refused := make(map[int64]bool), make(map[int64]bool)
	for _, one := range all {
		switch {
		case one.at < from:
		case one.what == "vouched":
			w.vouched++
		case one.what == "accepted":
			w.accepted++
		case one.what == "ended":
			ended[one.person] = true
		case one.what == "refused":
			refused[one.person] = true
		}
	}
	w.ended, w.refused = len(ended), len(refused)
	return w
}

// TestTallyIsBounded: persons beyond maxTallied are counted, not distinguished.
func TestTallyIsBounded(t *testing.T) {
	var counted tally
	for person := range int64(20_000) {
		counted.advance(epoch)
		counted.Vouched[0]++
		counted.Ended.add(person, counted.Slot)
		counted.Refused.add(person, counted.Slot)
	}
	counted.Ended.add(3, counted.Slot) // known
	body, err := counted.encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 50_000 {
		t.Errorf("its row has %d bytes, want 50,000 at most", len(body))
	}
	if got, want := measure([]*tally{&counted}, time.Minute, epoch), (window{ended: 20_000, vouched: 20_000, refused: 20_000}); got != want {
		t.Errorf("measure = %+v, want %+v", got, want)
	}
	counted.advance(epoch.Add(11 * time.Minute))
	if got := measure([]*tally{&counted}, 10*time.Minute, epoch.Add(11*time.Minute)); got != (window{}) {
		t.Errorf("measure after eleven minutes = %+v, want nothing", got)
	}
	if counted.mayTrip() {
		t.Error("it has persons after eleven minutes")
	}
}

// TestDamagedTally: a malformed row is an error, and no panic.
func TestDamagedTally(t *testing.T) {
	for _, body := range []string{"", "{", `{"slot":"one"}`, `{"vouched":7}`, `{"ended":{"last":{"x":1}}}`} {
		if got, err := decodeTally([]byte(body)); err == nil {
			t.Errorf("decodeTally(%q) = %+v, want an error", body, got)
		}
	}
	if _, err := decodeTally([]byte(`{"slot":1,"vouched":[1,2,3],"of a newer program":true}`)); err != nil {
		t.Errorf("decodeTally of a newer program's row: %v", err)
	}
}
