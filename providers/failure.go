package providers

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"shorepass/internal/secret"
	"shorepass/throttle"
)

// Failure is an error of one provider, with the provider's name. One that wraps
// [ErrUnavailable] need not be logged again: the chain logs when a provider stops to
// answer and when it answers again.
type Failure struct {
	Provider string
	Err      error
}

func (f *Failure) Error() string { return fmt.Sprintf("provider %s: %v", f.Provider, f.Err) }
func (f *Failure) Unwrap() error { return f.Err }

// NameOf returns the name of the provider that an error comes from, or "" if none was asked.
func NameOf(err error) string {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f.Provider
	}
	return ""
}

// Reason says why a credential was rejected. The throttle settles an attempt by
// it, and the audit line names it.
type Reason string

// The reasons of a rejection; there are no others.
const (
	WrongPassword   Reason = "wrong password"
	Unknown         Reason = "no such account"
	Ambiguous       Reason = "several accounts"
	Disabled        Reason = "disabled"
	Expired         Reason = "expired" // the account or its password
	Locked          Reason = "locked"
	MustChange      Reason = "must change the password"
	RefusedByConfig Reason = "refused by the configuration" // require_groups, a claim that is missing

	// The next two are as good as WrongPassword to the throttle.

	Gone        Reason = "account or grant is gone" // an [ErrGone]
	Unspecified Reason = "no reason given"          // a rejection of another kind, such as an OpenID provider's
)

// RejectedError is an [ErrRejected] with its reason.
type RejectedError struct {
	Reason Reason
	Err    error // the finding, for the log
}

// Reject returns an error that wraps ErrRejected, with its reason and the finding.
func Reject(reason Reason, err error) error { return &RejectedError{reason, err} }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("%v: %v: %s", e.Err, ErrRejected, e.Reason)
}
func (e *RejectedError) Unwrap() []error { return []error{ErrRejected, e.Err} }

// ReasonOf returns the reason of a rejection: [Gone] or [Unspecified] where it is no
// [RejectedError].
func ReasonOf(err error) Reason {
	r, ok := errors.AsType[*RejectedError](err)
	switch {
	case ok:
		return r.Reason
	case errors.Is(err, ErrGone):
		return Gone
	}
	return Unspecified
}

// reasons has all reasons.
var reasons = []Reason{WrongPassword, Unknown, Ambiguous, Disabled, Expired, Locked, MustChange, RefusedByConfig, Gone, Unspecified}

// maxDetail bounds the text of an error in the cause of a refusal, in bytes.
const maxDetail = 200

// causeOf returns the cause of a rejection for the throttle: the reason, and the text of the
// error without the reason, which may name the account. It is zero for an error of another
// kind. [repeatRejection] reads it.
func causeOf(err error) throttle.Cause {
	if err == nil || isUnrecognized(err) {
		return throttle.Cause{}
	}
	reason := ReasonOf(err)
	text := strings.TrimSuffix(err.Error(), ": "+string(reason))
	text = strings.TrimSuffix(text, ": "+ErrRejected.Error())
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "")
	}
	return throttle.Cause{Reason: string(reason), Detail: text}
}

// repeatRejection returns the rejection of a cause, for a credential that is refused from a
// cache. The detail, where the cache has one, names the provider.
func repeatRejection(cause throttle.Cause) error {
	reason := WrongPassword
	if i := slices.Index(reasons, Reason(cause.Reason)); i >= 0 {
		reason = reasons[i]
	}
	if cause.Detail == "" {
		return Reject(reason, errors.New("refused before"))
	}
	return Reject(reason, fmt.Errorf("refused before: %s", cause.Detail))
}

// asRejection turns a [*throttle.Refused] into the rejection that it repeats.
func asRejection(err error) error {
	if refused, ok := errors.AsType[*throttle.Refused](err); ok {
		return repeatRejection(refused.Cause)
	}
	return err
}

// notCountedError is an error that [NotCounted] wrapped.
type notCountedError struct{ err error }

func (e notCountedError) Error() string { return e.err.Error() }
func (e notCountedError) Unwrap() error { return e.err }

// NotCounted wraps an error that means unavailable, and says that the provider counted no
// wrong secret: the secret was not sent or not checked, the probe right after it failed
// too, or the provider accepted it and failed later.
func NotCounted(err error) error { return notCountedError{err} }

// MayBeCounted reports whether the provider may have counted a wrong secret although no
// answer came: err does not come from [NotCounted].
func MayBeCounted(err error) bool {
	_, notCounted := errors.AsType[notCountedError](err)
	return !notCounted
}

// someError is an error that [SomeAccounts] wrapped.
type someError struct{ err error }

func (e someError) Error() string { return e.err.Error() }
func (e someError) Unwrap() error { return e.err }

// SomeAccounts wraps an error that means unavailable, and says that it concerns some
// accounts alone, so that it tells nothing about the provider's health. The provider logs
// it itself.
func SomeAccounts(err error) error { return someError{err} }

// isOfSomeAccounts reports whether err comes from [SomeAccounts].
func isOfSomeAccounts(err error) bool {
	_, some := errors.AsType[someError](err)
	return some
}

// RotatedError is an error of [Revalidator.Revalidate] after the provider has replaced
// the RefreshToken with which it was asked. The new one must be stored even so: the old
// one is used up, and a provider that rotates tokens takes a second use for theft and
// ends the grant. Err tells the kind of the error.
type RotatedError struct {
	RefreshToken secret.Text
	Err          error
}

func (e *RotatedError) Error() string { return e.Err.Error() }
func (e *RotatedError) Unwrap() error { return e.Err }

// classify turns an error into one of the kinds that the chain's callers know. Only the
// exits of the chain defer it. An unrecognized error, of a provider or of the chain,
// means unavailable: a right password must not be answered as wrong because a directory
// is down.
func classify(err *error) {
	_, wait := errors.AsType[*throttle.RetryAfter](*err)
	_, refused := errors.AsType[*AuthorizationError](*err)
	if !wait && !refused && isUnrecognized(*err) {
		*err = fmt.Errorf("%w: %w", ErrUnavailable, *err)
	}
}

// isUnrecognized reports whether an error is of none of the known kinds, and so means
// unavailable.
func isUnrecognized(err error) bool {
	if err == nil {
		return false
	}
	for _, known := range []error{ErrNotMine, ErrRejected, ErrGone, ErrCannotRevalidate} {
		if errors.Is(err, known) {
			return false
		}
	}
	return true
}
