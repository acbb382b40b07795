package throttle

import (
	"errors"
	"time"
)

// windows are the two windows that an attempt takes an entry in.
type windows struct{ name, account window }

// request is a password for a login name, and for an account once that is known.
type request struct {
	name           MAC
	nameSecret     MAC // the password, in the window of the name
	nameLimit      Limit
	secret         MAC // the password, in the window of the account
	state          MAC // of the account
	stateAndConfig MAC // of the account's state and the configuration
	accountLimit   Limit

	holder      int64  // of the lease it takes
	hasProof    bool   // its address has a proof
	equalProved bool   // an equal one that is still under way was proved
	waited      bool   // for the answer to an equal one
	cached      *Cause // of the refusal of an equal one, within refusalTTL; nil where there was none
}

// admit returns a [*RetryAfter] where the window of the name has neither an entry
// of the password nor room for one.
func (w windows) admit(t *request, now time.Time) error {
	if w.name.find(t.nameSecret) == nil && w.name.weight() >= t.nameLimit.room(t.hasProof) {
		return w.name.retryAfter(now, t.nameLimit.Window)
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
func reserve(w windows, t *request, now time.Time) (windows, Answer, error) {
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
		inName.recordUnsent()
		return w, answer, nil
	}
	inAccount := w.account.put(entry{secret: t.secret, name: t.name, taken: now})
	for _, e := range []*entry{inName, inAccount} {
		e.holder, e.lease = t.holder, now.Add(leaseTTL)
	}
	return w, answer, nil
}

// verdict is the table of reserve.
func (w windows) verdict(t *request) (Answer, error) {
	room := t.accountLimit.room(t.hasProof)
	e := w.account.find(t.secret)
	switch {
	case t.cached != nil:
		return Answer{Repeat, *t.cached}, nil
	case e == nil:
		if inName := w.name.find(t.nameSecret); inName != nil && t.waitedFor(inName) {
			return Answer{Repeat, Cause{Reason: inName.reason}}, nil // it was right, and refused by our own rules
		}
		switch {
		case w.account.weight() < room:
			return Answer{Verdict: Ask}, nil
		case w.account.unanswered() >= room:
			return Answer{}, ErrUnanswered
		}
		return Answer{Verdict: Full}, nil
	case e.leased() && !t.equalProved:
		return Answer{}, errLeased
	case e.leased():
		return Answer{Verdict: Ask}, nil
	case e.last == lost && w.account.weight() >= room:
		return Answer{}, ErrUnanswered
	case e.last == wrong && e.state == t.state, t.waitedFor(e):
		return Answer{Repeat, Cause{Reason: e.reason}}, nil
	}
	return Answer{Verdict: Ask}, nil
}

// waitedFor reports whether an entry has the refusal that the try has waited for, in
// the same state of the account and of the configuration.
func (t *request) waitedFor(e *entry) bool {
	return t.waited && e.last == refused && e.reason != "" && e.state == t.stateAndConfig
}

// reserveName takes an entry in the window of the name, for a password that no
// provider is asked about.
func reserveName(w windows, t *request, now time.Time) (windows, error) {
	if err := w.admit(t, now); err != nil {
		return w, err
	}
	w.name = w.name.clone()
	w.name.put(entry{secret: t.nameSecret, name: t.name, taken: now}).recordUnsent()
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
func settle(w windows, t *request, o Outcome, reason string, asked time.Time) windows {
	w = windows{w.name.clone(), w.account.clone()}
	inName := w.name.put(entry{secret: t.nameSecret, name: t.name, taken: asked})
	inAccount := w.account.put(entry{secret: t.secret, name: t.name, taken: asked})
	switch o {
	case Proved:
		inName.reset()
		inAccount.reset()
	case ProvedRefused:
		inName.recordRefusal(refused, reason, asked)
		inAccount.reset()
	case Wrong:
		inName.recordRefusal(refused, reason, asked)
		inAccount.recordRefusal(wrong, reason, asked)
	case OtherRefusal:
		inName.recordRefusal(refused, reason, inName.taken)
		inAccount.recordRefusal(refused, reason, inAccount.taken)
	case NotSent:
		inName.dropReason()
		inAccount.dropReason()
	default:
		inName.dropReason()
		inAccount.taken = asked
		inAccount.recordLost()
	}
	switch inName.state = t.stateAndConfig; o {
	case Wrong:
		inAccount.state = t.state
	case OtherRefusal:
		inAccount.state = t.stateAndConfig
	}
	for _, e := range []*entry{inName, inAccount} {
		if e.holder == t.holder {
			e.holder, e.lease = 0, time.Time{}
		}
	}
	w.name.dropUnanswered()
	w.account.dropUnanswered()
	return w
}
