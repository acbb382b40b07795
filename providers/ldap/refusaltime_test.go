package ldap_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers"
	"shorepass/providers/ldap/ldaptest"
)

// TestUnknownNameTakesTheTimeOfAWrongPassword: an unknown name is refused after the time
// of a wrong password. The directory takes 400 ms for a bind, so that nothing else
// takes a quarter of it.
func TestUnknownNameTakesTheTimeOfAWrongPassword(t *testing.T) {
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		switch {
		case r.Operation == goldap.ApplicationSearchRequest && strings.Contains(r.Filter, "alice"):
			return ldaptest.Answer{Entries: []ldaptest.FakeEntry{fakeAlice}}
		case r.Operation == goldap.ApplicationBindRequest && r.DN == fakeAlice.DN:
			time.Sleep(400 * time.Millisecond)
			return ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials}
		case r.Operation == goldap.ApplicationBindRequest && r.DN != "cn=svc,dc=x":
			return ldaptest.Answer{Code: goldap.LDAPResultInvalidCredentials}
		}
		return ldaptest.Answer{}
	})
	p := newProvider(t, fakeConfig(f))
	timed := func(name string) time.Duration {
		began := time.Now()
		if _, err := authenticate(t, t.Context(), p, name, "typed-by-a-person"); errors.Is(err, providers.ErrNotMine) {
			p.Pad(t.Context(), began, "nobody", providers.LoginPassword{}) // as the chain does
		}
		return time.Since(began)
	}
	var known, unknown []time.Duration
	for range 5 {
		known, unknown = append(known, timed("alice")), append(unknown, timed("nobody"))
	}
	slices.Sort(known)
	slices.Sort(unknown)
	if a, b := known[2], unknown[2]; (a - b).Abs() > a/4 {
		t.Errorf("a wrong password takes %s, an unknown name %s", a, b)
	}
	for _, r := range f.Requests() {
		if r.Password == "typed-by-a-person" && r.DN != fakeAlice.DN {
			t.Errorf("the password for an unknown name was sent to %s", r.DN)
		}
	}
}
