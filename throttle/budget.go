package throttle

import (
	"slices"
	"time"
)

// failureTTL is how long a failure counts for its address.
const failureTTL = 10 * time.Minute

// budget is the address budget, a rate limit with a sliding window: the list of
// failures from an address. A failure is a distinct pair of name and password that
// was answered 401, and expires by itself. The methods are pure.
type budget struct{ failures []failure }

type failure struct {
	pair  MAC
	until time.Time
}

// at returns a budget as of now, without the failures that have expired.
func (b budget) at(now time.Time) budget {
	var live []failure
	for _, f := range b.failures {
		if now.Before(f.until) {
			live = append(live, f)
		}
	}
	return budget{live}
}

// admit returns a [*RetryAfter] where a budget is used up: it has limit failures or
// more. b is as of now.
func (b budget) admit(now time.Time, limit int) error {
	if len(b.failures) < limit {
		return nil
	}
	ends := make([]time.Time, len(b.failures))
	for i, f := range b.failures {
		ends[i] = f.until
	}
	slices.SortFunc(ends, time.Time.Compare)
	return &RetryAfter{After: max(ends[len(ends)-limit].Sub(now), time.Second), Limit: "address"}
}

// add returns a budget with a pair, and whether the pair is new to it. A budget
// holds limit failures at most, the youngest: older ones make no difference.
func (b budget) add(pair MAC, now time.Time, limit int) (budget, bool) {
	if slices.ContainsFunc(b.failures, func(f failure) bool { return f.pair == pair }) {
		return b, false
	}
	all := append(slices.Clone(b.failures), failure{pair, now.Add(failureTTL)})
	if more := len(all) - limit; more > 0 {
		slices.SortStableFunc(all, func(a, b failure) int { return a.until.Compare(b.until) })
		all = all[more:]
	}
	return budget{all}, true
}

// expires returns when the last failure expires, the zero Time where there is none.
func (b budget) expires() (last time.Time) {
	for _, f := range b.failures {
		if f.until.After(last) {
			last = f.until
		}
	}
	return last
}
