package ldap

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// lockAttributes are set while an account is locked for wrong passwords.
var lockAttributes = []string{"pwdAccountLockedTime", "accountUnlockTime"}

// stateOf returns the providers.Account.State of an entry: a hash of the attributes
// of its stamp and of its state. A wrong password is answered from memory while it
// stays the same.
//
// Attributes that each failed bind changes (badPwdCount, badPasswordTime,
// pwdFailureTime, passwordRetryCount, krbLoginFailedCount) are not in it, and may
// not be: each answer would be a reason to ask again, until the account is locked.
//
// Of a lock it holds whether there is one. A lock changes it once, and its end once
// more, so that a right password which was refused as wrong while the account was
// locked (a directory need not say that it is) is asked again as soon as the lock is
// lifted. That the failed bind which locks an account changes it too does no harm:
// a password that is asked again while the account is locked is not counted, by Active
// Directory, OpenLDAP and 389 Directory Server alike, and after the lock at most the
// entries of one window are asked again, fewer than what locks. The time that a lock
// attribute holds stays out: OpenLDAP leaves it standing when the lock is over, and
// writes another with the next.
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

// lockState says which of three an attribute of a lock shows.
func lockState(value string) string {
	switch value {
	case "":
		return "open"
	case ppolicyPermanentLock, dsEpoch:
		return "locked for good"
	}
	return "locked"
}
