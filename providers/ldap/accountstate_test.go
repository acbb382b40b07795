package ldap

import (
	"strings"
	"testing"
)

// TestAccountState: State changes with the stamp and the state attributes, and with
// nothing that a failed bind changes.
func TestAccountState(t *testing.T) {
	value := func(texts ...string) (values [][]byte) {
		for _, text := range texts {
			values = append(values, []byte(text))
		}
		return values
	}
	good := map[string]map[string]string{
		"openldap":        {"pwdchangedtime": "20260101000000Z"},
		"389ds":           {"pwdupdatetime": "20260101000000Z"},
		"freeipa":         {"krblastpwdchange": "20260101000000Z"},
		"activedirectory": {"useraccountcontrol": "512", "msds-user-account-control-computed": "0", "accountexpires": "0", "pwdlastset": "1"},
	}
	for _, test := range []struct {
		preset, attribute, value string
		changes                  bool
	}{
		{"openldap", "pwdChangedTime", "20260102000000Z", true},
		{"openldap", "pwdReset", "TRUE", true},
		{"openldap", "pwdAccountLockedTime", "000001010000Z", true},
		{"openldap", "pwdAccountLockedTime", "20260102000000Z", true},
		{"openldap", "pwdFailureTime", "20260102000000Z", false},
		{"openldap", "authTimestamp", "20260102000000Z", false},
		{"389ds", "passwordAllowChangeTime", "20260102000000Z", true}, // with passwordMinAge alone (C12)
		{"389ds", "shadowLastChange", "20460", true},
		{"389ds", "passwordExpWarned", "1", false},
		{"389ds", "nsAccountLock", "true", true},
		{"389ds", "accountUnlockTime", "20260102000000Z", true},
		{"389ds", "passwordRetryCount", "2", false},
		{"freeipa", "krbPrincipalExpiration", "20260102000000Z", true},
		{"freeipa", "krbLoginFailedCount", "2", false},
		{"freeipa", "krbLastFailedAuth", "20260102000000Z", false},
		{"activedirectory", "pwdLastSet", "2", true},
		{"activedirectory", "userAccountControl", "514", true},
		{"activedirectory", "msDS-User-Account-Control-Computed", "16", true}, // locked
		{"activedirectory", "badPwdCount", "2", false},
		{"activedirectory", "badPasswordTime", "2", false},
		{"activedirectory", "lockoutTime", "0", false},
	} {
		p := &Provider{cfg: Config{Preset: test.preset}.WithDefaults()}
		before := entry{attributes: map[string][][]byte{}}
		for name, text := range good[test.preset] {
			before.attributes[name] = value(text)
		}
		state := p.stateOf(before)
		before.attributes[strings.ToLower(test.attribute)] = value(test.value)
		if changed := p.stateOf(before) != state; changed != test.changes {
			t.Errorf("%s: State changes with %s %s: %v, want %v", test.preset, test.attribute, test.value, changed, test.changes)
		}
	}
	p := &Provider{cfg: Config{Preset: "openldap"}.WithDefaults()}
	locked := func(at string) string {
		return p.stateOf(entry{attributes: map[string][][]byte{"pwdaccountlockedtime": value(at)}})
	}
	if locked("20260102000000Z") != locked("20260103000000Z") {
		t.Error("State changes with the time of a lock")
	}
	if locked("") == locked("20260102000000Z") {
		t.Error("State does not change when a lock is lifted")
	}
}
