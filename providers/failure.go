package providers

import (
	"errors"
	"fmt"

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

// RotatedError is an error of [Revalidator.Revalidate] that came after the
// provider had put a new Renewal in the place of the one it was asked with.
// The new one must be kept all the same: the old one is used up, and a provider
// that rotates takes its second use for a theft and ends the grant. What kind of
// error it is, Err says.
type RotatedError struct {
	Renewal secret.Text
	Err     error
}

func (e *RotatedError) Error() string { return e.Err.Error() }
func (e *RotatedError) Unwrap() error { return e.Err }

// classify makes an error one of the kinds that the chain's callers know. It is
// deferred at each exit of the chain and nowhere else. A secret that the throttle
// refused is rejected, as it was the first time. An unrecognized error, a
// provider's or the chain's own, is unavailable: a person must not hear that a
// right password is wrong because a directory is down.
func classify(err *error) {
	_, wait := errors.AsType[*throttle.RetryAfter](*err)
	switch {
	case errors.Is(*err, throttle.ErrRefused):
		*err = fmt.Errorf("%w: %w", *err, ErrRejected)
	case !wait && isUnrecognized(*err):
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
