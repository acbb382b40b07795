package ldap

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"shorepass/providers"
)

// Attributes of Active Directory ([MS-ADTS], section 2.2).
const (
	attrGUID           = "objectGUID"
	attrSID            = "objectSid"
	attrUAC            = "userAccountControl"
	attrUACComputed    = "msDS-User-Account-Control-Computed"
	attrAccountExpires = "accountExpires"
	attrPwdLastSet     = "pwdLastSet"
)

// Attributes that say whether an account is good, by what keeps them.
var (
	ppolicyState  = []string{"pwdAccountLockedTime", "pwdReset", "pwdStartTime", "pwdEndTime"} // draft-behera-ldap-password-policy-11
	shadowState   = []string{"shadowExpire", "shadowLastChange", "shadowMax"}                  // RFC 2307, section 2.2
	dsState       = []string{"nsAccountLock", "accountUnlockTime", "passwordExpirationTime"}   // 389 Directory Server
	kerberosState = []string{"krbPrincipalExpiration", "krbPasswordExpiration"}                // MIT Kerberos
)

// Flags of userAccountControl and its computed part ([MS-ADTS], section
// 2.2.16).
const (
	uacDisabled        = 0x2
	uacPasswordExpired = 0x800000
)

// restriction is what keeps an account from logging in.
type restriction struct {
	reason providers.Reason
	text   string

	// endsSessions says that it ends sessions as well: the account is disabled,
	// expired, or locked until somebody unlocks it. Without it only a new
	// login by password is refused.
	endsSessions bool
}

// The dates that stand for "for good" and "must change".
const (
	ppolicyPermanentLock = "000001010000Z"   // pwdAccountLockedTime
	dsEpoch              = "19700101000000Z" // accountUnlockTime, passwordExpirationTime
)

// restrictionsOf returns what the entry itself says against a login. Locks that
// lift by themselves are not among it: the directory enforces them at the
// bind, and some leave the attribute standing after the lock has lifted. The error
// says that the entry does not show enough to tell.
func restrictionsOf(e entry, ad bool, now time.Time) ([]restriction, error) {
	if ad {
		return activeDirectoryRestrictions(e, now)
	}
	var found []restriction
	add := func(is bool, reason providers.Reason, endsSessions bool, text string) {
		if is {
			found = append(found, restriction{reason, text, endsSessions})
		}
	}
	add(e.text("pwdAccountLockedTime") == ppolicyPermanentLock, providers.Locked, true, "locked for good (pwdAccountLockedTime)")
	add(e.isTrue("pwdReset"), providers.MustChange, false, "must change the password (pwdReset)")
	add(e.isTrue("nsAccountLock"), providers.Disabled, true, "disabled (nsAccountLock)")
	add(e.text("accountUnlockTime") == dsEpoch, providers.Locked, true, "locked for good (accountUnlockTime)")
	add(e.text("passwordExpirationTime") == dsEpoch, providers.MustChange, false, "must change the password (passwordExpirationTime)")
	for _, limit := range []struct {
		name         string
		endsSessions bool
		reached      func(at time.Time) bool
		text         string
	}{
		{"pwdStartTime", true, now.Before, "not valid yet"},
		{"pwdEndTime", true, hasPassed(now), "expired"},
		{"krbPrincipalExpiration", true, hasPassed(now), "expired"},
		{"krbPasswordExpiration", false, hasPassed(now), "password expired"},
	} {
		if !e.has(limit.name) {
			continue
		}
		at, err := parseTime(e.text(limit.name))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", limit.name, err)
		}
		add(limit.reached(at), providers.Expired, limit.endsSessions, fmt.Sprintf("%s (%s)", limit.text, limit.name))
	}
	shadow, err := shadowRestrictions(e, now)
	return append(found, shadow...), err
}

func hasPassed(now time.Time) func(time.Time) bool {
	return func(at time.Time) bool { return !now.Before(at) }
}

// shadowRestrictions reads days since 1970 (shadow(5)). A negative one is none.
func shadowRestrictions(e entry, now time.Time) ([]restriction, error) {
	days := make(map[string]int64, len(shadowState))
	for _, name := range shadowState {
		days[name] = -1
		if !e.has(name) {
			continue
		}
		n, err := strconv.ParseInt(e.text(name), 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read %s: %q is not a number", name, truncated(e.text(name)))
		}
		days[name] = n
	}
	today := now.Unix() / (24 * 60 * 60)
	var found []restriction
	if at := days["shadowExpire"]; at >= 0 && today >= at {
		found = append(found, restriction{providers.Expired, "expired (shadowExpire)", true})
	}
	changed, longest := days["shadowLastChange"], days["shadowMax"]
	switch {
	case changed == 0:
		found = append(found, restriction{providers.MustChange, "must change the password (shadowLastChange)", false})
	case changed > 0 && longest >= 0 && today > changed+longest:
		found = append(found, restriction{providers.Expired, "password expired (shadowMax)", false})
	}
	return found, nil
}

// activeDirectoryRestrictions reads what Active Directory keeps. It refuses to
// guess where userAccountControl is not shown: everyone has it, so that the
// service account lacks a right.
func activeDirectoryRestrictions(e entry, now time.Time) ([]restriction, error) {
	control, err := e.number(attrUAC)
	if err != nil {
		return nil, err
	}
	var found []restriction
	if control&uacDisabled != 0 {
		found = append(found, restriction{providers.Disabled, "disabled (" + attrUAC + ")", true})
	}
	if e.has(attrAccountExpires) {
		at, err := e.number(attrAccountExpires)
		if err != nil {
			return nil, err
		}
		if at != 0 && at != math.MaxInt64 && !now.Before(fromFiletime(at)) {
			found = append(found, restriction{providers.Expired, "expired (" + attrAccountExpires + ")", true})
		}
	}
	if !e.has(attrUACComputed) {
		return found, nil // older than Windows Server 2003 R2; the bind says it all the same
	}
	computed, err := e.number(attrUACComputed)
	if err != nil {
		return nil, err
	}
	if computed&uacPasswordExpired != 0 {
		expired := restriction{providers.Expired, "password expired (" + attrUACComputed + ")", false}
		if e.text(attrPwdLastSet) == "0" {
			expired = restriction{providers.MustChange, "must change the password (" + attrPwdLastSet + ")", false}
		}
		found = append(found, expired)
	}
	return found, nil
}

// number returns an integer attribute, which the entry must have.
func (e entry) number(name string) (int64, error) {
	if !e.has(name) {
		return 0, fmt.Errorf("the entry shows no %s: give the service account the right to read it", name)
	}
	n, err := strconv.ParseInt(e.text(name), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read %s: %q is not a number", name, truncated(e.text(name)))
	}
	return n, nil
}

// fromFiletime reads 100-nanosecond steps since 1601 ([MS-DTYP], section
// 2.3.3).
func fromFiletime(n int64) time.Time {
	const epochOffset = 11_644_473_600 // seconds from 1601 to 1970
	return time.Unix(n/10_000_000-epochOffset, n%10_000_000*100)
}

// parseTime reads a generalized time (RFC 4517, section 3.3.13), which has
// minutes, seconds and fractions as it likes.
func parseTime(text string) (time.Time, error) {
	whole, zone := text, ""
	if i := strings.IndexAny(text, "Z+-"); i >= 0 {
		whole, zone = text[:i], text[i:]
	}
	whole = strings.Replace(whole, ",", ".", 1)
	for _, layout := range []string{"20060102150405", "200601021504", "2006010215"} {
		for _, z := range []string{"Z", "-0700", "-07"} {
			if at, err := time.Parse(layout+z, whole+zone); err == nil {
				return at, nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a generalized time", truncated(text))
}

// stampOf returns the Identity.Stamp of an entry: the values of the attributes
// that change with the password. It is made of all that are configured, shown or
// not: a mark such as pwdReset counts by being there.
func stampOf(e entry, names []string) string {
	var values []string
	for _, name := range names {
		if e.has(name) {
			values = append(values, name+"="+e.text(name))
		}
	}
	return providers.Stamp(names, strings.Join(values, ";"))
}
