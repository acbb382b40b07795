package providers

import (
	"errors"
	"fmt"
	"strings"
)

// Severity is how much a [Finding] matters.
type Severity string

// The severities of a finding.
const (
	SeverityInfo    Severity = "info"
	SeverityWarning Severity = "warning" // something does not work, or will stop to work
	SeverityFault   Severity = "fault"   // logins fail for all, or do harm: check --live exits 1
)

// Finding is one result of a health check.
type Finding struct {
	Severity Severity `json:"severity"`
	Key      string   `json:"key,omitempty"` // the key to change, as in the provider's table: "users.base"; "" for none
	Text     string   `json:"text"`
}

// Infof returns a finding that asks for no change.
func Infof(format string, args ...any) Finding {
	return Finding{SeverityInfo, "", fmt.Sprintf(format, args...)}
}

// Warningf returns a warning, with the configuration key to change, "" for none.
func Warningf(key, format string, args ...any) Finding {
	return Finding{SeverityWarning, key, fmt.Sprintf(format, args...)}
}

// Faultf returns a fault, with the configuration key to change, "" for none.
func Faultf(key, format string, args ...any) Finding {
	return Finding{SeverityFault, key, fmt.Sprintf(format, args...)}
}

// String returns the finding as check prints it: "warning (users.stamp): …".
func (f Finding) String() string {
	switch {
	case f.Severity == SeverityInfo:
		return f.Text
	case f.Key == "":
		return fmt.Sprintf("%s: %s", f.Severity, f.Text)
	}
	return fmt.Sprintf("%s (%s): %s", f.Severity, f.Key, f.Text)
}

// Findings are the results of a health check, in the order in which they are printed.
type Findings []Finding

// String returns the findings, one a line.
func (f Findings) String() string {
	lines := make([]string, len(f))
	for i, finding := range f {
		lines[i] = finding.String()
	}
	return strings.Join(lines, "\n")
}

// Faults returns the findings of [SeverityFault].
func (f Findings) Faults() Findings {
	var faults Findings
	for _, finding := range f {
		if finding.Severity == SeverityFault {
			faults = append(faults, finding)
		}
	}
	return faults
}

// keyError is an error with the configuration key that cures it.
type keyError struct {
	key string
	err error
}

func (e *keyError) Error() string { return e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// WithKey returns err with the configuration key to change, as in the provider's table.
// The text of the error does not change.
func WithKey(key string, err error) error { return &keyError{key, err} }

// KeyOf returns the key that [WithKey] gave to err, the outermost of several, "" for none.
func KeyOf(err error) string {
	if e, ok := errors.AsType[*keyError](err); ok {
		return e.key
	}
	return ""
}
