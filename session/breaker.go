package session

import "time"

// Breaker is the circuit breaker of a provider: one row, shared by all replicas.
// A provider that suddenly refuses many is more likely broken, or misconfigured,
// than a company that dismissed many. While the breaker is open the provider is
// doubted: no refusal of it counts, for sessions or logins, and nothing is taken
// back, since what was answered at or before DoubtedUntil is void.
//
// The zero value, but for Provider, is a breaker that never opened.
type Breaker struct {
	Provider     string
	Since        time.Time // when the condition first held; it did not for quietPeriod before
	Tripped      time.Time // when the condition last held, to within renewInterval
	DoubtedUntil time.Time
}

const (
	// doubtDuration is how long the breaker is open after the condition last held.
	doubtDuration = time.Minute

	// quietPeriod is how long the condition must not hold before the limit of
	// grace begins anew.
	quietPeriod = 10 * time.Minute

	// renewInterval is the rate limit of writes to the row while the condition
	// holds.
	renewInterval = 5 * time.Second
)

// window is what all replicas counted of a provider within some time.
type window struct {
	ended    int // persons newly ended: with a pending end or gone, and neither before
	vouched  int // answers that vouch for a person
	refused  int // accounts refused at logins from addresses where they have a proof
	accepted int // logins accepted
}

// trips is the condition of the circuit breaker:
//
//	within       at least             and
//	a minute     10 persons ended     more than a fifth of ended and vouched
//	ten minutes  5 persons ended      at least half of ended and vouched
//	a minute     10 accounts refused  no login accepted
func trips(minute, tenMinutes window) bool {
	switch {
	case minute.ended >= 10 && 5*minute.ended > minute.ended+minute.vouched:
		return true
	case tenMinutes.ended >= 5 && 2*tenMinutes.ended >= tenMinutes.ended+tenMinutes.vouched:
		return true
	}
	return minute.refused >= 10 && minute.accepted == 0
}

// next is the transition of the breaker when the condition holds: open for
// doubtDuration from now, but no longer than grace from Since.
func (b Breaker) next(grace time.Duration, now time.Time) Breaker {
	if !now.Before(b.Tripped.Add(quietPeriod)) {
		b.Since = now
	}
	until := now.Add(doubtDuration)
	if limit := b.Since.Add(grace); limit.Before(until) {
		until = limit
	}
	b.Tripped = latest(b.Tripped, now)
	b.DoubtedUntil = latest(b.DoubtedUntil, until)
	return b
}

// isOpen reports whether the provider is doubted.
func (b Breaker) isOpen(now time.Time) bool { return !now.After(b.DoubtedUntil) }

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
