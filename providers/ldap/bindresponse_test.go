package ldap

import (
	"errors"
	"testing"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
)

// TestBindError: of the result codes of RFC 4511, appendix A, those that concern the
// account are rejections, which the throttle counts, and no others.
func TestBindError(t *testing.T) {
	want := map[uint16]providers.Reason{
		16: providers.WrongPassword, 48: providers.WrongPassword, 49: providers.WrongPassword, 50: providers.WrongPassword,
		19: providers.Locked,
		32: providers.Unknown, 33: providers.Unknown, 34: providers.Unknown, 36: providers.Unknown, 64: providers.Unknown,
	}
	ofServer := []uint16{1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 17, 18, 20, 21, 51, 52, 54, 65, 66, 67, 68, 69, 71, 80, 118, 122, 123, 199}
	if err := bindError(bindResponse{}); err != nil {
		t.Errorf("bindError of success = %v, want nil", err)
	}
	for code, reason := range want {
		if err := bindError(bindResponse{code: code}); !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != reason {
			t.Errorf("bindError of %s = %v, want ErrRejected: %s", resultName(code), err, reason)
		}
	}
	for _, code := range ofServer {
		if err := bindError(bindResponse{code: code}); err == nil || errors.Is(err, providers.ErrRejected) || errors.Is(err, errUnwilling) {
			t.Errorf("bindError of %s = %v, want an error that says nothing of the account", resultName(code), err)
		}
	}
	if err := bindError(bindResponse{code: 53}); !errors.Is(err, errUnwilling) || errors.Is(err, providers.ErrRejected) {
		t.Errorf("bindError of %s = %v, want %v", resultName(53), err, errUnwilling)
	}
}

// TestVendorCodes: a vendor's code in the diagnostic message gives the reason, and no
// other text in it does.
func TestVendorCodes(t *testing.T) {
	windows := func(data string) string {
		return "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data " + data + ", v1db1"
	}
	for _, test := range []struct {
		code uint16
		text string
		want providers.Reason
	}{
		{49, windows("52e"), providers.WrongPassword},
		{49, windows("525"), providers.Unknown},
		{49, windows("530"), providers.Disabled},
		{49, windows("532"), providers.Expired},
		{49, windows("533"), providers.Disabled},
		{49, windows("701"), providers.Expired},
		{49, windows("773"), providers.MustChange},
		{49, windows("775"), providers.Locked},
		{49, windows("999"), providers.WrongPassword},
		{49, "NDS error: failed authentication (-669)", providers.WrongPassword},
		{53, "NDS error: login lockout (-197)", providers.Locked},
		{53, "NDS error: bad login time or q halted (-218)", providers.Disabled},
		{49, "NDS error: password expired (-222)", providers.Expired},
		{49, "no user with the password " + windows("533"), providers.WrongPassword},
		{49, "wrong: data 533, ", providers.WrongPassword},
		{32, "", providers.Unknown},
	} {
		err := bindError(newBindResponse(nil, ldap.NewError(test.code, errors.New(test.text))))
		if !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != test.want {
			t.Errorf("result code %d with %q = %v, want ErrRejected: %s", test.code, test.text, err, test.want)
		}
	}
	for _, code := range []uint16{1, 51, 52, 80} {
		if err := bindError(newBindResponse(nil, ldap.NewError(code, errors.New(windows("533"))))); errors.Is(err, providers.ErrRejected) {
			t.Errorf("result code %d with a code for an account = %v, want an error that says nothing of the account", code, err)
		}
	}
}

// TestPasswordPolicyControl: an error in the password policy control gives the reason.
func TestPasswordPolicyControl(t *testing.T) {
	for _, test := range []struct {
		code  uint16
		error int8 // of the control
		want  providers.Reason
		right bool
	}{
		{49, ldap.BeheraAccountLocked, providers.Locked, false},
		{49, ldap.BeheraPasswordExpired, providers.Expired, false},
		{0, ldap.BeheraChangeAfterReset, providers.MustChange, false},
		{49, ldap.BeheraInsufficientPasswordQuality, providers.WrongPassword, false},
		{0, -1, "", true},
	} {
		control := ldap.NewControlBeheraPasswordPolicy()
		control.Error = test.error
		var err error
		if test.code != 0 {
			err = ldap.NewError(test.code, errors.New("no"))
		}
		err = bindError(newBindResponse(&ldap.SimpleBindResult{Controls: []ldap.Control{control}}, err))
		if test.right {
			if err != nil {
				t.Errorf("success = %v, want nil", err)
			}
			continue
		}
		if !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != test.want {
			t.Errorf("result code %d with error %d = %v, want ErrRejected: %s", test.code, test.error, err, test.want)
		}
	}
}
