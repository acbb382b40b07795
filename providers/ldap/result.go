package ldap

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	ldap "github.com/go-ldap/ldap/v3"
)

// resultError is an answer that is not success: a result code (RFC 4511, appendix
// A), and what the server wrote beside it where the request carried no secret.
// Nothing else of an answer gets any further: a server may repeat a password in the
// message, the DN and the referrals of the answer to a bind.
type resultError struct {
	code uint16
	text string // at most maxText bytes; "" of an answer to a bind
}

// maxDiagnostic bounds what is kept of a server's own words, in bytes.
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

// firstLocalCode is where the library's own codes begin that no server sends.
const firstLocalCode = ldap.ErrorNetwork

// toResultError makes a [*resultError] of the library's error, if that is a server's
// answer.
func toResultError(err error) error {
	if e, ok := errors.AsType[*ldap.Error](err); ok && e.ResultCode < firstLocalCode {
		return &resultError{e.ResultCode, truncated(e.Err.Error())}
	}
	return err
}

// truncated returns at most maxText bytes of a server's own words.
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
// connection is as good as before.
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

// busyOrUnavailable reports an answer that says something of the server and
// nothing of the request.
func busyOrUnavailable(err error) bool {
	return resultCode(err) == ldap.LDAPResultBusy || resultCode(err) == ldap.LDAPResultUnavailable
}

// hint says what to do about an answer that has to do with the connection.
func hint(err error) string {
	switch resultCode(err) {
	case ldap.LDAPResultStrongAuthRequired, ldap.LDAPResultConfidentialityRequired:
		return " (the server wants TLS: use ldaps or start_tls)"
	case ldap.LDAPResultReferral:
		return " (referrals are not followed: name the server itself in urls)"
	case ldap.LDAPResultSizeLimitExceeded, ldap.LDAPResultAdminLimitExceeded:
		return " (the server shows no more: raise its limits for the service account)"
	}
	return ""
}
