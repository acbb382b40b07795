package session

import (
	"errors"
	"fmt"
	"time"

	"shorepass/providers"
)

// SignIn is the row that a provider's answers are kept on: one for all sessions
// of a person where logins share it, one for each login where they do not. It is
// a state machine: [next] is its transition at an answer, [loggedIn] that at a
// login, and [status] decides what a redemption does in a state.
type SignIn struct {
	ID           int64
	Version      Version   // of its identity
	Stamp        string    // as last seen
	TokenVersion int64     // counts the provider's refresh tokens that were stored with it
	Checked      time.Time // when the provider last vouched for the person
	Asked        time.Time // when it was last asked, whatever it answered
	Answer       Answer    // to that
	Gone         time.Time // since when it says that the person is gone
	Pending      time.Time // since when an end of sessions is pending; the zero Time for none
	Reason       Reason    // of the pending end: of those with another stamp for ReasonStamp, of all for any other
	Lease        time.Time // until then another caller is asking
}

// ends reports whether an end of all sessions is pending.
func (s *SignIn) ends() bool { return !s.Pending.IsZero() && s.Reason != ReasonStamp }

// refuses reports whether the last answer that was one refused the person.
func (s *SignIn) refuses() bool {
	return s.ends() || !s.Gone.IsZero() || s.Answer == AnswerRejected || s.Answer == AnswerGone
}

// Answer is the state of a sign-in by what the provider last answered.
type Answer int

// The answers are kept as these numbers. 5 was that of a circuit breaker, which
// keeps none any more.
const (
	AnswerVouched  Answer = 0 // this is the person now
	AnswerDown     Answer = 1 // unavailable, and vouched before that
	AnswerRejected Answer = 2 // not now
	AnswerGone     Answer = 3 // no such entry, or grant
	AnswerNever    Answer = 4 // it will never be able to tell
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
	outcome  outcome
	stamp    string // empty where the provider shows none
	identity *StoredIdentity
	token    int64 // the SignIn.Token that the provider was asked with
	rotated  bool  // the provider gave another refresh token
}

// next is the transition of a sign-in at an answer. Asked becomes now and the
// lease is given up; the rest becomes
//
//	outcome      Answer         Checked  Gone         Pending, Reason                Stamp, Version
//	vouched      Vouched        now      zero         stamp changed: now, stamp;  the answer's; an empty stamp keeps the old
//	                                                  an end: now, stamp;
//	                                                  else: same
//	rejected     Rejected       same     zero         same                        same
//	ended        Rejected       same     zero         now, ended; an end: same    same
//	gone         Gone           same     now if zero  gone for grace: now, gone;  same
//	                                                  an end: same; else: same
//	never        Never          same     same         same                        same
//	unavailable  Down, or Lost  same     same         same                        same
//
// Unavailable is Down after Vouched, Down and Never, and Lost after any other
// Answer: only a provider that vouched when it last could is forgiven. Only an
// answer that vouches, and a login, clear an end that is pending for all sessions:
// it then is one for those with another stamp, of which there may be none. Token
// grows by one where the answer brought another refresh token.
//
// An answer to a token that is not the stored one is void, since a login put
// another in its place: nothing changes but the lease, so that a refusal of the
// old token ends nothing.
func next(s SignIn, a answer, grace time.Duration, now time.Time) SignIn {
	s.Lease = time.Time{}
	if a.token != s.TokenVersion {
		return s
	}
	s.Asked = now
	if a.rotated {
		s.TokenVersion++
	}
	switch a.outcome {
	case outcomeVouched:
		if s.ends() || stampChanged(s.Stamp, a.stamp) {
			s.Pending, s.Reason = now, ReasonStamp
		}
		s.Answer, s.Checked, s.Gone = AnswerVouched, now, time.Time{}
		if a.stamp != "" {
			s.Stamp = a.stamp
		}
		if a.identity != nil {
			s.Version = a.identity.Version
		}
	case outcomeRejected:
		s.Answer, s.Gone = AnswerRejected, time.Time{}
	case outcomeEnded:
		s.Answer, s.Gone = AnswerRejected, time.Time{}
		s.endAt(now, ReasonEnded)
	case outcomeGone:
		s.Answer = AnswerGone
		if s.Gone.IsZero() {
			s.Gone = now
		}
		if !now.Before(s.Gone.Add(grace)) {
			s.endAt(now, ReasonGone)
		}
	case outcomeNever:
		s.Answer = AnswerNever
	default:
		switch s.Answer {
		case AnswerVouched, AnswerDown, AnswerNever:
			s.Answer = AnswerDown
		default:
			s.Answer = AnswerLost
		}
	}
	return s
}

// endAt makes an end of all sessions pending, unless one is.
func (s *SignIn) endAt(now time.Time, reason Reason) {
	if !s.ends() {
		s.Pending, s.Reason = now, reason
	}
}

// loggedIn is the transition of a sign-in at a login, where the provider gave the
// answer a: vouched, whatever token was stored before. Unlike [next] it keeps the
// lease, whose holder is still asking. The rest becomes
//
//	now             Answer   Asked, Checked  Gone  Pending, Reason, Stamp, Version  Lease  Token
//	before Checked  same     same            same  same                          same   one more, with another refresh token
//	otherwise       Vouched  now             zero  as in next                    same   the same
//
// A first login is that of the zero SignIn.
func loggedIn(s SignIn, a answer, now time.Time) SignIn {
	if now.Before(s.Checked) { // the provider has vouched since
		if a.rotated {
			s.TokenVersion++
		}
		return s
	}
	lease := s.Lease
	a.token = s.TokenVersion
	s = next(s, a, 0, now)
	s.Lease = lease
	return s
}

// stampChanged compares the stamp of a sign-in with that of an answer. A missing
// stamp is no change: an attribute that cannot be read any more is no new
// password. One made of other attributes is none either, and is adopted.
func stampChanged(then, now string) bool {
	return then != "" && now != "" && then != now && providers.SameAttributes(then, now)
}

// Adopts returns which stamps of its sessions a sign-in replaces with its own
// where it becomes is: none, and the old one that was made of other attributes. A
// session that began before an entry showed a stamp, or before other attributes
// were configured, must not live through every change after. A session whose
// stamp was another already stays refused.
func (s SignIn) Adopts(is SignIn) []string {
	switch {
	case is.Stamp == "" || is.Stamp == s.Stamp:
		return nil
	case s.Stamp == "":
		return []string{""}
	case !stampChanged(s.Stamp, is.Stamp):
		return []string{s.Stamp}
	}
	return nil
}

// voidRefusal returns the sign-in as it counts while what a provider answered at or
// before doubted is not believed, and whether that voids a refusal: then the
// person was neither gone nor ended, and the last answer is Lost.
func voidRefusal(s SignIn, doubted time.Time) (_ SignIn, void bool) {
	if !s.refuses() || s.Asked.After(doubted) {
		return s, false
	}
	if s.ends() {
		s.Pending, s.Reason = time.Time{}, ""
	}
	s.Answer, s.Gone = AnswerLost, time.Time{}
	return s, true
}

// newlyEnded reports whether an answer newly refuses a person for good, or makes
// such a refusal a pending end: what the circuit breaker counts. s is the sign-in
// before the answer, as it is believed, and is the one after it.
func newlyEnded(s, is SignIn) bool {
	return is.ends() && !s.ends() || !is.Gone.IsZero() && s.Gone.IsZero()
}

// signInStatus is what a redemption does in a state.
type signInStatus int

const (
	statusFresh    signInStatus = iota // redeem
	statusStale                        // redeem, and ask the provider meanwhile
	statusDue                          // ask the provider and wait
	statusRejected                     // refuse: the provider rejects the person, for now
	statusGone                         // refuse: the provider has no such person
	statusEnding                       // refuse: the sessions are about to end
	statusDown                         // unavailable: so is the provider, and the grace is over
	statusDoubted                      // unavailable: the circuit breaker is open
)

// retryAfter is how long a provider is not asked again about a person after it
// said no or was unavailable.
const retryAfter = 30 * time.Second

// status returns what a redemption that began at a time before now does in a
// state, where what the provider answered at or before doubted is not believed:
//
//	state                      recent    older
//	Vouched, Never             fresh     due
//	Down, forgiven             fresh     stale
//	Down, otherwise            down      due
//	Lost                       down      due
//	Rejected                   rejected  due
//	Gone                       gone      due
//	an end is pending          ending    due
//	any refusal, not believed  doubted   due
//
// A refusal that is not believed is due, too, once the provider is believed again.
// Vouched and Never are recent for cfg.Revalidate, any other for retryAfter, or
// cfg.Revalidate where that is less. An answer that came since the request began
// is recent too, however long it took. Down is forgiven for cfg.Grace after the
// provider should have vouched again, unless the person is gone.
func status(s *SignIn, cfg *Config, doubted, began, now time.Time) signInStatus {
	_, void := voidRefusal(*s, doubted)
	window := min(retryAfter, cfg.Revalidate)
	if !s.ends() && (s.Answer == AnswerVouched || s.Answer == AnswerNever) {
		window = cfg.Revalidate
	}
	recent := now.Before(s.Asked.Add(window)) || !s.Asked.Before(began)
	forgiven := s.Answer == AnswerDown && s.Gone.IsZero() && !s.ends() && now.Before(s.Checked.Add(cfg.Revalidate+cfg.Grace))
	switch {
	case void && recent && !now.After(doubted):
		return statusDoubted
	case void:
		return statusDue
	case forgiven && !recent:
		return statusStale
	case !recent:
		return statusDue
	case s.ends():
		return statusEnding
	case forgiven, s.Answer == AnswerVouched, s.Answer == AnswerNever:
		return statusFresh
	case s.Answer == AnswerRejected:
		return statusRejected
	case s.Answer == AnswerGone:
		return statusGone
	}
	return statusDown
}

// err returns the error of a status that neither redeems nor is due.
func (s signInStatus) err(provider string, reason Reason) error {
	switch s {
	case statusRejected:
		return refused(fmt.Sprintf("the provider %q does not let the person in at present", provider))
	case statusGone:
		return refused(fmt.Sprintf("the provider %q says that the person or grant is gone", provider))
	case statusEnding:
		return refused(fmt.Sprintf("the provider %q refuses the person for good: %s", provider, reason))
	case statusDoubted:
		return unavailable(fmt.Errorf("circuit open: the provider %q suddenly refuses too many people", provider))
	}
	return unavailable(&providers.Failure{Provider: provider, Err: errors.New("it cannot tell about the person")})
}

// finalDelay is how long an end is pending before a sweep makes it final.
const finalDelay = 15 * time.Minute

// final returns which sessions of a sign-in on which an end is pending end for
// good, where what the provider answered at or before doubted is not believed.
// It is called once the end is pending for finalDelay.
func (p *PendingEnd) final(doubted time.Time) (tokens []Hash, decided bool) {
	if _, void := voidRefusal(p.SignIn, doubted); void {
		return nil, false
	}
	for _, one := range p.Sessions {
		if p.SignIn.ends() || otherStamp(one.Stamp, p.SignIn.Stamp) {
			tokens = append(tokens, one.Hash)
		}
	}
	return tokens, true
}

// otherStamp compares the stamp of a session with that of its sign-in.
func otherStamp(then, now string) bool { return then != "" && now != "" && then != now }
