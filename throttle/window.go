package throttle

import (
	"slices"
	"time"
)

const (
	// leaseTTL is how long a password may be in flight before it counts as one
	// that may have reached the provider.
	leaseTTL = 15 * time.Second

	// quietMargin is added to the duration of a window, so that the directory has
	// forgotten its failures before the window has.
	quietMargin = time.Minute
)

// window is the counter of a rate limit: the list of distinct passwords of a
// login name, or of an account.
//
// A window does not slide. Its entries expire together, its duration and
// quietMargin after the youngest was sent, because Active Directory and FreeIPA
// reset their count of failures only after a quiet period. With a sliding window
// some entries would expire while the directory still counts them.
//
// Invariant: no two entries have the same secret.
type window struct{ entries []entry }

// entry is a password in a window: its last answer, and the lease of the attempt
// that is having it proved now, if there is one.
type entry struct {
	secret MAC
	name   MAC       // the login name under which the entry was taken
	taken  time.Time // when the password was sent to the provider, or refused unsent
	last   lastAnswer
	count  int    // failures that the provider may have counted
	state  MAC    // of the account and, but for a wrong password, of the configuration
	reason string // of a refusal

	holder int64     // the attempt that has the lease, 0 where none has
	lease  time.Time // when the lease expires
}

// lastAnswer is the last answer to the password of an entry.
type lastAnswer uint8

const (
	noAnswer lastAnswer = iota // there was none: the password is being proved for the first time
	wrong                      // a wrong password, in a state of the account
	refused                    // refused for another reason; in a name window, for any reason
	lost                       // the provider did not answer, and the password may have arrived
)

func (e *entry) leased() bool { return e.holder != 0 }

// sent returns when the password was last sent, or will have been.
func (e *entry) sent() time.Time {
	if asked := e.lease.Add(-leaseTTL); e.leased() && asked.After(e.taken) {
		return asked
	}
	return e.taken
}

// weight returns how much of the limit an entry takes: how many failures the
// provider may have counted once the lease is over.
func (e *entry) weight() int {
	if e.leased() && (e.last == noAnswer || e.last == lost) {
		return e.count + 1
	}
	return e.count
}

// recordLost records that the password may have arrived, and was not answered.
func (e *entry) recordLost() {
	e.taken, e.last, e.count, e.reason = e.sent(), lost, e.count+1, ""
}

// reset removes the answer and the failures of an entry.
func (e *entry) reset() { e.last, e.count, e.state, e.reason = noAnswer, 0, MAC{}, "" }

// recordUnsent records the refusal of a password that was not sent, unless it had
// an answer before.
func (e *entry) recordUnsent() {
	if e.last == noAnswer {
		e.last, e.count = refused, 1
	}
}

// dropReason removes the reason of a refusal, since the provider gave no answer
// this time: attempts that waited for it then ask for themselves.
func (e *entry) dropReason() {
	if e.last == refused {
		e.reason = ""
	}
}

// recordRefusal records a refusal. A refusal of the same password again adds no
// failure; one after a lost answer does.
func (e *entry) recordRefusal(answer lastAnswer, reason string, sent time.Time) {
	if e.last == noAnswer || e.last == lost {
		e.count++
	}
	e.last, e.reason = answer, reason
	if sent.After(e.taken) {
		e.taken = sent
	}
}

func (w window) clone() window { return window{slices.Clone(w.entries)} }

// find returns the entry of a password, or nil.
func (w window) find(secret MAC) *entry {
	for i := range w.entries {
		if w.entries[i].secret == secret {
			return &w.entries[i]
		}
	}
	return nil
}

// put returns the entry of a password, and adds e where there is none.
func (w *window) put(e entry) *entry {
	if found := w.find(e.secret); found != nil {
		return found
	}
	w.entries = append(w.entries, e)
	return &w.entries[len(w.entries)-1]
}

// expires returns when a window of this duration expires, the zero Time where it
// is empty.
func (w window) expires(duration time.Duration) time.Time {
	var youngest time.Time
	for i := range w.entries {
		if sent := w.entries[i].sent(); sent.After(youngest) {
			youngest = sent
		}
	}
	if youngest.IsZero() {
		return youngest
	}
	return youngest.Add(duration + quietMargin)
}

// nameWindowAt returns a name window as of now. A lease that has expired leaves no
// entry, as an outcome without an answer does.
func (w window) nameWindowAt(now time.Time, duration time.Duration) window {
	return w.at(now, duration, func(*entry) {})
}

// accountWindowAt returns an account window as of now. A lease that has expired
// leaves a lost answer.
func (w window) accountWindowAt(now time.Time, duration time.Duration) window {
	return w.at(now, duration, (*entry).recordLost)
}

func (w window) at(now time.Time, duration time.Duration, leaseExpired func(*entry)) window {
	w = w.clone()
	for i := range w.entries {
		if e := &w.entries[i]; e.leased() && !now.Before(e.lease) {
			leaseExpired(e)
			e.holder, e.lease = 0, time.Time{}
		}
	}
	w.dropUnanswered()
	if !now.Before(w.expires(duration)) {
		return window{}
	}
	return w
}

// dropUnanswered removes entries with neither an answer nor a lease.
func (w *window) dropUnanswered() {
	w.entries = slices.DeleteFunc(w.entries, func(e entry) bool { return e.last == noAnswer && !e.leased() })
}

// weight returns how much of the limit the entries take together.
func (w window) weight() (total int) {
	for i := range w.entries {
		total += w.entries[i].weight()
	}
	return total
}

// lostWeight returns how much of the limit the entries take whose answer was lost.
func (w window) lostWeight() (total int) {
	for i := range w.entries {
		if e := &w.entries[i]; e.last == lost {
			total += e.weight()
		}
	}
	return total
}

// room returns how many passwords a window of this limit holds: one less without a
// proof, so that strangers leave one to the person.
func (l Limit) room(hasProof bool) int {
	if !hasProof && l.Passwords >= 2 {
		return l.Passwords - 1
	}
	return l.Passwords
}

// half returns the limit of a process that counts by itself.
func (l Limit) half() Limit {
	l.Passwords = max(l.Passwords/2, 1)
	return l
}

// retryAfter returns when a full name window expires. Passwords that are being
// proved may make room sooner, which the answer does not tell: only passwords of an
// account that exists are proved.
func (w window) retryAfter(now time.Time, duration time.Duration) *RetryAfter {
	return &RetryAfter{After: max(w.expires(duration).Sub(now), time.Second), Limit: "name"}
}
