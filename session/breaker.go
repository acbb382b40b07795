package session

import "time"

// Breaker is the circuit breaker of a provider. It opens when the provider
// refuses too many people ([trips] has the thresholds), and closes by itself:
// there is no half-open state, since a provider whose refusals are void is
// asked as before. While it is open the provider is doubted: every refusal
// answered at or before DoubtedUntil is void, for sessions and logins, so that
// nothing has to be undone. The reason: a provider that suddenly refuses many
// people is more likely broken or misconfigured than a company that dismissed
// them.
//
// The row is shared by all replicas. The zero value, but for Provider, is a
// breaker that never opened.
type Breaker struct {
	Provider     string
	FirstTripped time.Time // when it first tripped after the last quietPeriod
	LastTripped  time.Time // when it last tripped, to within renewInterval
	DoubtedUntil time.Time
}

const (
	// doubtDuration is how long the breaker stays open after it last tripped.
	doubtDuration = time.Minute

	// quietPeriod is how long the breaker must not have tripped before it may
	// be open for grace again.
	quietPeriod = 10 * time.Minute

	// renewInterval is the rate limit of writes to the row while the breaker
	// keeps tripping.
	renewInterval = 5 * time.Second
)

// window is the sum of what all replicas counted of a provider in a sliding
// window.
type window struct {
	ended    int // distinct persons newly ended: gone or with a pending end, and neither before
	vouched  int // answers that vouch
	refused  int // distinct accounts whose login was refused at an address with a proof
	accepted int // accepted logins
}

// trips reports whether the counts reach one of the circuit breaker's
// thresholds:
//
//	within       at least             and
//	a minute     10 persons ended     more than a fifth of ended and vouched
//	ten minutes  5 persons ended      at least half of ended and vouched
//	a minute     10 accounts refused  no login accepted
//
// Changed passwords do not count, nor do refused logins without a proof, which
// a stranger can cause.
func trips(minute, tenMinutes window) bool {
	switch {
	case minute.ended >= 10 && 5*minute.ended > minute.ended+minute.vouched:
		return true
	case tenMinutes.ended >= 5 && 2*tenMinutes.ended >= tenMinutes.ended+tenMinutes.vouched:
		return true
	}
	return minute.refused >= 10 && minute.accepted == 0
}

// next is the transition of a breaker that trips at now: it is open for
// doubtDuration from now, but at most until grace after FirstTripped. Refusals
// that go on for longer count.
func (b Breaker) next(grace time.Duration, now time.Time) Breaker {
	if !now.Before(b.LastTripped.Add(quietPeriod)) {
		b.FirstTripped = now
	}
	until := now.Add(doubtDuration)
	if limit := b.FirstTripped.Add(grace); limit.Before(until) {
		until = limit
	}
	b.LastTripped = latest(b.LastTripped, now)
	b.DoubtedUntil = latest(b.DoubtedUntil, until)
	return b
}

// isOpen reports whether the provider is doubted at now.
func (b Breaker) isOpen(now time.Time) bool { return !now.After(b.DoubtedUntil) }

// latest returns the later of two times.
func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
