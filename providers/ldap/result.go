package ldap

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	ldap "github.com/go-ldap/ldap/v3"
)

// resultError is a response other than success: its result code (RFC 4511, appendix
// A), and the diagnostic message if the request carried no secret. The other fields
// are dropped: in the response to a bind the message, the matched DN and the
// referrals may repeat the password.
type resultError struct {
	code uint16
	text string // at most maxDiagnostic bytes; "" in the response to a bind
}

// maxDiagnostic bounds the part of a diagnostic message that is reported, in bytes.
const maxDiagnostic = 200

func (e *resultError) Error() string {
	if e.text == "" {
		return resultName(e.code)
	}
	return fmt.Sprintf("%s: %q", resultName(e.code), e.text)
}

// resultName writes a result code with its name: "Invalid Credentials (49)".
func resultName(code uint16) string {
	name := ldap.LDAPResultCodeMap[code]
	if name == "" || code >= firstLocalCode {
		name = "unknown result"
	}
	return fmt.Sprintf("%s (%d)", name, code)
}

// firstLocalCode is the first of the library's own codes, which no server sends.
const firstLocalCode = ldap.ErrorNetwork

// toResultError returns the library's error as a [*resultError] if it is a server's
// answer, else unchanged.
func toResultError(err error) error {
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.ResultCode < firstLocalCode {
		return &resultError{e.ResultCode, truncated(e.Err.Error())}
	}
	return err
}

// truncated returns at most maxDiagnostic bytes of a server's text.
func truncated(text string) string {
	if len(text) <= maxDiagnostic {
		return text
	}
	text = text[:maxDiagnostic]
	for !utf8.ValidString(text) && len(text) > maxDiagnostic-utf8.UTFMax {
		text = text[:len(text)-1]
	}
	return strings.Clone(text) + "…"
}

// answered reports whether an error is the server's answer, after which the
// connection remains usable.
func answered(err error) bool {
	_, ok := errors.AsType[*resultError](err)
	return ok
}

// resultCode returns the result code of a server's answer.
func resultCode(err error) uint16 {
	if e, ok := errors.AsType[*resultError](err); ok {
		return e.code
	}
	return ldap.LDAPResultSuccess
}

// busyOrUnavailable reports whether an answer concerns the server and not the
// request.
func busyOrUnavailable(err error) bool {
	return resultCode(err) == ldap.LDAPResultBusy || resultCode(err) == ldap.LDAPResultUnavailable
}

// cutShort reports whether an answer means that a limit of the server ended a search,
// whose result may lack entries.
func cutShort(err error) bool {
	switch resultCode(err) {
	case ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultAdminLimitExceeded, ldap.LDAPResultTimeLimitExceeded:
		return true
	}
	return false
}

// hint returns what to do about an answer that concerns a reference to another server or a
// limit, to be appended to the error.
func hint(err error) string {
	switch resultCode(err) {
	case ldap.LDAPResultReferral:
		return " (referrals are not followed: name the server itself in urls)"
	}
	if cutShort(err) {
		return " (the server shows no more: index the attributes of the filter, or raise the limits of the service account)"
	}
	return ""
}
