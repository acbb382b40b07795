package throttle

import (
	"slices"
	"time"
)

const (
	// leaseTTL is how long a password may be under way before it counts as one
	// that may have reached the provider.
	leaseTTL = 15 * time.Second

	// quietMargin is added to the time for which a window holds its entries, so
	// that the directory has forgotten them first.
	quietMargin = time.Minute
)

// window is the list of distinct passwords of a login name, or of an account.
// The rule is pure: [reserve] and [settle] return new windows.
//
// A window does not slide: all entries expire together, a quiet period after the
// youngest was sent, because Active Directory and FreeIPA reset their count of
// failures only after one.
type window struct{ entries []entry }

// entry is a password in a window: its last answer, and the lease of the attempt
// that is proving it now, if one is.
type entry struct {
	secret MAC
	name   MAC       // the login name under which it was taken
	taken  time.Time // when it was sent to the provider, or refused without that
	last   lastAnswer
	count  int    // how many failures the provider may have counted
	state  MAC    // of the account and, but for a wrong password, of the configuration
	reason string // of a refusal

	holder int64     // the attempt that is proving it, 0 where none is
	lease  time.Time // until when
}

// lastAnswer is the last answer to the password of an entry.
type lastAnswer uint8

const (
	noAnswer lastAnswer = iota // none yet: it is being proved for the first time
	wrong                      // a wrong password, in a state of the account
	refused                    // refused for another reason; in the window of a name, for any
	lost                       // none, and it may have arrived
)

func (e *entry) leased() bool { return e.holder != 0 }

// sent returns when the password was last sent, or will have been.
func (e *entry) sent() time.Time {
	if asked := e.lease.Add(-leaseTTL); e.leased() && asked.After(e.taken) {
		return asked
	}
	return e.taken
}

// weight returns how many failures the provider may count once the lease is
// over.
func (e *entry) weight() int {
	if e.leased() && (e.last == noAnswer || e.last == lost) {
		return e.count + 1
	}
	return e.count
}

// recordLost notes that the password may have arrived, and was not answered.
func (e *entry) recordLost() {
	e.taken, e.last, e.count, e.reason = e.sent(), lost, e.count+1, ""
}

// reset takes back all that is known of an entry.
func (e *entry) reset() { e.last, e.count, e.state, e.reason = noAnswer, 0, MAC{}, "" }

// recordUnsent notes a refusal without asking, unless there has been an answer.
func (e *entry) recordUnsent() {
	if e.last == noAnswer {
		e.last, e.count = refused, 1
	}
}

// dropReason makes attempts that wait for the lease of a password that was
// refused before ask for themselves, since this time there was no answer.
func (e *entry) dropReason() {
	if e.last == refused {
		e.reason = ""
	}
}

// recordRefusal notes a refusal. Another one of the same password counts once, but for
// those that may have arrived before.
func (e *entry) recordRefusal(k lastAnswer, reason string, sent time.Time) {
	if e.last == noAnswer || e.last == lost {
		e.count++
	}
	e.last, e.reason = k, reason
	if sent.After(e.taken) {
		e.taken = sent
	}
}

func (w window) clone() window { return window{slices.Clone(w.entries)} }

func (w window) find(secret MAC) *entry {
	for i := range w.entries {
		if w.entries[i].secret == secret {
			return &w.entries[i]
		}
	}
	return nil
}

// put returns the entry of a password, which it adds where there is none.
func (w *window) put(e entry) *entry {
	if found := w.find(e.secret); found != nil {
		return found
	}
	w.entries = append(w.entries, e)
	return &w.entries[len(w.entries)-1]
}

// expires returns when a window is over, the zero Time where it is empty.
func (w window) expires(held time.Duration) time.Time {
	var youngest time.Time
	for i := range w.entries {
		if sent := w.entries[i].sent(); sent.After(youngest) {
			youngest = sent
		}
	}
	if youngest.IsZero() {
		return youngest
	}
	return youngest.Add(held + quietMargin)
}

// nameWindowAt returns a name's window at a time. A lease that has expired leaves
// no entry, as an attempt without an answer leaves none.
func (w window) nameWindowAt(now time.Time, held time.Duration) window {
	return w.at(now, held, func(*entry) {})
}

// accountWindowAt returns an account's window at a time. A lease that has expired
// leaves an attempt that may have arrived.
func (w window) accountWindowAt(now time.Time, held time.Duration) window {
	return w.at(now, held, (*entry).recordLost)
}

func (w window) at(now time.Time, held time.Duration, expire func(*entry)) window {
	w = w.clone()
	for i := range w.entries {
		if e := &w.entries[i]; e.leased() && !now.Before(e.lease) {
			expire(e)
			e.holder, e.lease = 0, time.Time{}
		}
	}
	w.dropUnanswered()
	if !now.Before(w.expires(held)) {
		return window{}
	}
	return w
}

// dropUnanswered removes entries with neither an answer nor a lease.
func (w *window) dropUnanswered() {
	w.entries = slices.DeleteFunc(w.entries, func(e entry) bool { return e.last == noAnswer && !e.leased() })
}

func (w window) weight() (total int) {
	for i := range w.entries {
		total += w.entries[i].weight()
	}
	return total
}

// unanswered returns the weight of the entries that may have arrived.
func (w window) unanswered() (total int) {
	for i := range w.entries {
		if e := &w.entries[i]; e.last == lost {
			total += e.weight()
		}
	}
	return total
}

// room returns how many passwords a limit holds: one less for an address without
// a proof, so that strangers leave one to the person.
func (l Limit) room(proved bool) int {
	if !proved && l.Passwords >= 2 {
		return l.Passwords - 1
	}
	return l.Passwords
}

// retryAfter returns when a full window is over. Passwords that are being proved
// may leave it sooner, which the answer does not say: only those of an account that
// exists are.
func (w window) retryAfter(now time.Time, held time.Duration) *RetryAfter {
	return &RetryAfter{After: max(w.expires(held).Sub(now), time.Second), Limit: "name"}
}
