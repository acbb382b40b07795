package session

import (
	"time"

	"shorepass/providers"
)

// Reason says why a session ended.
type Reason string

const (
	ReasonRevoked   Reason = "revoked"          // by the person or an operator
	ReasonEnded     Reason = "account ended"    // disabled, expired or locked for good
	ReasonStamp     Reason = "password changed" // another Stamp
	ReasonGone      Reason = "account gone"     // the provider said so for longer than grace
	ReasonExpired   Reason = "expired"          // lifetime, unchecked_lifetime or ci_lifetime
	ReasonIdle      Reason = "idle"             // not redeemed for idle
	ReasonUnused    Reason = "never used"       // not redeemed within unused
	ReasonPerPerson Reason = "too many"         // over per_person
)

// Refusals returns the reasons that a provider gives, and may take back.
func Refusals() []Reason { return []Reason{ReasonEnded, ReasonStamp, ReasonGone} }

// Ending says how sessions end.
type Ending struct {
	Why      Reason
	By       string    // who revoked them; empty otherwise
	At       time.Time // which the session keeps
	Final    bool      // never taken back, so that the provider's token can be revoked at once
	Replaces []Reason  // besides live sessions, those that ended for one of these end in this way
}

// Ending returns how sessions end for a reason. A revocation takes the place of
// a provider's refusal, so that it stays when that is taken back.
func (r Reason) Ending(by string, at time.Time) Ending {
	e := Ending{Why: r, By: by, At: at, Final: r == ReasonRevoked || r == ReasonPerPerson}
	if r == ReasonRevoked {
		e.Replaces = Refusals()
	}
	return e
}

// lifetime is how long a session may live however much it is used.
func (c *Config) lifetime(row *Row) time.Duration {
	switch {
	case row.Method == providers.MethodIDToken:
		return c.CILifetime
	case row.Person.Answer == AnswerNever:
		return min(c.Lifetime, c.UncheckedLifetime)
	}
	return c.Lifetime
}

// expires is when a session ends: as set when it was made, or sooner where the
// configuration has been tightened since.
func (c *Config) expires(row *Row) time.Time {
	if sooner := row.Created.Add(c.lifetime(row)); sooner.Before(row.Expires) {
		return sooner
	}
	return row.Expires
}

// over returns why a session's life is over, or "".
func (c *Config) over(row *Row, now time.Time) Reason {
	switch {
	case !now.Before(c.expires(row)):
		return ReasonExpired
	case row.Used.IsZero() && !now.Before(row.Created.Add(c.Unused)):
		return ReasonUnused
	case !row.Used.IsZero() && !now.Before(row.Used.Add(c.Idle)):
		return ReasonIdle
	case stampChanged(row.Stamp, row.Person.Stamp):
		return ReasonStamp
	}
	return ""
}

// status decides what a redemption does by the provider's last answer.
func (c *Config) status(row *Row, began, now time.Time) personStatus {
	if row.Method == providers.MethodIDToken {
		return statusFresh // its ID token has expired and proves nothing more; ci_lifetime ends it soon
	}
	return status(&row.Person, c, began, now)
}

// keepEnded is how long a list still shows a session that has ended.
const keepEnded = 30 * day

// SweepTimes says what a sweep ends and forgets.
type SweepTimes struct {
	Now    time.Time // what expires until then has expired
	Idle   time.Time // what was redeemed, and not since then, is idle
	Unused time.Time // what was made before and never redeemed is unused
	Forget time.Time // what ended before is forgotten
	Noted  time.Time // what was noted of providers before, or ended without a use, is forgotten
}

// EndExpired, EndIdle and EndUnused are how a sweep ends sessions.
func (t SweepTimes) EndExpired() Ending { return ReasonExpired.Ending("", t.Now) }
func (t SweepTimes) EndIdle() Ending    { return ReasonIdle.Ending("", t.Now) }
func (t SweepTimes) EndUnused() Ending  { return ReasonUnused.Ending("", t.Now) }

// sweepTimes says what a sweep at now ends and forgets.
func (c *Config) sweepTimes(now time.Time) SweepTimes {
	return SweepTimes{Now: now, Idle: now.Add(-c.Idle), Unused: now.Add(-c.Unused), Forget: now.Add(-keepEnded), Noted: now.Add(-2 * guardWindow)}
}
