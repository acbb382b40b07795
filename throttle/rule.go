package throttle

import (
	"errors"
	"time"
)

// windows are the state of the rate limit for one attempt: the name window and
// the account window. [reserve] and [settle] are its two transitions, pure functions
// of the windows, a request and the time. An attempt writes the new windows only if
// the rows have not changed since it read them (compare-and-swap), and else applies
// the transition again to the new rows.
type windows struct{ name, account window }

// request is the input of the rule: a password, with the limits of its windows.
// The fields of the account are zero until the account is known.
type request struct {
	name           MAC
	nameSecret     MAC // the password, in the name window
	nameLimit      Limit
	secret         MAC // the password, in the account window
	state          MAC // of the account
	stateAndConfig MAC // of the account's state and the configuration
	accountLimit   Limit

	holder      int64  // of the lease that the request takes
	hasProof    bool   // the login name has a proof at the address
	equalProved bool   // an equal password was proved, in the call that it joined or waited for
	waited      bool   // the request waited for the answer to an equal password
	cached      *Cause // of the refusal of an equal password within refusalTTL, else nil
}

// admit returns a [*RetryAfter] where the name window has neither an entry of the
// password nor room for one.
func (w windows) admit(r *request, now time.Time) error {
	if w.name.find(r.nameSecret) == nil && w.name.weight() >= r.nameLimit.room(r.hasProof) {
		return w.name.retryAfter(now, r.nameLimit.Window)
	}
	return nil
}

// errLeased says that another attempt has a lease on the entry of an equal
// password: poll until its end.
var errLeased = errors.New("an equal password is being proved")

// reserve is the transition before a password is sent. w is as of now. Where admit
// has no error, it goes by the account window:
//
//	entry of the password                           verdict
//	any, and an equal refusal is cached             Repeat
//	none, and the request waited for a refusal,
//	  which is in the name window                   Repeat
//	none, and there is room                         Ask
//	none, no room, and lost ones alone fill it      ErrUnanswered
//	none, and no room                               Full
//	leased                                          errLeased; Ask where an equal one was proved
//	wrong, in the same state                        Repeat
//	wrong, in another state                         Ask
//	refused                                         Ask; Repeat where the request waited for it
//	lost, and there is room for one more            Ask
//	lost, and no room                               ErrUnanswered
//
// The password of a lost entry was sent and not answered. Ask takes an entry in both
// windows, with a lease; Repeat and Full take one in the name window alone; an error
// takes none.
func reserve(w windows, r *request, now time.Time) (windows, Answer, error) {
	if err := w.admit(r, now); err != nil {
		return w, Answer{}, err
	}
	answer, err := w.verdict(r)
	if err != nil {
		return w, Answer{}, err
	}
	w = windows{w.name.clone(), w.account.clone()}
	inName := w.name.put(entry{secret: r.nameSecret, name: r.name, taken: now})
	if answer.Verdict != Ask {
		inName.recordUnsent()
		return w, answer, nil
	}
	inAccount := w.account.put(entry{secret: r.secret, name: r.name, taken: now})
	for _, e := range []*entry{inName, inAccount} {
		e.holder, e.lease = r.holder, now.Add(leaseTTL)
	}
	return w, answer, nil
}

// verdict is the table of reserve.
func (w windows) verdict(r *request) (Answer, error) {
	room := r.accountLimit.room(r.hasProof)
	e := w.account.find(r.secret)
	switch {
	case r.cached != nil:
		return Answer{Repeat, *r.cached}, nil
	case e == nil:
		if inName := w.name.find(r.nameSecret); inName != nil && r.waitedFor(inName) {
			return Answer{Repeat, Cause{Reason: inName.reason}}, nil // a right password, refused by the configuration
		}
		switch {
		case w.account.weight() < room:
			return Answer{Verdict: Ask}, nil
		case w.account.lostWeight() >= room:
			return Answer{}, ErrUnanswered
		}
		return Answer{Verdict: Full}, nil
	case e.leased() && !r.equalProved:
		return Answer{}, errLeased
	case e.leased():
		return Answer{Verdict: Ask}, nil
	case e.last == lost && w.account.weight() >= room:
		return Answer{}, ErrUnanswered
	case e.last == wrong && e.state == r.state, r.waitedFor(e):
		return Answer{Repeat, Cause{Reason: e.reason}}, nil
	}
	return Answer{Verdict: Ask}, nil
}

// waitedFor reports whether an entry has the refusal that the request waited for,
// in the same state of the account and of the configuration.
func (r *request) waitedFor(e *entry) bool {
	return r.waited && e.last == refused && e.reason != "" && e.state == r.stateAndConfig
}

// reserveName takes an entry in the name window alone, for a password that is sent
// to no provider. w is as of now.
func reserveName(w windows, r *request, now time.Time) (windows, error) {
	if err := w.admit(r, now); err != nil {
		return w, err
	}
	w.name = w.name.clone()
	w.name.put(entry{secret: r.nameSecret, name: r.name, taken: now}).recordUnsent()
	return w, nil
}

// settle is the transition at the outcome of a password for which reserve returned
// Ask, and which was sent at asked. w is as of now.
//
//	outcome          answer   name window   account window
//	Proved           200      removed       removed
//	ProvedRefused    401      stays         removed
//	Wrong            401      stays         stays, with the state
//	OtherRefusal     401      stays         stays
//	NotCounted       503      as before     as before
//	MayBeCounted     503      as before     stays, and weighs one more each time
//
// An entry that is as before is removed where the password had no answer before.
// Where another attempt has taken the lease of the entry since, the lease stays,
// and the entry with it.
func settle(w windows, r *request, o Outcome, reason string, asked time.Time) windows {
	w = windows{w.name.clone(), w.account.clone()}
	inName := w.name.put(entry{secret: r.nameSecret, name: r.name, taken: asked})
	inAccount := w.account.put(entry{secret: r.secret, name: r.name, taken: asked})
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
	case NotCounted:
		inName.dropReason()
		inAccount.dropReason()
	default:
		inName.dropReason()
		inAccount.taken = asked
		inAccount.recordLost()
	}
	inName.state = r.stateAndConfig
	switch o {
	case Wrong:
		inAccount.state = r.state
	case OtherRefusal:
		inAccount.state = r.stateAndConfig
	}
	for _, e := range []*entry{inName, inAccount} {
		if e.holder == r.holder {
			e.holder, e.lease = 0, time.Time{}
		}
	}
	w.name.dropUnanswered()
	w.account.dropUnanswered()
	return w
}
