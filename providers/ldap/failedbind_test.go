package ldap_test

import (
	"slices"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// TestStampDoesNotChangeWithFailedBinds: every attribute that wrong passwords change in
// an entry, up to the lock, is refused in users.stamp.
func TestStampDoesNotChangeWithFailedBinds(t *testing.T) {
	const wrongPasswords = 3
	t.Run("OpenLDAP", func(t *testing.T) {
		t.Parallel()
		s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Lockout: wrongPasswords})
		changed := changedByWrongPasswords(t, &s.Admin, s.Person("alice"), slapdConfig(s), wrongPasswords)
		wantRefusedStamps(t, changed, "pwdAccountLockedTime", "pwdFailureTime", "modifyTimestamp")
	})
	t.Run("Active Directory", func(t *testing.T) {
		t.Parallel()
		s := ldaptest.StartSamba(t, ldaptest.SambaOptions{Lockout: wrongPasswords})
		changed := changedByWrongPasswords(t, &s.Admin, s.Person("alice"), sambaConfig(s), wrongPasswords)
		wantRefusedStamps(t, changed, "lockoutTime", "badPwdCount", "whenChanged")
	})
}

// changedByWrongPasswords returns the attributes of alice's entry that n wrong
// passwords change.
func changedByWrongPasswords(t *testing.T, admin *ldaptest.Admin, dn string, cfg ldap.Config, n int) []string {
	p := newProvider(t, cfg)
	before := readEntry(t, admin, dn)
	time.Sleep(1100 * time.Millisecond) // times in the entry are in seconds
	for range n {
		if id, err := login(t, p, "alice", "wrong"); err == nil {
			t.Fatalf("Authenticate with a wrong password = %v", id)
		}
	}
	var changed []string
	for name, values := range readEntry(t, admin, dn) {
		if !slices.Equal(values, before[name]) {
			changed = append(changed, name)
		}
	}
	return changed
}

// readEntry returns all attributes of an entry.
func readEntry(t *testing.T, admin *ldaptest.Admin, dn string) map[string][]string {
	attributes := make(map[string][]string)
	admin.Do(t, func(c *goldap.Conn) error {
		found, err := c.Search(&goldap.SearchRequest{
			BaseDN: dn, Filter: "(objectClass=*)",
			Attributes: []string{"*", "+", "whenChanged", "uSNChanged", "modifyTimestamp", "msDS-User-Account-Control-Computed"},
		})
		if err != nil {
			return err
		}
		for _, a := range found.Entries[0].Attributes {
			attributes[a.Name] = a.Values
		}
		return nil
	})
	return attributes
}

// wantRefusedStamps checks that each changed attribute is refused as a stamp, and that
// those of expected are among them.
func wantRefusedStamps(t *testing.T, changed []string, expected ...string) {
	t.Helper()
	for _, name := range expected {
		if !slices.Contains(changed, name) {
			t.Errorf("wrong passwords changed %q, and not %s", changed, name)
		}
	}
	for _, name := range changed {
		cfg := validConfig("openldap")
		cfg.Users.Stamp = []string{name}
		refused := false
		cfg.WithDefaults().Validate(func(key, _ string) { refused = refused || key == "users.stamp[0]" })
		if !refused {
			t.Errorf("users.stamp = [%q] is not refused, and wrong passwords change it", name)
		}
	}
}
