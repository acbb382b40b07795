package ldap

import (
	"fmt"
	"math"
	"slices"
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

// State attributes: those that show whether an account may log in, by their schema.
var (
	ppolicyState  = []string{"pwdAccountLockedTime", "pwdReset", "pwdStartTime", "pwdEndTime"} // draft-behera-ldap-password-policy-11
	shadowState   = []string{"shadowExpire", "shadowLastChange", "shadowMax"}                  // RFC 2307, section 2.2
	dsState       = []string{"nsAccountLock", "accountUnlockTime", "passwordExpirationTime"}   // 389 Directory Server
	kerberosState = []string{"krbPrincipalExpiration", "krbPasswordExpiration"}                // MIT Kerberos
	adState       = []string{attrUAC, attrUACComputed, attrAccountExpires, attrPwdLastSet}     // Active Directory
)

// stateAttributes are all state attributes. Others have no effect in users.state.
var stateAttributes = slices.Concat(ppolicyState, shadowState, dsState, kerberosState, adState)

// readsState reports whether users.state has an attribute.
func (u Users) readsState(attribute string) bool { return containsName(u.State, attribute) }

// containsName reports whether a list has the name of an attribute, in any case.
func containsName(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) })
}

// Flags of userAccountControl and its computed part ([MS-ADTS], section
// 2.2.16).
const (
	uacDisabled        = 0x2
	uacPasswordExpired = 0x800000
)

// restriction is a reason that the entry gives why its account may not log in.
type restriction struct {
	reason providers.Reason
	text   string

	// endsSessions means that sessions end as well: the account is disabled,
	// expired, or locked until an administrator unlocks it. Otherwise only a new
	// login by password is refused.
	endsSessions bool
}

// Values that mean a permanent lock or a password that must be changed.
const (
	ppolicyPermanentLock = "000001010000Z"   // pwdAccountLockedTime
	dsEpoch              = "19700101000000Z" // accountUnlockTime, passwordExpirationTime
)

// restrictionsOf returns the restrictions that the state attributes of an entry show.
// Other attributes have no effect, also where the entry shows them. Locks that expire
// are not among the restrictions: the directory enforces them at the bind, and some
// directories leave the attribute in place after the lock. An error means that the
// entry does not show enough.
func restrictionsOf(e entry, state []string, now time.Time) ([]restriction, error) {
	e = e.only(state)
	var found []restriction
	add := func(applies bool, reason providers.Reason, endsSessions bool, text string) {
		if applies {
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
		applies      func(at time.Time) bool
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
		add(limit.applies(at), providers.Expired, limit.endsSessions, fmt.Sprintf("%s (%s)", limit.text, limit.name))
	}
	shadow, err := shadowRestrictions(e, now)
	if err != nil {
		return nil, err
	}
	ad, err := activeDirectoryRestrictions(e, state, now)
	return slices.Concat(found, shadow, ad), err
}

// hasPassed returns a function that reports whether a time is not after now.
func hasPassed(now time.Time) func(time.Time) bool {
	return func(at time.Time) bool { return !now.Before(at) }
}

// shadowRestrictions reads the shadow attributes, in days since 1970 (shadow(5)). A
// negative number is no limit, and so is 0 as shadowExpire or shadowMax: shadow(5) calls
// the first ambiguous, and no password is good for less than a day.
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
	if at := days["shadowExpire"]; at > 0 && today >= at {
		found = append(found, restriction{providers.Expired, "expired (shadowExpire)", true})
	}
	changed, longest := days["shadowLastChange"], days["shadowMax"]
	switch {
	case changed == 0:
		found = append(found, restriction{providers.MustChange, "must change the password (shadowLastChange)", false})
	case changed > 0 && longest > 0 && today > changed+longest:
		found = append(found, restriction{providers.Expired, "password expired (shadowMax)", false})
	}
	return found, nil
}

// activeDirectoryRestrictions reads the attributes of Active Directory. It returns an
// error without userAccountControl, if that is a state attribute: every account has it,
// so the reader lacks the right to read it.
func activeDirectoryRestrictions(e entry, state []string, now time.Time) ([]restriction, error) {
	var found []restriction
	if containsName(state, attrUAC) {
		control, err := e.number(attrUAC)
		if err != nil {
			return nil, fmt.Errorf("%w, or leave it out of users.state", err)
		}
		if control&uacDisabled != 0 {
			found = append(found, restriction{providers.Disabled, "disabled (" + attrUAC + ")", true})
		}
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
		return found, nil // older than Windows Server 2003 R2; the bind enforces it
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

// number returns an integer attribute, which the entry must show.
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

// fromFiletime returns the time of a FILETIME: 100-nanosecond steps since 1601
// ([MS-DTYP], section 2.3.3).
func fromFiletime(n int64) time.Time {
	const epochOffset = 11_644_473_600 // seconds from 1601 to 1970
	return time.Unix(n/10_000_000-epochOffset, n%10_000_000*100)
}

// parseTime parses a generalized time (RFC 4517, section 3.3.13), in which minutes,
// seconds and fractions are optional.
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

// stampOf returns the Identity.Stamp of an entry: a hash of the attributes that change
// with the password. A configured attribute that is not shown counts too: one such as
// pwdReset changes the stamp when it appears.
func stampOf(e entry, names []string) string {
	var values []string
	for _, name := range names {
		if e.has(name) {
			values = append(values, name+"="+e.text(name))
		}
	}
	return providers.Stamp(names, strings.Join(values, ";"))
}
