package throttle

import (
	"errors"
	"sync/atomic"

	"shorepass/internal/latency"
	"shorepass/internal/lru"
)

// Stats are the gauges and counters of a throttle, since it was made.
type Stats struct {
	Asking    int // passwords that providers are proving now
	Addresses int // addresses from which a login is in progress

	// Refusals counts the logins that were refused without asking a provider: by the
	// full limit ("name", "address", "account"), "repeat" for an equal password that
	// was refused before, and "unanswered" for an account window that is full of
	// passwords without an answer.
	Refusals map[string]uint64

	// Filled counts the windows that became full ("name", "account"): one more wrong
	// password is refused without asking a provider.
	Filled map[string]uint64

	Local     bool   // the store does not answer: this process counts for itself, with half the limits
	Fallbacks uint64 // how often that began

	Store  map[string]latency.Stats // the calls of the store, by operation: "read", "write"
	Caches map[string]lru.Stats     // "refusals", "proofs"
}

// Reasons of a refusal without a provider, in Stats.Refusals.
const (
	refusedByName    = "name"
	refusedByAddress = "address"
	refusedByAccount = "account"
	refusedRepeat    = "repeat"
	refusedLost      = "unanswered"
)

// counters are the counters of Stats.
type counters struct {
	byName, byAddress, byAccount, repeated, unanswered atomic.Uint64
	namesFilled, accountsFilled                        atomic.Uint64
}

// countRefusal counts a login that an error refuses, if it is one of the throttle's.
func (c *counters) countRefusal(err error) {
	full, _ := errors.AsType[*RetryAfter](err)
	_, repeated := errors.AsType[*Refused](err)
	switch {
	case full != nil && full.Limit == refusedByName:
		c.byName.Add(1)
	case full != nil:
		c.byAddress.Add(1)
	case repeated:
		c.repeated.Add(1)
	case errors.Is(err, ErrUnanswered):
		c.unanswered.Add(1)
	}
}

// countAnswer counts the result of a reservation.
func (c *counters) countAnswer(answer Answer, err error) {
	switch {
	case err != nil:
		c.countRefusal(err)
	case answer.Verdict == Full:
		c.byAccount.Add(1)
	case answer.Verdict == Repeat:
		c.repeated.Add(1)
	}
}

// countFilled counts the windows that a change of the rows filled.
func (c *counters) countFilled(before, after windows, r *request) {
	if limit := r.nameLimit.room(r.hasProof); before.name.weight() < limit && after.name.weight() >= limit {
		c.namesFilled.Add(1)
	}
	if limit := r.accountLimit.room(r.hasProof); before.account.weight() < limit && after.account.weight() >= limit {
		c.accountsFilled.Add(1)
	}
}

// Stats returns the gauges as of now, and the counters.
func (t *Throttle) Stats() Stats {
	t.queues.mu.Lock()
	addresses := len(t.queues.queues)
	t.queues.mu.Unlock()
	c := &t.counters
	local, fallbacks := t.store.state()
	return Stats{
		Asking: int(t.asking.Load()), Addresses: addresses,
		Refusals: map[string]uint64{
			refusedByName: c.byName.Load(), refusedByAddress: c.byAddress.Load(), refusedByAccount: c.byAccount.Load(),
			refusedRepeat: c.repeated.Load(), refusedLost: c.unanswered.Load(),
		},
		Filled: map[string]uint64{"name": c.namesFilled.Load(), "account": c.accountsFilled.Load()},
		Local:  local, Fallbacks: fallbacks,
		Store:  t.store.calls.Stats(),
		Caches: map[string]lru.Stats{"refusals": t.refusals.stats(), "proofs": t.proofs.stats()},
	}
}
