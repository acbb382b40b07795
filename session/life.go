package session

import (
	"cmp"
	"errors"
	"slices"
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
	ReasonExpired   Reason = "expired"          // its lifetime, or a bound of it
	ReasonSignIn    Reason = "sign-in too old"  // the person signed in longer ago than the provider's reauthenticate
	ReasonIdle      Reason = "idle"             // not redeemed for idle
	ReasonUnused    Reason = "never used"       // not redeemed within unused
	ReasonPerPerson Reason = "too many"         // over per_person, or another kind's bound
	ReasonReplaced  Reason = "replaced"         // by another login with the same browser
)

// Ending is how, by whom and when sessions ended.
type Ending struct {
	Reason Reason
	By     string // who revoked them; empty otherwise
	At     time.Time
	Grants bool // the unspent grants of the logins of browsers' sessions end too
}

// Ending returns an Ending for the reason.
func (r Reason) Ending(by string, at time.Time) Ending { return Ending{Reason: r, By: by, At: at} }

// Replacement returns the Ending of the session that a draft replaces.
func (d *Draft) Replacement() Ending { return ReasonReplaced.Ending("", d.Created) }

// lifetimes are the timeouts of sessions of a kind:
//
//	kind     idle          lifetime                          unused
//	refresh  idle          lifetime                          unused
//	browser  browser_idle  browser_lifetime                  browser_idle
//	PAT                    as chosen, at most pat_lifetime
//	robot                  as chosen, at most robot_lifetime
//
// The lifetime of a session that began with an ID token is also at most
// ci_lifetime, and that of one whose provider cannot revalidate at most
// unchecked_lifetime. A session of any kind whose provider has reauthenticate ends
// so long after the person signed in there (auth_time), at the latest.
type lifetimes struct {
	total, idle, unused time.Duration // 0 is no timeout
}

// lifetimes returns the timeouts of a kind.
func (c *Config) lifetimes(kind Kind) lifetimes {
	switch kind {
	case KindBrowser:
		return lifetimes{c.BrowserLifetime, c.BrowserIdle, c.BrowserIdle}
	case KindPAT:
		return lifetimes{total: c.PATLifetime}
	case KindRobot:
		return lifetimes{total: c.RobotLifetime}
	case KindOneTime:
		return lifetimes{total: oneTimeLifetime}
	}
	return lifetimes{c.Lifetime, c.Idle, c.Unused}
}

// lifetime returns a session's longest lifetime.
func (c *Config) lifetime(row *Row) time.Duration {
	longest := c.lifetimes(row.Kind).total
	switch {
	case row.Login.Method == providers.MethodIDToken:
		return min(longest, c.CILifetime)
	case row.SignIn.LastAnswer == AnswerNever:
		return min(longest, c.UncheckedLifetime)
	}
	return longest
}

// expires returns when a session expires: as set at its creation, or earlier if
// the configuration has been tightened since. reauthenticate is the provider's, 0
// for none.
func (c *Config) expires(row *Row, reauthenticate time.Duration) time.Time {
	expires := row.Expires
	if lifetime := row.Created.Add(c.lifetime(row)); expires.IsZero() || lifetime.Before(expires) {
		expires = lifetime
	}
	if due := row.Login.Time.Add(reauthenticate); reauthenticate > 0 && due.Before(expires) {
		expires = due
	}
	return expires
}

// idleEnd returns when a session ends as idle or as never used unless it is redeemed
// before, the zero Time without such a timeout. lastUsed is zero if it never was.
func (l lifetimes) idleEnd(created, lastUsed time.Time) time.Time {
	switch {
	case lastUsed.IsZero() && l.unused > 0:
		return created.Add(l.unused)
	case !lastUsed.IsZero() && l.idle > 0:
		return lastUsed.Add(l.idle)
	}
	return time.Time{}
}

// IdleEnd returns when a session ends as idle or as never used unless it is redeemed
// before, the zero Time if its kind has no such timeout.
func (c *Config) IdleEnd(s *Session) time.Time {
	return c.lifetimes(s.Kind).idleEnd(s.Created, s.LastUsed)
}

// endOfLife returns which of its timeouts a session has reached, or "".
func (c *Config) endOfLife(row *Row, reauthenticate time.Duration, now time.Time) Reason {
	idleEnd := c.lifetimes(row.Kind).idleEnd(row.Created, row.LastUsed)
	switch {
	case reauthenticate > 0 && !now.Before(row.Login.Time.Add(reauthenticate)):
		return ReasonSignIn
	case !now.Before(c.expires(row, reauthenticate)):
		return ReasonExpired
	case idleEnd.IsZero() || now.Before(idleEnd):
		return ""
	case row.LastUsed.IsZero():
		return ReasonUnused
	}
	return ReasonIdle
}

// status decides what a redemption does with a session, by the state of its
// sign-in.
func (c *Config) status(row *Row, doubted, began, now time.Time) signInStatus {
	if row.Login.Method == providers.MethodIDToken {
		return statusFresh // an ID token cannot be revalidated; ci_lifetime ends the session soon
	}
	return status(&row.SignIn, c, doubted, began, now)
}

// Bounds of the live sessions of one person, by kind, in addition to
// per_person.
const (
	maxBrowsers     = 20
	maxPATs         = 50
	maxRobotSecrets = 2
)

// ErrTooMany says that a person has as many tokens of a kind as allowed.
var ErrTooMany = errors.New("there are as many as may be; revoke one first")

// minEvictionAge is the age below which a session is evicted only if there is
// no older one: a client that has just logged in is about to use its token.
const minEvictionAge = time.Hour

// bound returns how many live sessions of a kind a person has at most, and
// which are evicted for another one. A kind never evicts another.
//
//	refresh  per_person  the least recently used (LRU), from minEvictionAge on first
//	browser  20          the oldest
//	PAT      50          none: the new one is refused
//	robot    2           none: the new one is refused
func (c *Config) bound(kind Kind, now time.Time) (int, func([]LiveSession) (Eviction, error)) {
	switch kind {
	case KindPAT:
		return maxPATs, refuse
	case KindRobot:
		return maxRobotSecrets, refuse
	case KindBrowser:
		return maxBrowsers, func(live []LiveSession) (Eviction, error) {
			slices.SortFunc(live, func(a, b LiveSession) int { return a.Created.Compare(b.Created) })
			return evict(live[:len(live)-maxBrowsers+1], now), nil
		}
	}
	return c.PerPerson, func(live []LiveSession) (Eviction, error) {
		slices.SortFunc(live, func(a, b LiveSession) int { return compareLRU(a, b, now) })
		return evict(live[:len(live)-c.PerPerson+1], now), nil
	}
}

func refuse([]LiveSession) (Eviction, error) { return Eviction{}, ErrTooMany }

// compareLRU orders sessions by eviction: least recently used first, those
// younger than minEvictionAge last.
func compareLRU(a, b LiveSession, now time.Time) int {
	young := func(l LiveSession) int {
		if now.Before(l.Created.Add(minEvictionAge)) {
			return 1
		}
		return 0
	}
	used := func(l LiveSession) time.Time {
		if l.LastUsed.IsZero() {
			return l.Created
		}
		return l.LastUsed
	}
	return cmp.Or(young(a)-young(b), used(a).Compare(used(b)))
}

// evict returns the Eviction of sessions. They are deleted immediately, so that
// an account's rows are bounded. One with a provider's refresh token is only
// ended: if it were deleted, that token would create another session.
func evict(all []LiveSession, now time.Time) Eviction {
	e := Eviction{Ending: ReasonPerPerson.Ending("", now)}
	for _, l := range all {
		if l.ProviderToken {
			e.End = append(e.End, l.Hash)
		} else {
			e.Delete = append(e.Delete, l.Hash)
		}
	}
	return e
}

const (
	// endedRetention is how long an ended session is retained for lists.
	endedRetention = 30 * day

	// unusedRetention is the same for a session that was never used.
	unusedRetention = 2 * time.Minute

	// grantRetention is how long an expired grant is retained, for a precise
	// error.
	grantRetention = day
)

// maxEnded bounds the retained ended sessions of one person and kind: an
// account that logs in and revokes in turn must not fill the store.
const maxEnded = 1000

// SweepTimes says what a sweep ends and deletes.
type SweepTimes struct {
	Now           time.Time   // sessions that expire at or before it are ended
	Kinds         []KindTimes // of the kinds with an idle timeout
	DeleteEnded   time.Time   // sessions that ended at or before it are deleted
	DeleteUnused  time.Time   // unused sessions that ended at or before it are deleted
	DeleteGrants  time.Time   // grants that expired at or before it are deleted
	DeleteTallies time.Time   // tallies written at or before it are deleted
}

// KindTimes says which sessions of a kind a sweep ends as idle or unused.
type KindTimes struct {
	Kind   Kind
	Idle   time.Time // sessions last redeemed at or before it are ended
	Unused time.Time // sessions created at or before it and never redeemed are ended
}

// EndExpired, EndIdle and EndUnused return the Endings that a sweep writes.
func (t SweepTimes) EndExpired() Ending { return ReasonExpired.Ending("", t.Now) }
func (t SweepTimes) EndIdle() Ending    { return ReasonIdle.Ending("", t.Now) }
func (t SweepTimes) EndUnused() Ending  { return ReasonUnused.Ending("", t.Now) }

// sweepTimes returns the SweepTimes of a sweep at now.
func (c *Config) sweepTimes(now time.Time) SweepTimes {
	t := SweepTimes{
		Now: now, DeleteEnded: now.Add(-endedRetention), DeleteUnused: now.Add(-unusedRetention), DeleteGrants: now.Add(-grantRetention),
		DeleteTallies: now.Add(-tallyTTL),
	}
	for _, kind := range []Kind{KindRefresh, KindBrowser} {
		life := c.lifetimes(kind)
		t.Kinds = append(t.Kinds, KindTimes{Kind: kind, Idle: now.Add(-life.idle), Unused: now.Add(-life.unused)})
	}
	return t
}
