package session

import (
	"errors"
	"fmt"
	"time"

	"shorepass/providers"
)

// Person is the row that a provider's answers are kept on: one for all
// sessions of a person where the provider is asked per person, one for each
// session where it is asked per session. It is a state machine: [next] is its
// transition at an answer, [loggedIn] that at a login, and [status] decides what a
// redemption does in a state.
type Person struct {
	ID      int64
	Version Version   // of its facts
	Stamp   string    // as last seen
	Checked time.Time // when the provider last vouched for the person
	Asked   time.Time // when it was last asked, whatever it answered
	Answer  Answer    // to that
	Gone    time.Time // since when it says that the person is gone
	Lease   time.Time // until then another caller is asking
}

// Answer is the state of a person by what the provider last answered.
type Answer int

// The answers are kept as these numbers.
const (
	AnswerVouched  Answer = 0 // this is the person now
	AnswerDown     Answer = 1 // unavailable, and vouched before that
	AnswerRejected Answer = 2 // not now
	AnswerGone     Answer = 3 // no such entry, or grant
	AnswerNever    Answer = 4 // it will never be able to tell
	AnswerHeld     Answer = 5 // withheld by the circuit breaker
	AnswerLost     Answer = 6 // unavailable, and did not vouch before that
)

// outcome is what came of asking a provider: the input of the state machine.
type outcome int

const (
	outcomeUnavailable outcome = iota // the provider cannot tell now
	outcomeVouched                    // this is the person now
	outcomeRejected                   // not now, such as a lock that lifts by itself
	outcomeEnded                      // never again: disabled, expired or locked for good
	outcomeGone                       // no such entry, or grant
	outcomeNever                      // it will never be able to tell
	outcomeHeld                       // withheld by the circuit breaker
)

// outcomeOf returns the outcome that an error of Revalidate stands for. An
// unrecognized error is outcomeUnavailable.
func outcomeOf(err error) outcome {
	switch {
	case err == nil:
		return outcomeVouched
	case errors.Is(err, providers.ErrCannotRevalidate):
		return outcomeNever
	case errors.Is(err, providers.ErrEnded):
		return outcomeEnded
	case errors.Is(err, providers.ErrGone), errors.Is(err, providers.ErrNotMine):
		return outcomeGone
	case errors.Is(err, providers.ErrRejected):
		return outcomeRejected
	}
	return outcomeUnavailable
}

// answer is an outcome, and what a provider that vouches says of the person.
type answer struct {
	outcome outcome
	stamp   string // empty where the provider shows none
	facts   *Facts
}

// next is the transition of a person's state at an answer. Asked becomes now and
// the lease is given up; the rest becomes
//
//	outcome      Answer         Checked  Gone           Stamp, Version
//	vouched      Vouched        now      zero           the answer's; an empty stamp keeps the old
//	rejected     Rejected       same     zero           same
//	ended        Rejected       same     zero           same
//	gone         Gone           same     now if zero    same
//	never        Never          same     same           same
//	held         Held           same     same           same
//	unavailable  Down, or Lost  same     same           same
//
// Unavailable is Down after Vouched, Down and Never, and Lost after any other
// Answer: only a provider that vouched when it last could is forgiven.
func next(p Person, a answer, now time.Time) Person {
	p.Asked, p.Lease = now, time.Time{}
	switch a.outcome {
	case outcomeVouched:
		p.Answer, p.Checked, p.Gone = AnswerVouched, now, time.Time{}
		if a.stamp != "" {
			p.Stamp = a.stamp
		}
		if a.facts != nil {
			p.Version = a.facts.Version
		}
	case outcomeRejected, outcomeEnded:
		p.Answer, p.Gone = AnswerRejected, time.Time{}
	case outcomeGone:
		p.Answer = AnswerGone
		if p.Gone.IsZero() {
			p.Gone = now
		}
	case outcomeNever:
		p.Answer = AnswerNever
	case outcomeHeld:
		p.Answer = AnswerHeld
	default:
		switch p.Answer {
		case AnswerVouched, AnswerDown, AnswerNever:
			p.Answer = AnswerDown
		default:
			p.Answer = AnswerLost
		}
	}
	return p
}

// loggedIn is the transition of a person's state at a login, where the provider
// gave the answer a: vouched. Unlike [next] it keeps the lease, whose holder is
// still asking. The rest becomes
//
//	now             Answer   Asked, Checked  Gone  Stamp, Version                              Lease
//	before Checked  same     same            same  same                                        same
//	otherwise       Vouched  now             zero  the answer's; an empty stamp keeps the old  same
//
// A first login is that of the zero Person.
func loggedIn(p Person, a answer, now time.Time) Person {
	if now.Before(p.Checked) {
		return p // the provider has vouched since
	}
	lease := p.Lease
	p = next(p, a, now)
	p.Lease = lease
	return p
}

// endedBy returns why an answer ends sessions of a person in state p, or "":
//
//	vouched  ReasonStamp, where the stamp changed (of sessions with another stamp)
//	ended    ReasonEnded
//	gone     ReasonGone, where the person is gone for grace already
func endedBy(p Person, a answer, grace time.Duration, now time.Time) Reason {
	switch {
	case a.outcome == outcomeVouched && stampChanged(p.Stamp, a.stamp):
		return ReasonStamp
	case a.outcome == outcomeEnded:
		return ReasonEnded
	case a.outcome == outcomeGone && !p.Gone.IsZero() && !now.Before(p.Gone.Add(grace)):
		return ReasonGone
	}
	return ""
}

// stampChanged compares a person's stamps. A missing stamp is no change: an
// attribute that cannot be read any more is no new password.
func stampChanged(then, now string) bool { return then != "" && now != "" && then != now }

// personStatus is what a redemption does in a person's state.
type personStatus int

const (
	statusFresh    personStatus = iota // redeem
	statusStale                        // redeem, and ask the provider meanwhile
	statusDue                          // ask the provider and wait
	statusRejected                     // refuse: the provider rejects the person, for now
	statusGone                         // refuse: the provider has no such person
	statusDown                         // unavailable: so is the provider, and the grace is over
	statusHeld                         // unavailable: the circuit breaker withheld the answer
)

// retryAfter is how long a provider is not asked again about a person after it
// said no or was unavailable.
const retryAfter = 30 * time.Second

// status returns what a redemption that began at a time before now does in a
// person's state:
//
//	Answer           recent    older
//	Vouched, Never   fresh     due
//	Down, forgiven   fresh     stale
//	Down, otherwise  down      due
//	Lost             down      due
//	Rejected         rejected  due
//	Gone             gone      due
//	Held             held      due
//
// Vouched and Never are recent for cfg.Revalidate, any other for retryAfter, or
// cfg.Revalidate where that is less. An answer that came since the request began
// is recent too, however long it took. Down is forgiven for cfg.Grace after the
// provider should have vouched again, unless the person is gone.
func status(p *Person, cfg *Config, began, now time.Time) personStatus {
	window := min(retryAfter, cfg.Revalidate)
	if p.Answer == AnswerVouched || p.Answer == AnswerNever {
		window = cfg.Revalidate
	}
	recent := now.Before(p.Asked.Add(window)) || !p.Asked.Before(began)
	forgiven := p.Answer == AnswerDown && p.Gone.IsZero() && now.Before(p.Checked.Add(cfg.Revalidate+cfg.Grace))
	switch {
	case forgiven && !recent:
		return statusStale
	case !recent:
		return statusDue
	case forgiven, p.Answer == AnswerVouched, p.Answer == AnswerNever:
		return statusFresh
	case p.Answer == AnswerRejected:
		return statusRejected
	case p.Answer == AnswerGone:
		return statusGone
	case p.Answer == AnswerHeld:
		return statusHeld
	}
	return statusDown
}

// err returns the error of a status that neither redeems nor is due.
func (s personStatus) err(provider string) error {
	switch s {
	case statusRejected:
		return refused(fmt.Sprintf("the provider %q does not let the person in at present", provider))
	case statusGone:
		return refused(fmt.Sprintf("the provider %q says that the person or grant is gone", provider))
	case statusHeld:
		return unavailable(fmt.Errorf("the provider %q suddenly refuses too many", provider))
	}
	return unavailable(&providers.Failure{Provider: provider, Err: errors.New("it cannot tell about the person")})
}
