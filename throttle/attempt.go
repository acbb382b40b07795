package throttle

import "context"

// Attempt is one login, from its guess to the answer. It belongs to one
// goroutine.
type Attempt struct {
	t *Throttle
}

// Account is an account that a provider found under the login name.
type Account struct {
	// Provider and Subject are what the account window belongs to. Where
	// Subject is empty it is the provider's for the login name.
	Provider, Subject string

	// State is a hash of what the provider shows of the account's state. A
	// wrong password is asked about again once it differs; the empty one never
	// does.
	State string

	// Limit is the limit of the account window.
	Limit Limit
}

// Verdict says what to do with a password for which an entry was reserved.
type Verdict int

const (
	// Ask has the provider prove the password, and the caller then settles the
	// attempt.
	Ask Verdict = iota + 1

	// Repeat answers as a wrong password, in the time of one, without asking:
	// an equal password was refused, for the reason in the [Answer].
	Repeat

	// Full answers as a wrong password, in the time of one, without asking:
	// the account window has no room.
	Full
)

// Answer is the verdict on an attempt. One of Repeat and of Full is settled
// already.
type Answer struct {
	Verdict Verdict
	Reason  string // of Repeat: that of the first refusal
}

// Outcome is what became of a password.
type Outcome int

const (
	Proved         Outcome = iota + 1 // 200
	ProvedRefused                     // 401: right, and refused by our own rules
	Wrong                             // 401: a wrong password
	OtherRefusal                      // 401: refused for another reason, such as a lock
	Unknown                           // 401: no provider has the name, or several accounts have it
	NotSent                           // 503: the password has not reached the provider
	MayHaveArrived                    // 503: it may have
)

// Reserve takes an entry for the password in the windows of the name and of the
// account, in one transaction, unless an equal one is in the account's: that
// one's answer it waits for where it is being proved now. The error is a
// [*RetryAfter], [ErrUnanswered], or one of ctx.
func (a *Attempt) Reserve(ctx context.Context, account Account) (Answer, error) {
	return Answer{Verdict: Ask}, nil
}

// ReserveName takes an entry in the window of the name alone, for a name that no
// provider has, that several accounts have, or whose account is refused at
// sight. The error is a [*RetryAfter], or one of ctx.
func (a *Attempt) ReserveName(ctx context.Context) error { return nil }

// Settle writes what became of the password, after it has returned. Reason goes
// with a refusal: an equal password that is refused without asking hears it
// again. An attempt that ends without it counts as MayHaveArrived.
func (a *Attempt) Settle(o Outcome, reason string) {}

// End ends the attempt, settled or not. It may be called again.
func (a *Attempt) End() {}
