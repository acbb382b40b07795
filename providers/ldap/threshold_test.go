package ldap

import (
	"strings"
	"testing"
	"time"
)

// TestAdvise: check --live advises values that fit the lockout thresholds, and fails with
// values that do not.
func TestAdvise(t *testing.T) {
	const half = 30 * time.Minute
	domain := threshold{"DC=x", "lockOutObservationWindow", 5, half, true}
	for _, test := range []struct {
		name    string
		shown   []threshold
		guesses int
		window  time.Duration
		lines   string // in the findings
		fault   string // in the faults; "" for none
	}{
		{"fits", []threshold{domain}, 4, half, `locks an account at wrong password 5 within 30m`, ""},
		{"the lines to write", []threshold{domain}, 4, half, "wrong_passwords = 4\n  wrong_password_window = \"30m\"", ""},
		{"too many wrong passwords", []threshold{domain}, 5, half, "wrong_passwords = 4", "wrong_passwords is 5"},
		{"too short a window", []threshold{domain}, 4, 10 * time.Minute, "", `write wrong_password_window = "30m"`},
		{"too many, and too short a window", []threshold{domain}, 8, time.Minute, "", "write wrong_passwords = 4\nfault (wrong_password_window): wrong_password_window is 1m"},
		{"the advice has a maximum", []threshold{{"DC=x", "w", 50, 40 * time.Second, true}}, 4, half, "wrong_passwords = 8\n  wrong_password_window = \"40s\"", ""},
		{"the strictest of several", []threshold{domain, {"CN=strict", "w", 3, 2 * time.Hour, true}, {"CN=none", "w", 0, 0, false}}, 2, 2 * time.Hour, "wrong_passwords = 2\n  wrong_password_window = \"2h\"", ""},
		{"one of several is stricter", []threshold{domain, {"CN=strict", "w", 3, half, true}}, 4, half, "", "at wrong password 3: write wrong_passwords = 2"},
		{"none locks", []threshold{{"DC=x", "w", 0, 0, false}}, 8, time.Second, "no password policy that is shown locks accounts", ""},
		{"never resets", []threshold{{"cn=default", "pwdFailureCountInterval", 5, 0, false}}, 4, half, "", "cn=default: pwdFailureCountInterval is 0"},
		{"one of several never resets", []threshold{domain, {"cn=default", "pwdFailureCountInterval", 5, 0, false}}, 4, half, "wrong_passwords = 4", "pwdFailureCountInterval is 0"},
		{"locks at the first wrong password", []threshold{{"DC=x", "w", 1, half, true}}, 1, half, "", "at the first wrong password"},
		{"no policy is shown", nil, 4, half, "ask its administrator", ""},
	} {
		found := advise(test.shown, test.guesses, test.window)
		if all := found.String(); !strings.Contains(all, test.lines) {
			t.Errorf("%s: advise says\n%s\nwant %q", test.name, all, test.lines)
		}
		switch faults := found.Faults().String(); {
		case test.fault == "" && faults != "":
			t.Errorf("%s: advise = %s, want no fault", test.name, faults)
		case !strings.Contains(faults, test.fault):
			t.Errorf("%s: advise = %s, want the fault %q", test.name, faults, test.fault)
		}
	}
}

// TestThresholds: the lockout policies of each directory are read, in their units.
func TestThresholds(t *testing.T) {
	type values map[string]string
	for _, test := range []struct {
		name  string
		kind  policyKind
		entry values
		want  threshold
		shown bool
	}{
		{"Active Directory", domainKind, values{"lockoutthreshold": "5", "lockoutobservationwindow": "-18000000000"}, threshold{guesses: 5, window: 30 * time.Minute, resets: true}, true},
		{"Active Directory that does not lock", domainKind, values{"lockoutthreshold": "0", "lockoutobservationwindow": "-18000000000"}, threshold{window: 30 * time.Minute, resets: true}, true},
		{"Active Directory that never resets", domainKind, values{"lockoutthreshold": "5", "lockoutobservationwindow": "-9223372036854775808"}, threshold{guesses: 5}, true},
		{"a fine-grained policy", fineGrainedKind, values{"msds-lockoutthreshold": "3", "msds-lockoutobservationwindow": "-400000000"}, threshold{guesses: 3, window: 40 * time.Second, resets: true}, true},
		{"OpenLDAP", ppolicyKind, values{"pwdlockout": "TRUE", "pwdmaxfailure": "5", "pwdfailurecountinterval": "60"}, threshold{guesses: 5, window: time.Minute, resets: true}, true},
		{"OpenLDAP that never resets", ppolicyKind, values{"pwdlockout": "TRUE", "pwdmaxfailure": "5"}, threshold{guesses: 5}, true},
		{"OpenLDAP that does not lock", ppolicyKind, values{"pwdlockout": "FALSE", "pwdmaxfailure": "5"}, threshold{}, true},
		{"389 Directory Server", dsConfigKind, values{"passwordlockout": "on", "passwordmaxfailure": "3", "passwordresetfailurecount": "600"}, threshold{guesses: 3, window: 10 * time.Minute, resets: true}, true},
		{"389 Directory Server that does not lock", dsConfigKind, values{"passwordlockout": "off", "passwordmaxfailure": "3"}, threshold{}, true},
		{"FreeIPA", kerberosKind, values{"krbpwdmaxfailure": "6", "krbpwdfailurecountinterval": "60"}, threshold{guesses: 6, window: time.Minute, resets: true}, true},
		{"no attribute", domainKind, values{}, threshold{}, false},
		{"not a number", domainKind, values{"lockoutthreshold": "many"}, threshold{}, false},
	} {
		e := entry{attributes: map[string][][]byte{}}
		for name, value := range test.entry {
			e.attributes[name] = [][]byte{[]byte(value)}
		}
		got, shown := test.kind.threshold(e)
		got.attribute = ""
		if shown != test.shown || shown && got != test.want {
			t.Errorf("%s: threshold = %+v, %v, want %+v, %v", test.name, got, shown, test.want, test.shown)
		}
	}
}
