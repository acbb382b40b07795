package ldap

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// lockAttributes are set while an account is locked for wrong passwords.
var lockAttributes = []string{"pwdAccountLockedTime", "accountUnlockTime"}

// stateOf returns the providers.Account.State of an entry: a hash of its stamp and
// state attributes. While it stays the same, a known wrong password is refused
// without a bind.
//
// It must not include attributes that each failed bind changes (badPwdCount,
// badPasswordTime, pwdFailureTime, passwordRetryCount, krbLoginFailedCount): then
// each refusal would cause a retry, until the account is locked.
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
	names := append(slices.Clone(p.preset.state), p.cfg.Users.Stamp...)
	slices.Sort(names)
	h := sha256.New()
	for _, name := range slices.Compact(names) {
		values := fmt.Sprintf("%q", e.values(name))
		if slices.Contains(lockAttributes, name) {
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
