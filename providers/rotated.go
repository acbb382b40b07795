package providers

import "shorepass/internal/secret"

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
