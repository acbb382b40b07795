package providers

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"shorepass/internal/secret"
	"shorepass/throttle"
)

// Failure is an error of one provider, with the provider's name. Where it is an
// [ErrUnavailable] as well, the log has it already: the chain logs when a
// provider stops and when it begins again to answer.
type Failure struct {
	Provider string
	Err      error
}

func (f *Failure) Error() string { return fmt.Sprintf("provider %s: %v", f.Provider, f.Err) }
func (f *Failure) Unwrap() error { return f.Err }

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
)

// RejectedError is an [ErrRejected] with its reason.
type RejectedError struct {
	Reason Reason
	Err    error // what was found, for the log
}

// Reject returns an error that wraps ErrRejected, for a reason, with what was
// found in err.
func Reject(reason Reason, err error) error { return &RejectedError{reason, err} }

func (e *RejectedError) Error() string {
	return fmt.Sprintf("%v: %v: %s", e.Err, ErrRejected, e.Reason)
}
func (e *RejectedError) Unwrap() []error { return []error{ErrRejected, e.Err} }

// ReasonOf returns the reason of a rejection: [WrongPassword] where it has none.
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*RejectedError](err); ok {
		return r.Reason
	}
	return WrongPassword
}

// reasons are all of them.
var reasons = []Reason{WrongPassword, Unknown, Ambiguous, Disabled, Expired, Locked, MustChange, RefusedByConfig}

// maxDetail bounds what the throttle keeps of an error's text, in bytes.
const maxDetail = 200

// causeOf returns why a credential was rejected, as the throttle keeps it: the reason,
// and the text of the error, which may name the account. It is zero for an error of
// another kind. [repeatRejection] reads it.
func causeOf(err error) throttle.Cause {
	if err == nil || isUnrecognized(err) {
		return throttle.Cause{}
	}
	text := err.Error()
	if len(text) > maxDetail {
		text = strings.ToValidUTF8(text[:maxDetail], "")
	}
	return throttle.Cause{Reason: string(ReasonOf(err)), Detail: text}
}

// repeatRejection returns the rejection that causeOf was made of, for a credential that is
// refused from memory.
func repeatRejection(why throttle.Cause) error {
	reason := WrongPassword
	if i := slices.Index(reasons, Reason(why.Reason)); i >= 0 {
		reason = reasons[i]
	}
	if why.Detail == "" {
		return Reject(reason, errors.New("refused before"))
	}
	return Reject(reason, fmt.Errorf("refused before: %s", why.Detail))
}

// asRejection turns the throttle's [*throttle.Refused] into the rejection that
// it remembers.
func asRejection(err error) error {
	if refused, ok := errors.AsType[*throttle.Refused](err); ok {
		return repeatRejection(refused.Cause)
	}
	return err
}

// notSentError marks an error of a secret that never reached the provider.
type notSentError struct{ err error }

func (e notSentError) Error() string { return e.err.Error() }
func (e notSentError) Unwrap() error { return e.err }

// NotSent marks an error that means unavailable as one of a secret that did not
// reach the provider: it was not sent, or the provider's probe right after it
// failed too.
func NotSent(err error) error { return notSentError{err} }

// MayHaveArrived reports whether the secret may have reached the provider, and
// so been counted there, though no answer came. It is true of an error that
// [NotSent] has not marked.
func MayHaveArrived(err error) bool {
	_, notSent := errors.AsType[notSentError](err)
	return !notSent
}

// RotatedError is an error of [Revalidator.Revalidate] that came after the
// provider had put a new RefreshToken in the place of the one it was asked with.
// The new one must be kept all the same: the old one is used up, and a provider
// that rotates takes its second use for a theft and ends the grant. What kind of
// error it is, Err says.
type RotatedError struct {
	RefreshToken secret.Text
	Err          error
}

func (e *RotatedError) Error() string { return e.Err.Error() }
func (e *RotatedError) Unwrap() error { return e.Err }

// classify makes an error one of the kinds that the chain's callers know. It is
// deferred at each exit of the chain and nowhere else. An unrecognized error, a
// provider's or the chain's own, is unavailable: a person must not hear that a
// right password is wrong because a directory is down.
func classify(err *error) {
	if _, wait := errors.AsType[*throttle.RetryAfter](*err); !wait && isUnrecognized(*err) {
		*err = fmt.Errorf("%w: %w", ErrUnavailable, *err)
	}
}

// isUnrecognized reports whether an error is of none of the known kinds, and so
// means unavailable.
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
