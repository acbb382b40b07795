package ldap

import (
	"errors"
	"fmt"
	"regexp"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
)

// bindResponse is a server's answer to a bind, in codes of our own tables. The
// server's text beside them is dropped here: it may repeat the password.
type bindResponse struct {
	code       uint16     // of the result (RFC 4511, appendix A)
	diagnostic diagnostic // by the vendor's own number; zero where there is none
	mustChange bool       // success, for nothing but changing the password
}

// diagnostic is a vendor's number for why a bind was refused.
type diagnostic struct {
	code   string
	text   string
	reason providers.Reason // "" where it says something of the server
}

// sendBind binds, and returns the answer, or why there is none. An empty name or
// password is refused here: such a bind is anonymous and succeeds (RFC 4513, section
// 5.1).
func sendBind(l *ldap.Conn, dn string, password secret.Text, policyControl bool) (bindResponse, error) {
	if dn == "" || password.IsZero() {
		return bindResponse{code: ldap.LDAPResultInvalidCredentials}, nil
	}
	var controls []ldap.Control
	if policyControl {
		controls = []ldap.Control{ldap.NewControlBeheraPasswordPolicy()}
	}
	found, err := l.SimpleBind(ldap.NewSimpleBindRequest(dn, password.Reveal(), controls))
	if err != nil && !answered(toResultError(err)) {
		return bindResponse{}, err
	}
	return newBindResponse(found, err), nil
}

// newBindResponse reads the codes.
func newBindResponse(found *ldap.SimpleBindResult, err error) bindResponse {
	a := bindResponse{}
	if e, ok := errors.AsType[*ldap.Error](err); ok {
		a.code = e.ResultCode
		a.diagnostic = parseDiagnostic(e.ResultCode, e.Err.Error())
	}
	if found == nil {
		return a
	}
	policy, _ := ldap.FindControl(found.Controls, ldap.ControlTypeBeheraPasswordPolicy).(*ldap.ControlBeheraPasswordPolicy)
	if policy != nil && policy.Error >= 0 && a.diagnostic == (diagnostic{}) && concernsAccount(a.code) {
		a.diagnostic = policyErrors[policy.Error]
	}
	a.mustChange = policy != nil && policy.Error == ldap.BeheraChangeAfterReset ||
		ldap.FindControl(found.Controls, ldap.ControlTypeVChuPasswordMustChange) != nil // 389 Directory Server's own
	return a
}

func (a bindResponse) String() string {
	if a.diagnostic == (diagnostic{}) {
		return resultName(a.code)
	}
	return fmt.Sprintf("%s, %s (%s)", resultName(a.code), a.diagnostic.text, a.diagnostic.code)
}

// err returns the answer as an error, nil for success.
func (a bindResponse) err() error {
	if a.code == ldap.LDAPResultSuccess {
		return nil
	}
	result := &resultError{code: a.code}
	return fmt.Errorf("bind: %w%s", result, hint(result))
}

// The forms in which vendors write a number: "80090308: LdapErr: DSID-0C090439,
// comment: AcceptSecurityContext error, data 52e, v4563" (Active Directory, Samba)
// and "NDS error: login lockout (-197)" (eDirectory).
var (
	windowsError = regexp.MustCompile(`^[0-9A-F]{8}: LdapErr: DSID-[0-9A-F]{1,16}, comment: AcceptSecurityContext error, data ([0-9a-f]{1,8}), v`)
	ndsError     = regexp.MustCompile(`^NDS error: [a-z ]{1,60}\((-[0-9]{1,5})\)`)
)

// parseDiagnostic finds the vendor's number in what the server wrote. The text has to
// begin as the vendor writes it, so that no password that a server repeats is taken
// for one.
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

// diagnosticsByCode keys details by their numbers, which get a word before them.
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
// But for the first, the lock and those of the server, they come after the right
// password alone.
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

// ndsErrors are eDirectory's.
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

// policyErrors are those of the password policy control
// (draft-behera-ldap-password-policy-11, section 6.2).
var policyErrors = map[int8]diagnostic{
	ldap.BeheraPasswordExpired:  {"password policy", "password expired", providers.Expired},
	ldap.BeheraAccountLocked:    {"password policy", "account locked", providers.Locked},
	ldap.BeheraChangeAfterReset: {"password policy", "must change the password", providers.MustChange},
}

// accountCodes are the result codes by which a server refuses an account or its
// password. Every code that the answer to a wrong password can have is among them,
// or wrong passwords would not be counted. Where a code can mean either, it is the
// reason that is not asked about again: a password that is asked again every half
// minute locks an account, if it is a wrong one.
//
// Of the other codes, unwillingToPerform (53) needs a look at the server (see
// errUnwilling); all others say something of the server, the connection or the
// request, and nothing of the account: 1 operationsError, 2 protocolError, 3
// timeLimitExceeded, 7 authMethodNotSupported, 8 strongerAuthRequired, 10 referral,
// 11 adminLimitExceeded, 12 unavailableCriticalExtension, 13
// confidentialityRequired, 14 saslBindInProgress, 51 busy, 52 unavailable, 54
// loopDetect, 80 other, and those that no bind has.
var accountCodes = map[uint16]providers.Reason{
	ldap.LDAPResultInvalidCredentials:          providers.WrongPassword, // 49
	ldap.LDAPResultInappropriateAuthentication: providers.WrongPassword, // 48: OpenLDAP, of an entry without a password
	ldap.LDAPResultNoSuchAttribute:             providers.WrongPassword, // 16: the same at others
	ldap.LDAPResultInsufficientAccessRights:    providers.WrongPassword, // 50: an entry that may not be bound as
	ldap.LDAPResultConstraintViolation:         providers.Locked,        // 19: 389 Directory Server, after too many wrong passwords
	ldap.LDAPResultNoSuchObject:                providers.Unknown,       // 32: 389 Directory Server, of an entry that is not there
	ldap.LDAPResultAliasProblem:                providers.Unknown,       // 33
	ldap.LDAPResultInvalidDNSyntax:             providers.Unknown,       // 34: of a DN template and an odd name
	ldap.LDAPResultAliasDereferencingProblem:   providers.Unknown,       // 36
	ldap.LDAPResultNamingViolation:             providers.Unknown,       // 64: as 34
}

// concernsAccount reports whether a result code can be that of a refused account.
func concernsAccount(code uint16) bool {
	_, ofAccount := accountCodes[code]
	return ofAccount || code == ldap.LDAPResultUnwillingToPerform
}

// errUnwilling is a bind that the server will not try. 389 Directory Server says so
// of an account that is disabled and eDirectory of one that is locked, whatever the
// password; any server may say it of itself.
var errUnwilling = errors.New("the directory is unwilling to bind")

// bindError returns the error that the answer to a person's bind means: nil for the
// right password, one that wraps ErrRejected, [errUnwilling], or another, which
// says nothing of the account.
func bindError(a bindResponse) error {
	reason, ofAccount := accountCodes[a.code]
	switch {
	case a.code == ldap.LDAPResultSuccess && a.mustChange:
		return providers.Reject(providers.MustChange, errors.New("must change the password (password policy)"))
	case a.code == ldap.LDAPResultSuccess:
		return nil
	case a.diagnostic.reason != "":
		return providers.Reject(a.diagnostic.reason, errors.New(a.String()))
	case a.diagnostic != (diagnostic{}):
		return fmt.Errorf("bind: %s", a)
	case ofAccount:
		return providers.Reject(reason, errors.New(a.String()))
	case a.code == ldap.LDAPResultUnwillingToPerform:
		return fmt.Errorf("%w: %s", errUnwilling, a)
	}
	return a.err()
}
