package throttle

import (
	"errors"
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
	secret Mark
	name   Mark      // the login name under which it was taken
	taken  time.Time // when it was sent to the provider, or refused without that
	kind   kind
	count  int    // how many failures the provider may have counted
	state  Mark   // of the account and, but for a wrong password, of the configuration
	reason string // of a refusal

	holder int64     // the attempt that is proving it, 0 where none is
	lease  time.Time // until when
}

// kind is the last answer to the password of an entry.
type kind uint8

const (
	unasked kind = iota // none yet: it is being proved for the first time
	wrong               // a wrong password, in a state of the account
	refused             // refused for another reason; in the window of a name, for any
	lost                // none, and it may have arrived
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
	if e.leased() && (e.kind == unasked || e.kind == lost) {
		return e.count + 1
	}
	return e.count
}

// loseAnswer notes that the password may have arrived, and was not answered.
func (e *entry) loseAnswer() {
	e.taken, e.kind, e.count, e.reason = e.sent(), lost, e.count+1, ""
}

func (w window) clone() window { return window{slices.Clone(w.entries)} }

func (w window) find(secret Mark) *entry {
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
	return w.at(now, held, (*entry).loseAnswer)
}

func (w window) at(now time.Time, held time.Duration, expire func(*entry)) window {
	w = w.clone()
	for i := range w.entries {
		if e := &w.entries[i]; e.leased() && !now.Before(e.lease) {
			expire(e)
			e.holder, e.lease = 0, time.Time{}
		}
	}
	w.dropUnasked()
	if !now.Before(w.expires(held)) {
		return window{}
	}
	return w
}

// dropUnasked removes entries with neither an answer nor a lease.
func (w *window) dropUnasked() {
	w.entries = slices.DeleteFunc(w.entries, func(e entry) bool { return e.kind == unasked && !e.leased() })
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
		if e := &w.entries[i]; e.kind == lost {
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

// retryAfter returns when a full window will have room: once it is over, or soon
// where passwords that are being proved fill it.
func (w window) retryAfter(now time.Time, room int, held time.Duration) *RetryAfter {
	settled := 0
	for i := range w.entries {
		settled += w.entries[i].count
	}
	after := retrySoon
	if settled >= room {
		after = max(w.expires(held).Sub(now), time.Second)
	}
	return &RetryAfter{After: after, What: "name"}
}

// windows are the two windows that an attempt takes an entry in.
type windows struct{ name, account window }

// try is a password for a login name, and for an account once that is known.
type try struct {
	name         Mark
	nameSecret   Mark // the password, in the window of the name
	nameLimit    Limit
	secret       Mark // the password, in the window of the account
	state        Mark // of the account
	generation   Mark // of the account's state and the configuration
	accountLimit Limit

	holder int64  // of the lease it takes
	proved bool   // its address has a proof
	joined bool   // an equal one that is still under way was proved
	waited bool   // for the answer to an equal one
	cached string // reason of the refusal of an equal one, within refusalTTL
}

// admit returns a [*RetryAfter] where the window of the name has neither an entry
// of the password nor room for one.
func (w windows) admit(t *try, now time.Time) error {
	room := t.nameLimit.room(t.proved)
	if w.name.find(t.nameSecret) == nil && w.name.weight() >= room {
		return w.name.retryAfter(now, room, t.nameLimit.Window)
	}
	return nil
}

// errLeased says that an equal password is being proved elsewhere: poll.
var errLeased = errors.New("an equal password is being proved")

// reserve takes an entry in both windows and says what to do with the password.
// w is as of now. After admit:
//
//	entry of the account's window     verdict
//	none, and room for one            Ask
//	none, full of lost ones           ErrUnanswered
//	none, full                        Full
//	leased                            errLeased; Ask where an equal one was proved
//	wrong, in the same state          Repeat
//	wrong, in another state           Ask
//	refused                           Ask; Repeat after waiting for that answer
//	lost, and room for one more       Ask
//	lost, and none                    ErrUnanswered
//
// Repeat and Full take an entry in the window of the name alone.
func reserve(w windows, t *try, now time.Time) (windows, Answer, error) {
	if err := w.admit(t, now); err != nil {
		return w, Answer{}, err
	}
	answer, err := w.verdict(t)
	if err != nil {
		return w, Answer{}, err
	}
	w = windows{w.name.clone(), w.account.clone()}
	inName := w.name.put(entry{secret: t.nameSecret, name: t.name, taken: now})
	if answer.Verdict != Ask {
		inName.refuse()
		return w, answer, nil
	}
	inAccount := w.account.put(entry{secret: t.secret, name: t.name, taken: now})
	for _, e := range []*entry{inName, inAccount} {
		e.holder, e.lease = t.holder, now.Add(leaseTTL)
	}
	return w, answer, nil
}

// verdict is the table of reserve.
func (w windows) verdict(t *try) (Answer, error) {
	room := t.accountLimit.room(t.proved)
	e := w.account.find(t.secret)
	switch {
	case t.cached != "":
		return Answer{Repeat, t.cached}, nil
	case e == nil:
		if inName := w.name.find(t.nameSecret); inName != nil && t.heard(inName) {
			return Answer{Repeat, inName.reason}, nil // it was right, and refused by our own rules
		}
		switch {
		case w.account.weight() < room:
			return Answer{Verdict: Ask}, nil
		case w.account.unanswered() >= room:
			return Answer{}, ErrUnanswered
		}
		return Answer{Verdict: Full}, nil
	case e.leased() && !t.joined:
		return Answer{}, errLeased
	case e.leased():
		return Answer{Verdict: Ask}, nil
	case e.kind == lost && w.account.weight() >= room:
		return Answer{}, ErrUnanswered
	case e.kind == wrong && e.state == t.state, t.heard(e):
		return Answer{Repeat, e.reason}, nil
	}
	return Answer{Verdict: Ask}, nil
}

// heard reports whether an entry has the refusal that the try has waited for, in
// the same state of the account and of the configuration.
func (t *try) heard(e *entry) bool {
	return t.waited && e.kind == refused && e.reason != "" && e.state == t.generation
}

// reserveName takes an entry in the window of the name, for a password that no
// provider is asked about.
func reserveName(w windows, t *try, now time.Time) (windows, error) {
	if err := w.admit(t, now); err != nil {
		return w, err
	}
	w.name = w.name.clone()
	w.name.put(entry{secret: t.nameSecret, name: t.name, taken: now}).refuse()
	return w, nil
}

// settle ends what reserve began with Ask. w is as of now.
//
//	outcome          name's window    account's window
//	Proved           removed          removed
//	ProvedRefused    kept             removed
//	Wrong            kept             kept, with the state
//	OtherRefusal     kept             kept
//	NotSent          as it was        as it was
//	MayHaveArrived   as it was        kept, one more each time
//
// As it was is removed, for a password that had no answer before. Where another
// attempt has a lease on the entry by now, the lease stays.
func settle(w windows, t *try, o Outcome, reason string, asked time.Time) windows {
	w = windows{w.name.clone(), w.account.clone()}
	inName := w.name.put(entry{secret: t.nameSecret, name: t.name, taken: asked})
	inAccount := w.account.put(entry{secret: t.secret, name: t.name, taken: asked})
	switch o {
	case Proved:
		inName.forget()
		inAccount.forget()
	case ProvedRefused:
		inName.answer(refused, reason, asked)
		inAccount.forget()
	case Wrong:
		inName.answer(refused, reason, asked)
		inAccount.answer(wrong, reason, asked)
	case OtherRefusal:
		inName.answer(refused, reason, inName.taken)
		inAccount.answer(refused, reason, inAccount.taken)
	case NotSent:
		inName.keepFromWaiters()
		inAccount.keepFromWaiters()
	default:
		inName.keepFromWaiters()
		inAccount.taken = asked
		inAccount.loseAnswer()
	}
	switch inName.state = t.generation; o {
	case Wrong:
		inAccount.state = t.state
	case OtherRefusal:
		inAccount.state = t.generation
	}
	for _, e := range []*entry{inName, inAccount} {
		if e.holder == t.holder {
			e.holder, e.lease = 0, time.Time{}
		}
	}
	w.name.dropUnasked()
	w.account.dropUnasked()
	return w
}

// forget takes back all that is known of an entry.
func (e *entry) forget() { e.kind, e.count, e.state, e.reason = unasked, 0, Mark{}, "" }

// refuse notes a refusal without asking, unless there has been an answer.
func (e *entry) refuse() {
	if e.kind == unasked {
		e.kind, e.count = refused, 1
	}
}

// keepFromWaiters makes attempts that wait for the lease of a password that was
// refused before ask for themselves, since this time there was no answer.
func (e *entry) keepFromWaiters() {
	if e.kind == refused {
		e.reason = ""
	}
}

// answer notes a refusal. Another one of the same password counts once, but for
// those that may have arrived before.
func (e *entry) answer(k kind, reason string, sent time.Time) {
	if e.kind == unasked || e.kind == lost {
		e.count++
	}
	e.kind, e.reason = k, reason
	if sent.After(e.taken) {
		e.taken = sent
	}
}
