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
	ReasonIdle      Reason = "idle"             // not redeemed for idle
	ReasonUnused    Reason = "never used"       // not redeemed within unused
	ReasonPerPerson Reason = "too many"         // over per_person, or another kind's bound
)

// Ending says how sessions end.
type Ending struct {
	Reason Reason
	By     string    // who revoked them; empty otherwise
	At     time.Time // which the session keeps
}

// Ending returns how sessions end for a reason.
func (r Reason) Ending(by string, at time.Time) Ending { return Ending{Reason: r, By: by, At: at} }

// lifetimes are how sessions of a kind end by themselves:
//
//	kind     idle          lifetime                          unused
//	refresh  idle          lifetime                          unused
//	browser  browser_idle  browser_lifetime                  browser_idle
//	PAT                    as chosen, at most pat_lifetime
//	robot                  as chosen, at most robot_lifetime
//
// Besides, a session that began with an ID token lives for ci_lifetime,
// and one whose provider cannot be asked again for unchecked_lifetime.
type lifetimes struct {
	total, idle, unused time.Duration // 0 is never
}

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

// lifetime is how long a session may live however much it is used.
func (c *Config) lifetime(row *Row) time.Duration {
	longest := c.lifetimes(row.Kind).total
	switch {
	case row.Login.Method == providers.MethodIDToken:
		return min(longest, c.CILifetime)
	case row.SignIn.Answer == AnswerNever:
		return min(longest, c.UncheckedLifetime)
	}
	return longest
}

// expires is when a session ends: as set when it was made, or sooner where the
// configuration has been tightened since.
func (c *Config) expires(row *Row) time.Time {
	if sooner := row.Created.Add(c.lifetime(row)); sooner.Before(row.Expires) {
		return sooner
	}
	return row.Expires
}

// endOfLife returns why a session's life is over, or "".
func (c *Config) endOfLife(row *Row, now time.Time) Reason {
	life := c.lifetimes(row.Kind)
	switch {
	case !now.Before(c.expires(row)):
		return ReasonExpired
	case life.unused > 0 && row.Used.IsZero() && !now.Before(row.Created.Add(life.unused)):
		return ReasonUnused
	case life.idle > 0 && !row.Used.IsZero() && !now.Before(row.Used.Add(life.idle)):
		return ReasonIdle
	}
	return ""
}

// status decides what a redemption does by the provider's last answer.
func (c *Config) status(row *Row, doubted, began, now time.Time) signInStatus {
	if row.Login.Method == providers.MethodIDToken {
		return statusFresh // its ID token has expired and proves nothing more; ci_lifetime ends it soon
	}
	return status(&row.SignIn, c, doubted, began, now)
}

// Bounds of the sessions of one person, by kind, beside per_person.
const (
	maxBrowsers     = 20
	maxPATs         = 50
	maxRobotSecrets = 2
)

// ErrTooMany says that a person has as many tokens of a kind as may be.
var ErrTooMany = errors.New("there are as many as may be; revoke one first")

// minEvictionAge is how long a session is evicted only where there is no older one: a
// client that has just logged in comes to use its token.
const minEvictionAge = time.Hour

// bound returns how many live sessions of a kind a person has at most, and what
// gives way to another one. A kind never evicts another.
//
//	refresh  per_person  the least recently used (LRU), the young last
//	browser  20          the oldest
//	PAT      50          none: it is refused
//	robot    2           none: it is refused
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

// compareLRU orders sessions by which is evicted first.
func compareLRU(a, b LiveSession, now time.Time) int {
	young := func(l LiveSession) int {
		if now.Before(l.Created.Add(minEvictionAge)) {
			return 1
		}
		return 0
	}
	used := func(l LiveSession) time.Time {
		if l.Used.IsZero() {
			return l.Created
		}
		return l.Used
	}
	return cmp.Or(young(a)-young(b), used(a).Compare(used(b)))
}

// evict ends sessions that give way to another one. One that answers to no
// provider's refresh token is deleted at once, so that an account's rows are
// bounded. Of another, the token would make a new one.
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
	// endedRetention is how long a list still shows a session that has ended.
	endedRetention = 30 * day

	// unusedRetention is the same for one that was never used.
	unusedRetention = 2 * time.Minute

	// grantRetention is how long a grant that is over can still be told from one that
	// never was.
	grantRetention = day
)

// maxEnded is how many ended sessions of a kind a list shows of one person: an
// account that logs in and revokes in turn must not fill the store.
const maxEnded = 1000

// SweepTimes says what a sweep ends and forgets.
type SweepTimes struct {
	Now           time.Time   // what expires until then has expired
	Kinds         []KindTimes // of those kinds that end for want of use
	DeleteEnded   time.Time   // what ended before is forgotten
	DeleteUnused  time.Time   // what ended before without a use is forgotten
	DeleteGrants  time.Time   // grants that expired before are forgotten
	DeleteTallies time.Time   // what replicas counted of providers before is forgotten
}

// KindTimes says which sessions of a kind end for want of use.
type KindTimes struct {
	Kind   Kind
	Idle   time.Time // what was redeemed, and not since then, is idle
	Unused time.Time // what was made before and never redeemed is unused
}

// EndExpired, EndIdle and EndUnused are how a sweep ends sessions.
func (t SweepTimes) EndExpired() Ending { return ReasonExpired.Ending("", t.Now) }
func (t SweepTimes) EndIdle() Ending    { return ReasonIdle.Ending("", t.Now) }
func (t SweepTimes) EndUnused() Ending  { return ReasonUnused.Ending("", t.Now) }

// sweepTimes says what a sweep at now ends and forgets.
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
