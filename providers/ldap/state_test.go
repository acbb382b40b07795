package ldap

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/providers"
)

// entryOf returns an entry with these attributes, as "name", "value" pairs.
func entryOf(pairs ...string) entry {
	e := entry{dn: "uid=x", attributes: make(map[string][][]byte)}
	for i := 0; i < len(pairs); i += 2 {
		name := strings.ToLower(pairs[i])
		e.attributes[name] = append(e.attributes[name], []byte(pairs[i+1]))
	}
	return e
}

// stateOfKind returns the state attributes of Active Directory, or all others.
func stateOfKind(ad bool) []string {
	if ad {
		return adState
	}
	return slices.Concat(ppolicyState, shadowState, dsState, kerberosState)
}

// TestRestrictions: the state attributes of each directory restrict an account.
func TestRestrictions(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) // day 20780 since 1970
	for _, test := range []struct {
		name  string
		ad    bool
		pairs []string
		why   string // "" for no restriction, "?" for an error
		ended bool
	}{
		{"no attribute", false, nil, "", false},
		{"locked for good", false, []string{"pwdAccountLockedTime", "000001010000Z"}, "locked for good", true},
		{"locked for a time, which the bind enforces", false, []string{"pwdAccountLockedTime", "20261123115900Z"}, "", false},
		{"must change", false, []string{"pwdReset", "TRUE"}, "must change", false},
		{"need not change", false, []string{"pwdReset", "FALSE"}, "", false},
		{"before the start", false, []string{"pwdStartTime", "20261123120001Z"}, "not valid yet", true},
		{"at the start", false, []string{"pwdStartTime", "20261123120000Z"}, "", false},
		{"at the end", false, []string{"pwdEndTime", "20261123120000Z"}, "expired", true},
		{"before the end, with fraction and zone", false, []string{"pwdEndTime", "20261123140000.5+0200"}, "", false},
		{"at the end, with zone", false, []string{"pwdEndTime", "20261123140000+0200"}, "expired", true},
		{"malformed end", false, []string{"pwdEndTime", "soon"}, "?", false},
		{"disabled at 389", false, []string{"nsAccountLock", "true"}, "disabled", true},
		{"disabled at FreeIPA", false, []string{"nsAccountLock", "TRUE"}, "disabled", true},
		{"enabled", false, []string{"nsAccountLock", "FALSE"}, "", false},
		{"permanently locked at 389", false, []string{"accountUnlockTime", "19700101000000Z"}, "locked for good", true},
		{"locked for a time at 389", false, []string{"accountUnlockTime", "20261123130000Z"}, "", false},
		{"must change at 389", false, []string{"passwordExpirationTime", "19700101000000Z"}, "must change", false},
		{"kerberos expired", false, []string{"krbPrincipalExpiration", "20200101000000Z"}, "expired", true},
		{"kerberos not expired", false, []string{"krbPrincipalExpiration", "20300101000000Z"}, "", false},
		{"kerberos password expired", false, []string{"krbPasswordExpiration", "20200101000000Z"}, "password expired", false},
		{"shadow expired", false, []string{"shadowExpire", "20780"}, "expired", true},
		{"shadow expired on day 0, which is no limit (C4)", false, []string{"shadowExpire", "0"}, "", false},
		{"shadow not expired", false, []string{"shadowExpire", "20781"}, "", false},
		{"shadow never", false, []string{"shadowExpire", "-1"}, "", false},
		{"shadow malformed", false, []string{"shadowExpire", "never"}, "?", false},
		{"shadow must change", false, []string{"shadowLastChange", "0"}, "must change", false},
		{"shadow that lasts 0 days, which is no limit (C4)", false, []string{"shadowLastChange", "20000", "shadowMax", "0"}, "", false},
		{"shadow too old", false, []string{"shadowLastChange", "20000", "shadowMax", "90"}, "password expired", false},
		{"shadow young", false, []string{"shadowLastChange", "20700", "shadowMax", "90"}, "", false},
		{"shadow without a limit", false, []string{"shadowLastChange", "1"}, "", false},

		{"no restriction at AD", true, []string{"userAccountControl", "512", "accountExpires", "9223372036854775807", "msDS-User-Account-Control-Computed", "0"}, "", false},
		{"no attribute at AD", true, nil, "?", false},
		{"malformed at AD", true, []string{"userAccountControl", "x"}, "?", false},
		{"disabled at AD", true, []string{"userAccountControl", "514"}, "disabled", true},
		{"password that never expires at AD", true, []string{"userAccountControl", "66048"}, "", false},
		{"expired at AD", true, []string{"userAccountControl", "512", "accountExpires", "132000000000000000"}, "expired", true},
		{"never expires at AD", true, []string{"userAccountControl", "512", "accountExpires", "0"}, "", false},
		{"locked at AD, which the bind enforces", true, []string{"userAccountControl", "512", "msDS-User-Account-Control-Computed", "16"}, "", false},
		{"password expired at AD", true, []string{"userAccountControl", "512", "msDS-User-Account-Control-Computed", "8388608", "pwdLastSet", "132000000000000000"}, "password expired", false},
		{"must change at AD", true, []string{"userAccountControl", "512", "msDS-User-Account-Control-Computed", "8388608", "pwdLastSet", "0"}, "must change", false},
		{"attributes of other directories are ignored at AD", true, []string{"userAccountControl", "512", "nsAccountLock", "true"}, "", false},
	} {
		found, err := restrictionsOf(entryOf(test.pairs...), stateOfKind(test.ad), now)
		switch {
		case (err != nil) != (test.why == "?"):
			t.Errorf("%s: restrictionsOf = %v, %v, want %q", test.name, found, err, test.why)
		case test.why == "?":
		case len(found) == 0 && test.why == "":
		case len(found) != 1 || test.why == "" || !strings.HasPrefix(found[0].text, test.why) || found[0].endsSessions != test.ended:
			t.Errorf("%s: restrictionsOf = %v, want %q, ended %v", test.name, found, test.why, test.ended)
		}
	}
}

// TestStamp: the stamp changes with the password, and not with a lock.
func TestStamp(t *testing.T) {
	names := presets["openldap"].stamp
	before := stampOf(entryOf("pwdChangedTime", "20260101000000Z"), names)
	for _, test := range []struct {
		name  string
		pairs []string
		same  bool
	}{
		{"the same", []string{"pwdChangedTime", "20260101000000Z"}, true},
		{"a lock", []string{"pwdChangedTime", "20260101000000Z", "pwdAccountLockedTime", "20260101000000Z"}, true},
		{"another password", []string{"pwdChangedTime", "20260101000001Z"}, false},
		{"must change", []string{"pwdChangedTime", "20260101000000Z", "pwdReset", "TRUE"}, false},
		{"shown no more", nil, false},
	} {
		if got := stampOf(entryOf(test.pairs...), names); (got == before) != test.same {
			t.Errorf("%s: stamp = %q after %q, want the same: %v", test.name, got, before, test.same)
		}
	}
}

func TestGUID(t *testing.T) {
	// [MS-DTYP], section 2.3.4.
	raw, err := hex.DecodeString("33221100554477668899aabbccddeeff")
	if err != nil {
		t.Fatal(err)
	}
	const want = "00112233-4455-6677-8899-aabbccddeeff"
	if got, err := formatGUID(raw); got != want || err != nil {
		t.Errorf("formatGUID(%x) = %q, %v, want %q", raw, got, err, want)
	}
	filter, err := subjectFilter(want, attrGUID)
	if wantFilter := `(objectGUID=\33\22\11\00\55\44\77\66\88\99\aa\bb\cc\dd\ee\ff)`; filter != wantFilter || err != nil {
		t.Errorf("subjectFilter(%q) = %q, %v, want %q", want, filter, err, wantFilter)
	}
	for _, bad := range []string{"", "*", "00112233-4455-6677-8899-aabbccddeef", "001122334455-6677-8899-aabb-ccddeeff", "0011223344556677-8899-aabb-ccdd-eeff"} {
		if filter, err := subjectFilter(bad, attrGUID); err == nil {
			t.Errorf("subjectFilter(%q) = %q, want an error", bad, filter)
		}
	}
}

func FuzzGUID(f *testing.F) {
	f.Add("00112233-4455-6677-8899-aabbccddeeff")
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := parseGUID(text)
		if err != nil {
			return
		}
		if again, err := formatGUID(raw); err != nil || !strings.EqualFold(again, text) {
			t.Errorf("formatGUID(parseGUID(%q)) = %q, %v", text, again, err)
		}
	})
}

func TestSID(t *testing.T) {
	raw, err := hex.DecodeString("010500000000000515000000a065cf7e784b9b5fe77c8770091c0100")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := formatSID(raw), "S-1-5-21-2127521184-1604012920-1887927527-72713"; got != want {
		t.Errorf("formatSID(%x) = %q, want %q", raw, got, want)
	}
	for _, bad := range [][]byte{nil, {1}, {1, 5, 0, 0, 0, 0, 0, 5, 21}} {
		if got := formatSID(bad); got != "" {
			t.Errorf("formatSID(%x) = %q, want none", bad, got)
		}
	}
	primary, err := primarySID(entryOf(attrSID, string(raw), attrPrimaryGroup, "513"))
	if got, want := formatSID(primary), "S-1-5-21-2127521184-1604012920-1887927527-513"; got != want || err != nil {
		t.Errorf("primarySID = %q, %v, want %q", got, err, want)
	}
}

func TestParseRange(t *testing.T) {
	for _, test := range []struct {
		name, base string
		upper      int
		ok         bool
	}{
		{"member;range=0-1499", "member", 1499, true},
		{"member;range=1500-*", "member", -1, true},
		{"member", "", 0, false},
		{"member;binary", "", 0, false},
		{"member;range=0", "", 0, false},
		{"member;range=0-x", "member", 0, false},
		{"member;range=0--1", "member", -1, false},
	} {
		base, upper, ok := parseRange(test.name)
		if ok != test.ok || ok && (base != test.base || upper != test.upper) {
			t.Errorf("parseRange(%q) = %q, %d, %v, want %q, %d, %v", test.name, base, upper, ok, test.base, test.upper, test.ok)
		}
	}
}

// TestRestrictionReasons: each restriction has its reason.
func TestRestrictionReasons(t *testing.T) {
	now := time.Date(2026, time.June, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		attribute, value string
		ad               bool
		want             providers.Reason
	}{
		{"pwdAccountLockedTime", "000001010000Z", false, providers.Locked},
		{"pwdReset", "TRUE", false, providers.MustChange},
		{"pwdEndTime", "20260101000000Z", false, providers.Expired},
		{"nsAccountLock", "true", false, providers.Disabled},
		{"accountUnlockTime", "19700101000000Z", false, providers.Locked},
		{"passwordExpirationTime", "19700101000000Z", false, providers.MustChange},
		{"krbPrincipalExpiration", "20260101000000Z", false, providers.Expired},
		{"shadowExpire", "1", false, providers.Expired},
		{"shadowLastChange", "0", false, providers.MustChange},
		{"userAccountControl", "514", true, providers.Disabled},
	} {
		found, err := restrictionsOf(entry{attributes: map[string][][]byte{strings.ToLower(test.attribute): {[]byte(test.value)}}}, stateOfKind(test.ad), now)
		if err != nil || !slices.ContainsFunc(found, func(r restriction) bool { return r.reason == test.want }) {
			t.Errorf("restrictions of %s %s = %v, %v, want one for %s", test.attribute, test.value, fmt.Sprint(found), err, test.want)
		}
	}
}
