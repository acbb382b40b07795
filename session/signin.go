package session

import (
	"errors"
	"time"

	"shorepass/providers"
)

// SignIn is a state machine: the row that stores a provider's last answer about
// a person. Sessions point to it: all sessions of the person where logins share
// a sign-in, those of one login where they do not. [next] is the transition at
// an answer, [loggedIn] the transition at a login, and [status] decides what a
// redemption does in a state. All three are pure.
//
// Invariant: a state refuses sessions and ends none. A sweep ends them later, and
// an ended session is never restored.
type SignIn struct {
	ID            int64
	Version       Version   // of its identity
	Stamp         string    // as last seen
	TokenVersion  int64     // grows by one with each refresh token stored
	LastVouched   time.Time // when the provider last vouched for the person
	LastAsked     time.Time // when the provider was last asked, whatever it answered
	LastAnswer    Answer    // the last answer
	GoneSince     time.Time // since when the provider says that the person is gone; the zero Time if it does not
	PendingSince  time.Time // since when an end of sessions is pending; the zero Time for none
	PendingReason Reason    // of the pending end. ReasonStamp ends the sessions with another stamp, any other reason all
	LeaseUntil    time.Time // when the lease of the caller that asks expires
}

// ends reports whether an end of all sessions is pending.
func (s *SignIn) ends() bool { return !s.PendingSince.IsZero() && s.PendingReason != ReasonStamp }

// refuses reports whether the provider refused the person when it last could
// tell.
func (s *SignIn) refuses() bool {
	return s.ends() || !s.GoneSince.IsZero() || s.LastAnswer == AnswerRejected || s.LastAnswer == AnswerGone
}

// Answer is the part of a sign-in's state that the last answer sets.
type Answer int

// The numbers are stored. 5 is no longer used: it belonged to the circuit
// breaker.
const (
	AnswerVouched  Answer = 0 // the provider vouches for the person
	AnswerDown     Answer = 1 // unavailable, after an answer that vouched
	AnswerRejected Answer = 2 // rejected
	AnswerGone     Answer = 3 // no such entry or grant
	AnswerNever    Answer = 4 // the provider cannot revalidate
	AnswerLost     Answer = 6 // unavailable, after an answer that did not vouch
)

// outcome is the input of the state machine: the result of asking a provider.
type outcome int

const (
	outcomeUnavailable outcome = iota // the provider could not answer
	outcomeVouched                    // the provider vouches for the person
	outcomeRejected                   // rejected for now, such as by a temporary lock
	outcomeEnded                      // rejected for good: disabled, expired or locked
	outcomeGone                       // no such entry or grant
	outcomeNever                      // the provider cannot revalidate
)

// outcomeOf returns the outcome for an error of Revalidate. An unrecognized
// error is outcomeUnavailable.
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

// answer is an outcome and the data that came with it.
type answer struct {
	outcome      outcome
	stamp        string // empty where the provider shows none
	identity     *StoredIdentity
	tokenVersion int64 // the SignIn.TokenVersion that the provider was asked with
	rotated      bool  // the provider issued a new refresh token
}

// next is the transition of a sign-in at an answer. LastAsked becomes now and
// the lease is released; the other columns become
//
//	outcome      LastAnswer     LastVouched  GoneSince    PendingSince, PendingReason  Stamp, Version
//	vouched      Vouched        now          zero         stamp changed: now, stamp;   the answer's; an empty stamp keeps the old
//	                                                      an end: now, stamp;
//	                                                      else: same
//	rejected     Rejected       same         zero         same                         same
//	ended        Rejected       same         zero         now, ended; an end: same     same
//	gone         Gone           same         now if zero  gone for grace: now, gone;   same
//	                                                      an end: same; else: same
//	never        Never          same         same         same                         same
//	unavailable  Down, or Lost  same         same         same                         same
//
// Unavailable becomes Down after Vouched, Down and Never, and Lost after any
// other LastAnswer: grace is only for persons whom the provider last vouched
// for. Only an answer that vouches, or a login, clears a pending end of all
// sessions; the end of the sessions with another stamp stays pending, even if
// there are none. TokenVersion grows by one with a new refresh token.
//
// An answer to a token other than the stored one is void: a login has replaced
// that token since. Only the lease changes, so that a refusal of the old token
// ends nothing.
func next(s SignIn, a answer, grace time.Duration, now time.Time) SignIn {
	s.LeaseUntil = time.Time{}
	if a.tokenVersion != s.TokenVersion {
		return s
	}
	s.LastAsked = now
	if a.rotated {
		s.TokenVersion++
	}
	switch a.outcome {
	case outcomeVouched:
		if s.ends() || stampChanged(s.Stamp, a.stamp) {
			s.PendingSince, s.PendingReason = now, ReasonStamp
		}
		s.LastAnswer, s.LastVouched, s.GoneSince = AnswerVouched, now, time.Time{}
		if a.stamp != "" {
			s.Stamp = a.stamp
		}
		if a.identity != nil {
			s.Version = a.identity.Version
		}
	case outcomeRejected:
		s.LastAnswer, s.GoneSince = AnswerRejected, time.Time{}
	case outcomeEnded:
		s.LastAnswer, s.GoneSince = AnswerRejected, time.Time{}
		s.endAt(now, ReasonEnded)
	case outcomeGone:
		s.LastAnswer = AnswerGone
		if s.GoneSince.IsZero() {
			s.GoneSince = now
		}
		if !now.Before(s.GoneSince.Add(grace)) {
			s.endAt(now, ReasonGone)
		}
	case outcomeNever:
		s.LastAnswer = AnswerNever
	default:
		switch s.LastAnswer {
		case AnswerVouched, AnswerDown, AnswerNever:
			s.LastAnswer = AnswerDown
		default:
			s.LastAnswer = AnswerLost
		}
	}
	return s
}

// endAt makes an end of all sessions pending, unless one is pending already.
func (s *SignIn) endAt(now time.Time, reason Reason) {
	if !s.ends() {
		s.PendingSince, s.PendingReason = now, reason
	}
}

// loggedIn is the transition of a sign-in at a login. The answer a is vouched,
// and counts whichever token is stored. Unlike [next] it does not release the
// lease, whose holder is still asking. The columns become
//
//	now                 LastAnswer  LastAsked, LastVouched  GoneSince  Pending…, Stamp, Version  LeaseUntil  TokenVersion
//	before LastVouched  same        same                    same       same                      same        one more, with a new refresh token
//	otherwise           Vouched     now                     zero       as in next                same        as in next
//
// The first login of a sign-in starts from the zero SignIn.
func loggedIn(s SignIn, a answer, now time.Time) SignIn {
	if now.Before(s.LastVouched) { // the provider has vouched after this login
		if a.rotated {
			s.TokenVersion++
		}
		return s
	}
	lease := s.LeaseUntil
	a.tokenVersion = s.TokenVersion
	s = next(s, a, 0, now)
	s.LeaseUntil = lease
	return s
}

// stampChanged compares the stamp of a sign-in with the stamp of an answer. A
// missing stamp is no change: the provider may have lost the right to read an
// attribute. A stamp made of other attributes is no change either, and is
// adopted.
func stampChanged(then, now string) bool {
	return then != "" && now != "" && then != now && providers.SameAttributes(then, now)
}

// Adopts returns the stamps of sessions that are replaced with the sign-in's
// new one where s becomes is: the empty stamp, or the old one if it was made of
// other attributes. Otherwise a session from before an entry showed a stamp, or
// before other attributes were configured, would survive every later change. A
// session whose stamp already differs stays refused.
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

// voidRefusal applies the circuit breaker to a sign-in: a refusal that was
// answered at or before doubtedUntil is void. Then the person is neither gone
// nor ended, and the last answer is Lost. It reports whether there was such a
// refusal.
func voidRefusal(s SignIn, doubtedUntil time.Time) (_ SignIn, void bool) {
	if !s.refuses() || s.LastAsked.After(doubtedUntil) {
		return s, false
	}
	if s.ends() {
		s.PendingSince, s.PendingReason = time.Time{}, ""
	}
	s.LastAnswer, s.GoneSince = AnswerLost, time.Time{}
	return s, true
}

// newlyEnded reports whether an answer ended a person, for the circuit breaker
// to count: the person is newly gone, or an end is newly pending. before is the
// sign-in without void refusals, after the one that the answer made of it.
func newlyEnded(before, after SignIn) bool {
	return after.ends() && !before.ends() || !after.GoneSince.IsZero() && before.GoneSince.IsZero()
}

// signInStatus is what a redemption does in a state of the sign-in.
type signInStatus int

const (
	statusFresh    signInStatus = iota // redeem
	statusStale                        // redeem, and revalidate in the background
	statusDue                          // revalidate first
	statusRejected                     // refuse: the provider rejects the person for now
	statusGone                         // refuse: the provider has no such person
	statusEnding                       // refuse: an end of the sessions is pending
	statusDown                         // unavailable: the provider is down, and the grace is over
	statusDoubted                      // unavailable: the circuit breaker is open
)

// retryAfter is the retry interval of revalidations after the provider refused
// the person or was unavailable; see also retryInterval.
const retryAfter = 30 * time.Second

// retryInterval is the backoff of revalidations during an outage that grace forgives:
// a quarter of how long the provider has not vouched, at least retryAfter and at most
// cfg.Revalidate. With retryAfter alone a provider that limits the rate of requests
// (429) would get ten times as many as it refuses.
func retryInterval(s *SignIn, cfg *Config) time.Duration {
	return min(max(retryAfter, s.LastAsked.Sub(s.LastVouched)/4), cfg.Revalidate)
}

// status returns what a redemption that began at a time before now does in a
// state. A refusal answered at or before doubtedUntil is void.
//
//	state                recent    older
//	Vouched, Never       fresh     due
//	Down, within grace   fresh     stale
//	Down, grace over     down      due
//	Lost                 down      due
//	Rejected             rejected  due
//	Gone                 gone      due
//	an end is pending    ending    due
//	any void refusal     doubted   due
//
// A void refusal is due as well once the circuit breaker has closed. Vouched
// and Never are recent for cfg.Revalidate, Down within grace for retryInterval,
// any other state for retryAfter, or cfg.Revalidate if that is less. An answer
// that arrived after the request began is recent too, however long it took. The
// grace of Down ends cfg.Grace after the revalidation was due; a person who is
// gone has none.
func status(s *SignIn, cfg *Config, doubtedUntil, began, now time.Time) signInStatus {
	_, void := voidRefusal(*s, doubtedUntil)
	inGrace := s.LastAnswer == AnswerDown && s.GoneSince.IsZero() && !s.ends() && now.Before(s.LastVouched.Add(cfg.Revalidate+cfg.Grace))
	window := min(retryAfter, cfg.Revalidate)
	switch {
	case !s.ends() && (s.LastAnswer == AnswerVouched || s.LastAnswer == AnswerNever):
		window = cfg.Revalidate
	case inGrace:
		window = retryInterval(s, cfg)
	}
	recent := now.Before(s.LastAsked.Add(window)) || !s.LastAsked.Before(began)
	switch {
	case void && recent && !now.After(doubtedUntil):
		return statusDoubted
	case void:
		return statusDue
	case inGrace && !recent:
		return statusStale
	case !recent:
		return statusDue
	case s.ends():
		return statusEnding
	case inGrace, s.LastAnswer == AnswerVouched, s.LastAnswer == AnswerNever:
		return statusFresh
	case s.LastAnswer == AnswerRejected:
		return statusRejected
	case s.LastAnswer == AnswerGone:
		return statusGone
	}
	return statusDown
}

// err returns the error of a status that refuses or is unavailable.
func (s signInStatus) err(provider string, reason Reason) error {
	of := func(err error) error { return &providers.Failure{Provider: provider, Err: err} }
	switch s {
	case statusRejected:
		return of(refused("it does not let the person in at present"))
	case statusGone:
		return of(refused("the person or grant is gone"))
	case statusEnding:
		return of(refused("it refuses the person for good: " + string(reason)))
	case statusDoubted:
		return unavailable(of(errors.New("circuit open: it refuses too many people")))
	}
	return unavailable(of(errors.New("it cannot tell about the person")))
}

// finalDelay is how long an end of sessions is pending before a sweep makes it
// final.
const finalDelay = 15 * time.Minute

// final returns the sessions that a pending end ends, once it has been pending
// for finalDelay. decided is false where the refusal was answered at or before
// doubtedUntil, and so is void.
func (p *PendingEnd) final(doubtedUntil time.Time) (tokens []Hash, decided bool) {
	if _, void := voidRefusal(p.SignIn, doubtedUntil); void {
		return nil, false
	}
	for _, one := range p.Sessions {
		if p.SignIn.ends() || otherStamp(one.Stamp, p.SignIn.Stamp) {
			tokens = append(tokens, one.Hash)
		}
	}
	return tokens, true
}

// otherStamp compares the stamp of a session with the stamp of its sign-in. A
// missing stamp is equal to any.
func otherStamp(then, now string) bool { return then != "" && now != "" && then != now }
