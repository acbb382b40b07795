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
		{"389ds", "disabled", "nsAccountLock", []string{"nsAccountLock", "true"}, true},
		{"389ds", "locked for good", "accountUnlockTime", []string{"accountUnlockTime", "19700101000000Z"}, true},
		{"389ds", "must change", "passwordExpirationTime", []string{"passwordExpirationTime", "19700101000000Z"}, false},
		{"389ds", "shadow expired", "shadowExpire", []string{"shadowExpire", "1"}, true},
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

// TestStateKey: users.state replaces the state attributes of the preset, also by none,
// and an attribute that is requested for another purpose does not count (C4).
func TestStateKey(t *testing.T) {
	expired := []string{"shadowLastChange", "17399", "shadowMax", "90", "shadowExpire", "1", "nsAccountLock", "true", "userAccountControl", "514"}
	for _, test := range []struct {
		name, preset string
		state        []string
		why          string // in the error; "" for none
	}{
		{"the preset's", "openldap", nil, "expired (shadowExpire)"},
		{"the age of passwords", "openldap", []string{"shadowLastChange", "shadowMax"}, "password expired (shadowMax)"},
		{"none", "openldap", []string{}, ""},
		{"another one, in another case", "openldap", []string{"NSACCOUNTLOCK"}, "disabled (nsAccountLock)"},
		{"none at 389ds", "389ds", []string{}, ""},
		{"none at Active Directory", "activedirectory", []string{}, ""},
		{"Active Directory's, without a preset", "", []string{"userAccountControl"}, "disabled (userAccountControl)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
				return ldaptest.Answer{Entries: []ldaptest.FakeEntry{shownEntry(fakeAlice, expired, r.Attributes)}}, r.Operation == goldap.ApplicationSearchRequest
			}))
			cfg := fakeConfig(f)
			cfg.Preset = test.preset
			// The stamp requests attributes that are also state attributes.
			cfg.Users = ldap.Users{Base: cfg.Users.Base, Filter: "(uid={user})", Name: "uid", Subject: "entryUUID",
				Stamp: []string{"shadowLastChange", "shadowExpire"}, State: test.state}
			p := newProvider(t, cfg)
			_, err := login(t, p, "alice", "alicepw")
			if test.why == "" && err != nil || test.why != "" && (!errors.Is(err, providers.ErrRejected) || !strings.Contains(err.Error(), test.why)) {
				t.Errorf("Authenticate = %v, want a rejection for %q", err, test.why)
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
