package ldap

import (
	"errors"
	"fmt"
	"regexp"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// bindResponse is a server's response to a bind (RFC 4511, section 4.2.2), in codes
// from our own tables. The server's text is dropped here: it may repeat the
// password.
type bindResponse struct {
	code       uint16     // the result code (RFC 4511, appendix A)
	diagnostic diagnostic // the vendor's own reason; zero if there is none
	mustChange bool       // success, but only to change the password
}

// diagnostic is a vendor's code for a refused bind, from the diagnostic message or
// the password policy control.
type diagnostic struct {
	code   string
	text   string
	reason providers.Reason // "" if it concerns the server
}

// sendBind sends a simple bind and returns the response, or why there is none. It
// refuses an empty name or password by itself: such a bind is anonymous or
// unauthenticated and succeeds (RFC 4513, section 5.1).
func sendBind(l *ldap.Conn, dn string, password secret.Text, policyControl bool) (bindResponse, error) {
	if dn == "" || password.IsZero() {
		return bindResponse{code: ldap.LDAPResultInvalidCredentials}, nil
	}
	var controls []ldap.Control
	if policyControl {
		controls = []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}
	}
	result, err := l.SimpleBind(ldap.NewSimpleBindRequest(dn, password.Reveal(), controls))
	if err != nil && !answered(toResultError(err)) {
		return bindResponse{}, err
	}
	return newBindResponse(result, err), nil
}

// newBindResponse reads the result code, the diagnostic and the controls.
func newBindResponse(result *ldap.SimpleBindResult, err error) bindResponse {
	r := bindResponse{}
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		r.code = e.ResultCode
		r.diagnostic = parseDiagnostic(e.ResultCode, e.Err.Error())
	}
	if result == nil {
		return r
	}
	policy, _ := ldap.FindControl(result.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	if policy != nil && policy.Error >= 0 && r.diagnostic == (diagnostic{}) && concernsAccount(r.code) {
		r.diagnostic = policyErrors[policy.Error]
	}
	r.mustChange = policy != nil && policy.Error == ldap.BeheraChangeAfterReset ||
		ldap.FindControl(result.Controls, ldap.ControlTypeVChuPasswordMustChange) != nil // 389 Directory Server's own
	return r
}

func (r bindResponse) String() string {
	if r.diagnostic == (diagnostic{}) {
		return resultName(r.code)
	}
	return fmt.Sprintf("%s, %s (%s)", resultName(r.code), r.diagnostic.text, r.diagnostic.code)
}

// err returns the response as an error, nil for success.
func (r bindResponse) err() error {
	if r.code == ldap.LDAPResultSuccess {
		return nil
	}
	result := &resultError{code: r.code}
	if wantsTLS(r.code) {
		return withCure(fmt.Errorf("bind: %w", result), useTLS)
	}
	return fmt.Errorf("bind: %w%s", result, hint(result))
}

// Forms of diagnostic messages: "80090308: LdapErr: DSID-0C090439, comment:
// AcceptSecurityContext error, data 52e, v4563" (Active Directory, Samba) and "NDS
// error: login lockout (-197)" (eDirectory).
var (
	windowsError = regexp.MustCompile(`^[0-9A-F]{8}: LdapErr: DSID-[0-9A-F]{1,16}, comment: AcceptSecurityContext error, data ([0-9a-f]{1,8}), v`)
	ndsError     = regexp.MustCompile(`^NDS error: [a-z ]{1,60}\((-[0-9]{1,5})\)`)
)

// parseDiagnostic finds the vendor's code in a diagnostic message. The message must
// begin as the vendor writes it, so that a password that the server repeats is not
// read as a code.
func parseDiagnostic(code uint16, text string) diagnostic {
	if !concernsAccount(code) {
		return diagnostic{}
	}
	if m := windowsError.FindStringSubmatch(text); m != nil {
		return windowsErrors[m[1]]
	}
	if m := ndsError.FindStringSubmatch(text); m != nil {
		return ndsErrors[m[1]]
	}
	return diagnostic{}
}

// diagnosticsByCode returns diagnostics by their codes, and puts prefix before the
// code in each.
func diagnosticsByCode(prefix string, diagnostics ...diagnostic) map[string]diagnostic {
	t := make(map[string]diagnostic, len(diagnostics))
	for _, d := range diagnostics {
		number := d.code
		d.code = prefix + number
		t[number] = d
	}
	return t
}

// windowsErrors are Windows error codes in hexadecimal ([MS-ERREF], section 2.2).
// Active Directory sends them only with the right password, except those for a wrong
// password, an unknown account, a lock, and the server.
var windowsErrors = diagnosticsByCode("data ",
	diagnostic{"52e", "wrong password", providers.WrongPassword},
	diagnostic{"525", "no such account", providers.Unknown},
	diagnostic{"52f", "account restriction", providers.Disabled},
	diagnostic{"530", "not allowed at this time", providers.Disabled},
	diagnostic{"531", "not allowed at this computer", providers.Disabled},
	diagnostic{"532", "password expired", providers.Expired},
	diagnostic{"533", "account disabled", providers.Disabled},
	diagnostic{"568", "too many group memberships", providers.Disabled},
	diagnostic{"701", "account expired", providers.Expired},
	diagnostic{"773", "must change the password", providers.MustChange},
	diagnostic{"775", "account locked", providers.Locked},
	diagnostic{"51f", "no domain controller to ask", ""},
)

// ndsErrors are error codes of eDirectory.
var ndsErrors = diagnosticsByCode("NDS ",
	diagnostic{"-669", "wrong password", providers.WrongPassword},
	diagnostic{"-601", "no such account", providers.Unknown},
	diagnostic{"-197", "account locked", providers.Locked},
	diagnostic{"-217", "too many logins", providers.Disabled},
	diagnostic{"-218", "not allowed at this time", providers.Disabled},
	diagnostic{"-219", "not allowed at this computer", providers.Disabled},
	diagnostic{"-220", "account disabled or expired", providers.Disabled},
	diagnostic{"-222", "password expired", providers.Expired},
	diagnostic{"-223", "password expired", providers.Expired},
)

// policyErrors are errors of the password policy control
// (draft-behera-ldap-password-policy-11, section 6.2).
var policyErrors = map[int8]diagnostic{
	ldap.BeheraPasswordExpired:  {"password policy", "password expired", providers.Expired},
	ldap.BeheraAccountLocked:    {"password policy", "account locked", providers.Locked},
	ldap.BeheraChangeAfterReset: {"password policy", "must change the password", providers.MustChange},
}

// accountCodes are the result codes that refuse an account or its password. They
// include every code that may answer a wrong password, which would not be counted
// otherwise. A code with two meanings has the reason that is not retried: a password
// that is retried every half minute locks an account if it is wrong.
//
// unwillingToPerform (53) is not among them; it needs a probe of the server (see
// errUnwilling). All other codes concern the server, the connection or the request,
// and not the account: 1 operationsError, 2 protocolError, 3 timeLimitExceeded, 7
// authMethodNotSupported, 8 strongerAuthRequired, 10 referral, 11
// adminLimitExceeded, 12 unavailableCriticalExtension, 13 confidentialityRequired,
// 14 saslBindInProgress, 51 busy, 52 unavailable, 54 loopDetect, 80 other, and those
// that are no result of a bind.
var accountCodes = map[uint16]providers.Reason{
	ldap.LDAPResultInvalidCredentials:          providers.WrongPassword, // 49
	ldap.LDAPResultInappropriateAuthentication: providers.WrongPassword, // 48: OpenLDAP, for an entry without a password
	ldap.LDAPResultNoSuchAttribute:             providers.WrongPassword, // 16: other servers, for the same
	ldap.LDAPResultInsufficientAccessRights:    providers.WrongPassword, // 50: an entry that no client may bind as
	ldap.LDAPResultConstraintViolation:         providers.Locked,        // 19: 389 Directory Server, after too many wrong passwords
	ldap.LDAPResultNoSuchObject:                providers.Unknown,       // 32: 389 Directory Server, for a missing entry
	ldap.LDAPResultAliasProblem:                providers.Unknown,       // 33
	ldap.LDAPResultInvalidDNSyntax:             providers.Unknown,       // 34: an odd name in a DN template
	ldap.LDAPResultAliasDereferencingProblem:   providers.Unknown,       // 36
	ldap.LDAPResultNamingViolation:             providers.Unknown,       // 64: as 34
}

// concernsAccount reports whether a result code may concern the account.
func concernsAccount(code uint16) bool {
	_, ofAccount := accountCodes[code]
	return ofAccount || code == ldap.LDAPResultUnwillingToPerform
}

// errUnwilling means that the server refuses to try the bind. 389 Directory Server
// answers so for a disabled account and eDirectory for a locked one, whatever the
// password; any server may also mean itself.
var errUnwilling = errors.New("the directory is unwilling to bind")

// bindError returns the error for the response to a person's bind: nil for the right
// password; an error that wraps ErrRejected; [errUnwilling]; or another error, which
// says nothing of the account.
func bindError(r bindResponse) error {
	reason, ofAccount := accountCodes[r.code]
	switch {
	case r.code == ldap.LDAPResultSuccess && r.mustChange:
		return providers.Reject(providers.MustChange, errors.New("must change the password (password policy)"))
	case r.code == ldap.LDAPResultSuccess:
		return nil
	case r.diagnostic.reason != "":
		return providers.Reject(r.diagnostic.reason, errors.New(r.String()))
	case r.diagnostic != (diagnostic{}):
		return fmt.Errorf("bind: %s", r)
	case ofAccount:
		return providers.Reject(reason, errors.New(r.String()))
	case r.code == ldap.LDAPResultUnwillingToPerform:
		return fmt.Errorf("%w: %s", errUnwilling, r)
	}
	return r.err()
}
