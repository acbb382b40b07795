package ldap

import (
	"context"
	"errors"
	"fmt"
	"regexp"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// try binds as dn with the person's password. Nil means that the password is
// right. The error wraps ErrRejected, or says why that cannot be told. It is
// sent once: a password that may have arrived is not sent again.
func (d *directory) try(ctx context.Context, dn string, password secret.Text) error {
	var answer *ldap.SimpleBindResult
	err := d.bind.do(ctx, false, func(l *ldap.Conn) (err error) {
		answer, err = d.simpleBind(l, dn, password)
		return err
	})
	return judge(answer, err)
}

// tryPersonal is try on a connection of its own, which may then be searched on
// as that person. The caller closes it; until then it counts as one of the
// connections for binds.
func (d *directory) tryPersonal(ctx context.Context, dn string, password secret.Text) (own personal, err error) {
	if err := d.bind.enter(ctx); err != nil {
		return personal{}, err
	}
	c, err := d.bind.take(ctx, true, make(map[*server]bool))
	if err != nil {
		d.bind.leave()
		return personal{}, err
	}
	own = personal{d, c}
	var answer *ldap.SimpleBindResult
	err = c.do(ctx, d.limit, func(l *ldap.Conn) (err error) {
		answer, err = d.simpleBind(l, dn, password)
		return err
	})
	w, unanswered := errors.AsType[*wireError](err)
	switch {
	case !unanswered:
		c.server.succeeded()
	case !over(ctx) || w.late:
		c.server.failed(err)
	}
	if err := judge(answer, err); err != nil {
		own.close()
		return personal{}, err
	}
	return own, nil
}

// errAnonymous guards against our own misuse: with an empty name or password a
// bind is anonymous and succeeds (RFC 4513, section 5.1).
var errAnonymous = errors.New("a bind with an empty name or password proves nothing")

func (d *directory) simpleBind(l *ldap.Conn, dn string, password secret.Text) (*ldap.SimpleBindResult, error) {
	if dn == "" || password.IsZero() {
		return nil, ldap.NewError(ldap.LDAPResultInvalidCredentials, errAnonymous)
	}
	var controls []ldap.Control
	if d.ppolicy {
		controls = []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}
	}
	return l.SimpleBind(ldap.NewSimpleBindRequest(dn, password.Reveal(), controls))
}

// judge says what the answer to a person's bind means (RFC 4511, section
// 4.2.2). Every answer that a wrong password can have must be ErrRejected, or
// it would not be counted.
func judge(answer *ldap.SimpleBindResult, err error) error {
	switch code(err) {
	case ldap.LDAPResultSuccess:
		if err != nil {
			return fmt.Errorf("bind: %w", err)
		}
		if mustChange(answer) {
			return fmt.Errorf("%w: must change the password (password policy)", providers.ErrRejected)
		}
		return nil
	case ldap.LDAPResultInvalidCredentials,
		ldap.LDAPResultNoSuchObject,                // 389 Directory Server, of an entry that is not there
		ldap.LDAPResultInappropriateAuthentication, // OpenLDAP, of an entry without a password
		ldap.LDAPResultConstraintViolation,         // 389 Directory Server, of an account with too many wrong passwords
		ldap.LDAPResultInvalidDNSyntax,             // of a DN template and an odd name
		ldap.LDAPResultNamingViolation:
		return fmt.Errorf("%w: %s", providers.ErrRejected, reason(answer, err))
	case ldap.LDAPResultUnwillingToPerform:
		// 389 Directory Server and FreeIPA say so of an account that is
		// disabled, whatever the password; others of themselves. The entry's
		// own flags tell which (see Provider.tryEntry).
		return fmt.Errorf("%w: %w", errUnwilling, err)
	}
	return fmt.Errorf("bind: %w%s", err, cure(err))
}

// errUnwilling is a bind that the server will not try.
var errUnwilling = errors.New("the directory is unwilling to bind")

// subCode finds Active Directory's own reason: "AcceptSecurityContext error,
// data 52e, v4563".
var subCode = regexp.MustCompile(`\bdata ([0-9a-f]+)\b`)

// subCodes are what it means: a Windows error code in hexadecimal ([MS-ERREF],
// section 2.2).
var subCodes = map[string]string{
	"525": "no such account",
	"52e": "wrong password",
	"52f": "account restriction",
	"530": "not allowed at this time",
	"531": "not allowed at this computer",
	"532": "password expired",
	"533": "account disabled",
	"568": "too many group memberships",
	"701": "account expired",
	"773": "must change the password",
	"775": "account locked",
}

// reason says, for the log, why a bind was refused.
func reason(answer *ldap.SimpleBindResult, err error) string {
	if m := subCode.FindStringSubmatch(err.Error()); m != nil {
		if why, known := subCodes[m[1]]; known {
			return fmt.Sprintf("%s (data %s)", why, m[1])
		}
	}
	why := ldap.LDAPResultCodeMap[code(err)]
	if why == "" {
		why = "refused"
	}
	if policy := policyReason(answer); policy != "" {
		why += ", " + policy
	}
	return fmt.Sprintf("%s (%d)", why, code(err))
}

// mustChange reports whether a bind succeeded for nothing but changing the
// password.
func mustChange(answer *ldap.SimpleBindResult) bool {
	if answer == nil {
		return false
	}
	// 389 Directory Server's own (draft-vchu-ldap-pwd-policy-00).
	if ldap.FindControl(answer.Controls, ldap.ControlTypeVChuPasswordMustChange) != nil {
		return true
	}
	control := policyOf(answer)
	return control != nil && control.Error == ldap.BeheraChangeAfterReset
}

// policyReason is what the password policy control says, or "".
func policyReason(answer *ldap.SimpleBindResult) string {
	if control := policyOf(answer); control != nil && control.Error >= 0 {
		return control.ErrorString
	}
	return ""
}

// policyOf returns the password policy control
// (draft-behera-ldap-password-policy-11, section 6.2), or nil.
func policyOf(answer *ldap.SimpleBindResult) *ldap.ControlBeheraPasswordPolicy {
	if answer == nil {
		return nil
	}
	control, _ := ldap.FindControl(answer.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	return control
}
