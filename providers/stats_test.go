package providers

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/lru"
)

// TestStats: each call of a provider is counted by its outcome, the cache of right
// passwords by hit and miss, and operations that a provider does not offer are not named.
func TestStats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &directory{accounts: bob(), slow: 2 * time.Second}
		c := one(t, d, nil)
		c.try(t, typed("bob", "right", home))
		c.try(t, typed("bob", "right", home)) // from the cache
		time.Sleep(2 * time.Minute)
		c.try(t, typed("bob", "wrong", home))
		c.try(t, typed("mallory", "right", home))
		d.set(errors.New("connection refused"))
		c.try(t, typed("bob", "right", home)) // the cache has forgotten it

		got := c.Stats()
		if len(got.Providers) != 1 || got.Providers[0].Name != "corp" || got.Providers[0].Up || got.Logins != 0 {
			t.Errorf("Stats = %+v, want one provider, down, and no login in progress", got)
		}
		calls := got.Providers[0].Calls
		want := map[string]map[string]uint64{
			callLookup: {"ok": 2, "not_mine": 1, "unavailable": 1},
			callProve:  {"ok": 1, "rejected": 1},
			callAgain:  {}, callRevoke: {},
		}
		for operation, outcomes := range want {
			for _, name := range callOutcomes {
				if n := calls[operation].Outcomes[name]; n != outcomes[name] {
					t.Errorf("%s %s was counted %d times, want %d", operation, name, n, outcomes[name])
				}
			}
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(calls))); diff != "" {
			t.Errorf("operations (-want +got):\n%s", diff)
		}
		if s := calls[callProve]; s.Count != 2 || s.Sum != 4*time.Second || s.Failures != 0 || calls[callLookup].Failures != 1 {
			t.Errorf("prove took %+v, want twice 2 s and no failure", s.Stats)
		}
		if want := (lru.Stats{Entries: 0, Hits: 1, Misses: 4}); got.Passwords != want {
			t.Errorf("the cache of passwords = %+v, want %+v", got.Passwords, want)
		}
	})
}

func TestOutcomeOfCall(t *testing.T) {
	for _, test := range []struct {
		err  error
		want callOutcome
	}{
		{nil, callOK},
		{ErrNotMine, callNotMine},
		{fmt.Errorf("x: %w", Reject(WrongPassword, errors.New("y"))), callRejected},
		{fmt.Errorf("x: %w: %w", ErrEnded, ErrRejected), callRejected},
		{ErrGone, callGone},
		{ErrCannotRevalidate, callCannot},
		{NotCounted(errors.New("no route to host")), callUnavailable},
		{&RotatedError{Err: ErrGone}, callGone},
	} {
		if got := outcomeOfCall(test.err); got != test.want {
			t.Errorf("outcomeOfCall(%v) = %s, want %s", test.err, callOutcomes[got], callOutcomes[test.want])
		}
	}
}
