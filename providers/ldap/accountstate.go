package ldap

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// lockAttributes are set while an account is locked for wrong passwords.
var lockAttributes = []string{"pwdAccountLockedTime", "accountUnlockTime"}

// failedBindAttributes change when a bind fails: with each failed bind, or with the
// one that locks the account.
var failedBindAttributes = []struct{ name, oid string }{
	{"pwdFailureTime", "1.3.6.1.4.1.42.2.27.8.1.19"}, // draft-behera-ldap-password-policy-11, section 5.3
	{"pwdAccountLockedTime", "1.3.6.1.4.1.42.2.27.8.1.17"},
	{"pwdAccountTmpLockoutEnd", "1.3.6.1.4.1.42.2.27.8.1.33"},
	{"passwordRetryCount", "2.16.840.1.113730.3.1.93"}, // 389 Directory Server
	{"retryCountResetTime", "2.16.840.1.113730.3.1.94"},
	{"accountUnlockTime", "2.16.840.1.113730.3.1.95"},
	{"krbLoginFailedCount", "2.16.840.1.113719.1.301.4.50.1"}, // MIT Kerberos
	{"krbLastFailedAuth", "2.16.840.1.113719.1.301.4.49.1"},
	{"badPwdCount", "1.2.840.113556.1.4.12"}, // Active Directory
	{"badPasswordTime", "1.2.840.113556.1.4.49"},
	{"lockoutTime", "1.2.840.113556.1.4.662"},
	{attrUACComputed, "1.2.840.113556.1.4.1460"}, // has uacLockout
	{"modifyTimestamp", "2.5.18.2"},              // directories write the above as they write other changes
	{"entryCSN", "1.3.6.1.4.1.4203.666.1.7"},
	{"whenChanged", "1.2.840.113556.1.2.3"},
	{"uSNChanged", "1.2.840.113556.1.2.120"},
}

// changesWithFailedBind reports whether an attribute description is of one of
// failedBindAttributes. Case and options do not count (RFC 4512, section 2.5).
func changesWithFailedBind(description string) bool {
	name, _, _ := strings.Cut(description, ";")
	for _, a := range failedBindAttributes {
		if strings.EqualFold(a.name, name) || a.oid == name {
			return true
		}
	}
	return false
}

// stateOf returns the providers.Account.State of an entry: a hash of its stamp and
// state attributes. While it stays the same, a known wrong password is refused
// without a bind.
//
// It must not include attributes that each failed bind changes: then each refusal
// would cause a retry, until the account is locked. So [Config.Validate] refuses
// failedBindAttributes in users.stamp.
//
// It includes whether the account is locked. A directory need not say that a lock is
// why it refuses a bind, so that a right password may be recorded as wrong; when the
// lock ends, the state changes and that password is tried again. The state also
// changes with the failed bind that sets the lock, which does no harm: Active
// Directory, OpenLDAP and 389 Directory Server do not count binds to a locked
// account, and after the lock at most the entries of one window are tried again,
// fewer than the threshold. It does not include the time of a lock: OpenLDAP leaves
// that in place after the lock, and writes another with the next.
func (p *Provider) stateOf(e entry) string {
	names := slices.Concat(p.cfg.Users.State, p.cfg.Users.Stamp)
	slices.Sort(names)
	h := sha256.New()
	for _, name := range slices.Compact(names) {
		values := fmt.Sprintf("%q", e.values(name))
		if containsName(lockAttributes, name) {
			values = lockState(e.text(name))
		}
		fmt.Fprintf(h, "%q %s\n", name, values)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// lockState returns the state that a lock attribute shows.
func lockState(value string) string {
	switch value {
	case "":
		return "open"
	case ppolicyPermanentLock, dsEpoch:
		return "locked for good"
	}
	return "locked"
}
