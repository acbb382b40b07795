package throttle

// Account is the account that a provider found for the login name.
type Account struct {
	// The account window belongs to Provider and Subject or, where Subject is empty,
	// to Provider and the login name.
	Provider, Subject string

	// State is a hash of the account's state as the provider shows it. A wrong
	// password is sent again once State differs. It is empty where the provider shows
	// none.
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

	// Repeat answers as a wrong password, in the time of one, without asking the
	// provider: an equal password was refused, for the reason in the [Answer].
	Repeat

	// Full answers as a wrong password, in the time of one, without asking the
	// provider: the account window has no room.
	Full
)

// Answer is the verdict on an attempt. The caller settles Repeat and Full as Unknown,
// after the time of a wrong password.
type Answer struct {
	Verdict Verdict
	Cause   Cause // of the first refusal, with Repeat
}

// Cause says why a password was refused.
type Cause struct {
	Reason string // stored in clear, so that it must not name the account
	Detail string // cached in the process alone, and empty once the cache has dropped it
}

// Outcome is the outcome of a password.
type Outcome int

const (
	Proved        Outcome = iota + 1 // 200
	ProvedRefused                    // 401: right, and refused by the configuration
	Wrong                            // 401: a wrong password
	OtherRefusal                     // 401: refused for another reason, such as a lock
	Unknown                          // 401: no provider has the name, or several accounts have it
	NotCounted                       // 503: the provider counted no wrong password, such as one that was not sent
	MayBeCounted                     // 503: no answer, and the provider may have counted a wrong password
)

// is401 reports whether the client gets 401, so that the outcome counts for its
// address.
func (o Outcome) is401() bool {
	return o == ProvedRefused || o == Wrong || o == OtherRefusal || o == Unknown
}
