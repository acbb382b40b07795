package storetest

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"shorepass/session"
)

// testBreaker: a row is swapped only if it is unchanged (compare-and-swap).
func testBreaker(t *testing.T, s session.Store) {
	minute := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Minute) }
	never := session.Breaker{Provider: "corp"}
	first := session.Breaker{Provider: "corp", FirstTripped: minute(0), LastTripped: minute(0), DoubtedUntil: minute(1)}
	later := session.Breaker{Provider: "corp", FirstTripped: minute(0), LastTripped: minute(1), DoubtedUntil: minute(2)}
	odd := session.Breaker{Provider: "sso\x00\xff", FirstTripped: minute(5), LastTripped: minute(6), DoubtedUntil: minute(7)}
	rows := func(name string, want ...session.Breaker) {
		t.Helper()
		got, err := s.Breakers(t.Context())
		must(t, err)
		slices.SortFunc(got, func(a, b session.Breaker) int { return cmp.Compare(a.Provider, b.Provider) })
		check(t, name, append([]session.Breaker(nil), got...), want)
	}
	swap := func(name string, old, row session.Breaker, want bool) {
		t.Helper()
		got, err := s.SwapBreaker(t.Context(), old, row)
		must(t, err)
		check(t, name, got, want)
	}
	rows("no provider was doubted")
	swap("the first row of a provider", never, first, true)
	rows("after the first row", first)
	swap("by a replica that read no row", never, later, false)
	rows("after that conflict", first)
	swap("a changed row", first, later, true)
	swap("by a replica that read the row before the change", first, later, false)
	swap("the row of another provider", session.Breaker{Provider: odd.Provider}, odd, true)
	rows("two providers", later, odd)
	swap("a row that does not exist", session.Breaker{Provider: "none", FirstTripped: minute(1)}, session.Breaker{Provider: "none", FirstTripped: minute(2)}, false)
	rows("after that conflict, two providers", later, odd)
}

// testTallies: a replica reads the tallies that the others wrote.
func testTallies(t *testing.T, s session.Store) {
	second := func(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }
	write := func(provider, replica string, at int, body string) {
		t.Helper()
		must(t, s.WriteTally(t.Context(), provider, replica, second(at), []byte(body)))
	}
	read := func(name, provider, replica string, since int, want ...string) {
		t.Helper()
		bodies, err := s.Tallies(t.Context(), provider, replica, second(since))
		must(t, err)
		var got []string
		for _, body := range bodies {
			got = append(got, string(body))
		}
		slices.Sort(got)
		check(t, name, got, want)
	}
	read("no tally yet", "corp", "one", 0)
	write("corp", "one", 1, "a")
	write("corp", "one", 2, "b")
	write("corp", "two", 3, "c")
	write("sso", "two", 3, "d")
	read("the tallies of all others", "corp", "three", 0, "b", "c")
	read("not the replica's own", "corp", "one", 0, "c")
	read("not those written before since", "corp", "three", 2, "c")
	read("the tally of another provider", "sso", "one", 0, "d")
	_, err := s.Sweep(t.Context(), session.SweepTimes{DeleteTallies: second(2)}, 100)
	must(t, err)
	read("after a sweep", "corp", "three", 0, "c")
}
