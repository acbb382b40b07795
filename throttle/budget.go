package throttle

import (
	"slices"
	"time"
)

// failureTTL is how long a failure counts for its address.
const failureTTL = 10 * time.Minute

// budget is the list of failures from an address: distinct pairs of name and
// password that were answered 401, each of which expires by itself. Its methods
// are pure.
type budget struct{ failures []failure }

type failure struct {
	pair  MAC
	until time.Time
}

// at returns a budget at a time.
func (b budget) at(now time.Time) budget {
	var live []failure
	for _, f := range b.failures {
		if now.Before(f.until) {
			live = append(live, f)
		}
	}
	return budget{live}
}

// admit returns a [*RetryAfter] where a budget has as many failures as its limit
// or more.
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

// add returns a budget with one more pair, and whether it had not got it. It
// keeps as many as its limit, the youngest: older ones make no difference.
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

// expires returns when the last failure is over.
func (b budget) expires() (last time.Time) {
	for _, f := range b.failures {
		if f.until.After(last) {
			last = f.until
		}
	}
	return last
}
