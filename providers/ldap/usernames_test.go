package ldap_test

import (
	"errors"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
	"shorepass/providers/ldap/ldaptest"
)

// TestLoginAsTyped: the login name is searched for as typed, and matches in every
// spelling that the directory takes for the same.
func TestLoginAsTyped(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	s.Add(t, s.Person("weiß"), person("weiß", "weißpw"))
	s.Add(t, s.Person("weiss"), person("weiss", "weisspw"))
	p := newProvider(t, slapdConfig(s))
	for _, test := range []struct{ login, password, user string }{
		{"weiß", "weißpw", "weiß"}, {"Weiß", "weißpw", "weiß"}, {"WEIß", "weißpw", "weiß"}, {"weiss", "weisspw", "weiss"}, {"WEISS", "weisspw", "weiss"},
		{"Alice", "alicepw", "alice"}, {"JOSÉ", "josépw", "josé"}, {"jose\u0301", "josépw", "josé"},
	} {
		if id, err := login(t, p, test.login, test.password); err != nil || id.User != test.user {
			t.Errorf("Authenticate(%q) = %v, %v, want %q", test.login, id, err, test.user)
		}
	}
}

// TestConfusableUserNameIsRefused: a user name is refused if it has an invisible
// character, or a letter that lower case turns into ASCII.
func TestConfusableUserNameIsRefused(t *testing.T) {
	for _, uid := range []string{"\u212aevin", "kev\u200bin", "\u202enivek", "kevin\ufe0f", "ke\x00vin"} {
		f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
			odd := ldaptest.FakeEntry{DN: fakeAlice.DN, Attributes: ldaptest.Attributes{"uid": {uid}, "entryUUID": {"1-2-3"}}}
			return ldaptest.Answer{Entries: []ldaptest.FakeEntry{odd}}, r.Operation == goldap.ApplicationSearchRequest
		}))
		if id, err := login(t, newProvider(t, fakeConfig(f)), "kevin", "pw"); !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != providers.RefusedByConfig {
			t.Errorf("the name %q: %v, %v, want ErrRejected: refused by config", uid, id, err)
		}
	}
}

// TestRepeatedAttributeHasAllValues: an attribute that occurs twice in an entry has the
// values of both, and one that must have a single value is refused.
func TestRepeatedAttributeHasAllValues(t *testing.T) {
	for _, test := range []struct {
		name       string
		attributes ldaptest.Attributes
		want       string // in the error
	}{
		{"user name", ldaptest.Attributes{"uid": {"carol"}, "UID": {"bob"}, "entryUUID": {"1-2-3"}}, "2 values of uid"}, // none in the RDN
		{"subject", ldaptest.Attributes{"uid": {"alice"}, "entryUUID": {"1-2-3"}, "ENTRYUUID": {"4-5-6"}}, "2 values of entryUUID"},
		{"state", ldaptest.Attributes{"uid": {"alice"}, "entryUUID": {"1-2-3"}, "pwdReset": {"FALSE"}, "pwdreset": {"TRUE"}}, "2 values of pwdReset"},
	} {
		f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
			return ldaptest.Answer{Entries: []ldaptest.FakeEntry{{DN: fakeAlice.DN, Attributes: test.attributes}}}, r.Operation == goldap.ApplicationSearchRequest
		}))
		if id, err := login(t, newProvider(t, fakeConfig(f)), "alice", "pw"); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, %v, want an error with %q", test.name, id, err, test.want)
		}
	}
}

// person returns the attributes of a person with a password.
func person(uid, password string) ldaptest.Attributes {
	return ldaptest.Attributes{"objectClass": {"inetOrgPerson"}, "uid": {uid}, "cn": {uid}, "sn": {uid}, "userPassword": {password}}
}
