package session

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestTrips(t *testing.T) {
	for _, tc := range []struct {
		name               string
		minute, tenMinutes window
		want               bool
	}{
		{"nothing", window{}, window{}, false},
		{"nine persons in a minute, of many", window{ended: 9}, window{ended: 9, vouched: 100}, false},
		{"ten persons in a minute", window{ended: 10}, window{ended: 10, vouched: 100}, true},
		{"ten persons, a fifth of all", window{ended: 10, vouched: 40}, window{ended: 10, vouched: 40}, false},
		{"ten persons, more than a fifth", window{ended: 10, vouched: 39}, window{ended: 10, vouched: 39}, true},
		{"a thousand persons, a fifth of all", window{ended: 1000, vouched: 4000}, window{ended: 1000, vouched: 4000}, false},
		{"four persons in ten minutes", window{}, window{ended: 4}, false},
		{"five persons in ten minutes", window{}, window{ended: 5}, true},
		{"five persons, half of all", window{}, window{ended: 5, vouched: 5}, true},
		{"five persons, less than half", window{}, window{ended: 5, vouched: 6}, false},
		{"nine accounts refused in a minute", window{refused: 9}, window{refused: 100}, false},
		{"ten accounts refused in a minute", window{refused: 10}, window{refused: 10}, true},
		{"ten accounts refused, and one login accepted", window{refused: 10, accepted: 1}, window{refused: 10, accepted: 1}, false},
		{"a hundred accounts refused, and one login accepted before", window{refused: 100}, window{refused: 100, accepted: 1}, true},
		{"refused logins are no persons ended", window{refused: 9, ended: 1}, window{refused: 9, ended: 1}, false},
	} {
		if got := trips(tc.minute, tc.tenMinutes); got != tc.want {
			t.Errorf("%s: trips(%+v, %+v) = %v, want %v", tc.name, tc.minute, tc.tenMinutes, got, tc.want)
		}
	}
}

// TestBreakerNext trips the breaker at some times, and checks at others whether
// it is open. Grace is an hour.
func TestBreakerNext(t *testing.T) {
	every := func(step, from, to time.Duration) (at []time.Duration) {
		for d := from; d <= to; d += step {
			at = append(at, d)
		}
		return at
	}
	for _, tc := range []struct {
		name         string
		tripped      []time.Duration
		open, closed []time.Duration
	}{
		{
			"once", []time.Duration{0},
			[]time.Duration{0, 59 * time.Second, time.Minute},
			[]time.Duration{time.Minute + time.Millisecond, time.Hour},
		}, {
			"for half an hour", every(30*time.Second, 0, 30*time.Minute),
			[]time.Duration{0, 15 * time.Minute, 31 * time.Minute},
			[]time.Duration{31*time.Minute + time.Millisecond},
		}, {
			"for longer than grace", every(30*time.Second, 0, 3*time.Hour),
			[]time.Duration{0, 30 * time.Minute, time.Hour},
			[]time.Duration{time.Hour + time.Millisecond, 2 * time.Hour, 3 * time.Hour},
		}, {
			"again and again, each time after less than ten minutes", every(9*time.Minute, 0, 3*time.Hour),
			[]time.Duration{0, 9 * time.Minute, 54 * time.Minute},
			[]time.Duration{2 * time.Minute, 63 * time.Minute, 2*time.Hour + 6*time.Minute},
		}, {
			"for longer than grace, and again after less than ten minutes",
			append(every(30*time.Second, 0, 2*time.Hour), 2*time.Hour+9*time.Minute+59*time.Second),
			nil,
			[]time.Duration{2*time.Hour + 10*time.Minute},
		}, {
			"for longer than grace, and again after ten minutes",
			append(every(30*time.Second, 0, 2*time.Hour), 2*time.Hour+10*time.Minute),
			[]time.Duration{2*time.Hour + 11*time.Minute},
			[]time.Duration{2*time.Hour + 9*time.Minute},
		},
	} {
		isOpen := func(at time.Duration) bool {
			var b Breaker
			for _, tripped := range tc.tripped {
				if tripped <= at {
					b = b.next(time.Hour, epoch.Add(tripped))
				}
			}
			return b.isOpen(epoch.Add(at))
		}
		for _, at := range tc.open {
			if !isOpen(at) {
				t.Errorf("%s: after %v the breaker is closed", tc.name, at)
			}
		}
		for _, at := range tc.closed {
			if isOpen(at) {
				t.Errorf("%s: after %v the breaker is open", tc.name, at)
			}
		}
	}
}

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// TestBreakerAgainstNaive compares the row with a naive reading of the whole
// history, at random.
func TestBreakerAgainstNaive(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		grace := time.Duration(1+random.IntN(90)) * time.Minute
		var b Breaker
		var tripped []time.Duration // after epoch
		at := time.Duration(0)
		for range 500 {
			step := []time.Duration{time.Millisecond, time.Second, 20 * time.Second, time.Minute, 4 * time.Minute, 10 * time.Minute}[random.IntN(6)]
			at += time.Duration(random.Int64N(int64(step)))
			now := epoch.Add(at)
			if random.IntN(3) == 0 {
				tripped = append(tripped, at)
				b = b.next(grace, now)
			}
			if got, want := b.isOpen(now), naiveIsOpen(tripped, grace, at); got != want {
				t.Fatalf("seed %d, after %v: isOpen = %v, want %v", seed, at, got, want)
			}
		}
	}
}

// naiveIsOpen reports whether the breaker tripped within the last minute and
// within grace of the first time, where ten minutes without a trip begin anew.
func naiveIsOpen(tripped []time.Duration, grace, now time.Duration) bool {
	var first time.Duration
	for i, at := range tripped {
		if i == 0 || at-tripped[i-1] >= 10*time.Minute {
			first = at
		}
		if now-at <= time.Minute && now-first <= grace {
			return true
		}
	}
	return false
}
