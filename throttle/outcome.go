package throttle

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

// Answer is the verdict on an attempt. One of Repeat and of Full is settled as
// Unknown, once it has taken the time of a wrong password.
type Answer struct {
	Verdict Verdict
	Cause   Cause // of Repeat: that of the first refusal
}

// Cause says why a password was refused.
type Cause struct {
	Reason string // is in the store as it is, so it must not tell whose password it was
	Detail string // is in the memory of the process alone, and empty once that has forgotten it
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

// is401 reports whether a client hears of an outcome that its name or password
// is wrong, which counts for its address.
func (o Outcome) is401() bool {
	return o == ProvedRefused || o == Wrong || o == OtherRefusal || o == Unknown
}
