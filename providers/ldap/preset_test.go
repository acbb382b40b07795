package ldap_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// TestPresetState: each preset requests the state attributes of its directory. A
// directory returns only requested attributes: without them a disabled account would
// look like any other.
func TestPresetState(t *testing.T) {
	const past = "20200101000000Z"
	for _, test := range []struct {
		preset string
		name   string
		why    string // the attribute in the error
		state  []string
		ended  bool // Revalidate ends sessions
	}{
		{"openldap", "locked for good", "pwdAccountLockedTime", []string{"pwdAccountLockedTime", "000001010000Z"}, true},
		{"openldap", "must change", "pwdReset", []string{"pwdReset", "TRUE"}, false},
		{"openldap", "not yet valid", "pwdStartTime", []string{"pwdStartTime", "29990101000000Z"}, true},
		{"openldap", "expired", "pwdEndTime", []string{"pwdEndTime", past}, true},
		{"openldap", "shadow expired", "shadowExpire", []string{"shadowExpire", "1"}, true},
		{"openldap", "shadow must change", "shadowLastChange", []string{"shadowLastChange", "0"}, false},
		{"openldap", "shadow too old", "shadowMax", []string{"shadowLastChange", "1", "shadowMax", "90"}, false},
		{"389ds", "disabled", "nsAccountLock", []string{"nsAccountLock", "true"}, true},
		{"389ds", "locked for good", "accountUnlockTime", []string{"accountUnlockTime", "19700101000000Z"}, true},
		{"389ds", "must change", "passwordExpirationTime", []string{"passwordExpirationTime", "19700101000000Z"}, false},
		{"389ds", "shadow expired", "shadowExpire", []string{"shadowExpire", "1"}, true},
		{"389ds", "shadow must change", "shadowLastChange", []string{"shadowLastChange", "0"}, false},
		{"389ds", "shadow too old", "shadowMax", []string{"shadowLastChange", "1", "shadowMax", "90"}, false},
		{"freeipa", "disabled", "nsAccountLock", []string{"nsAccountLock", "TRUE"}, true},
		{"freeipa", "expired", "krbPrincipalExpiration", []string{"krbPrincipalExpiration", past}, true},
		{"freeipa", "password expired", "krbPasswordExpiration", []string{"krbPasswordExpiration", past}, false},
		{"activedirectory", "disabled", "userAccountControl", []string{"userAccountControl", "514"}, true},
		{"activedirectory", "expired", "accountExpires", []string{"userAccountControl", "512", "accountExpires", "132000000000000000"}, true},
		{"activedirectory", "password expired", "msDS-User-Account-Control-Computed",
			[]string{"userAccountControl", "512", "msDS-User-Account-Control-Computed", "8388608"}, false},
		{"activedirectory", "must change", "pwdLastSet",
			[]string{"userAccountControl", "512", "msDS-User-Account-Control-Computed", "8388608", "pwdLastSet", "0"}, false},
		{"", "locked for good", "pwdAccountLockedTime", []string{"pwdAccountLockedTime", "000001010000Z"}, true},
		{"", "disabled", "nsAccountLock", []string{"nsAccountLock", "true"}, true},
		{"", "expired", "krbPrincipalExpiration", []string{"krbPrincipalExpiration", past}, true},
		{"", "shadow expired", "shadowExpire", []string{"shadowExpire", "1"}, true},
	} {
		t.Run(test.preset+" "+test.name, func(t *testing.T) {
			t.Parallel()
			var state atomic.Pointer[[]string]
			f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
				return ldaptest.Answer{Entries: []ldaptest.FakeEntry{shownEntry(fakeAlice, *state.Load(), r.Attributes)}}, r.Operation == goldap.ApplicationSearchRequest
			}))
			cfg := fakeConfig(f)
			cfg.Preset = test.preset
			// The same names for every preset, and a stamp that is no state attribute.
			cfg.Users = ldap.Users{Base: cfg.Users.Base, Filter: "(uid={user})", Name: "uid", Subject: "entryUUID", Stamp: []string{"pwdChangedTime"}}
			p := newProvider(t, cfg)

			state.Store(&[]string{"userAccountControl", "512"})
			alice := mustLogin(t, p, "alice", "alicepw")
			state.Store(&test.state)
			if id, err := login(t, p, "alice", "alicepw"); !errors.Is(err, providers.ErrRejected) || !strings.Contains(err.Error(), "("+test.why+")") {
				t.Errorf("Authenticate with %q = %v, %v, want ErrRejected with %s", test.state, id, err, test.why)
			}
			_, err := p.Revalidate(t.Context(), alice)
			if test.ended && (!errors.Is(err, providers.ErrEnded) || !strings.Contains(err.Error(), "("+test.why+")")) || !test.ended && err != nil {
				t.Errorf("Revalidate with %q = %v, want ErrEnded: %v", test.state, err, test.ended)
			}
		})
	}
}

// shownEntry returns an entry with more attributes, as "name", "value" pairs, reduced to
// the requested attributes as a directory does.
func shownEntry(e ldaptest.FakeEntry, more, attributes []string) ldaptest.FakeEntry {
	all := maps.Clone(e.Attributes)
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = []string{more[i+1]}
	}
	maps.DeleteFunc(all, func(name string, _ []string) bool {
		return !slices.ContainsFunc(attributes, func(a string) bool { return strings.EqualFold(a, name) })
	})
	return ldaptest.FakeEntry{DN: e.DN, Attributes: all}
}
