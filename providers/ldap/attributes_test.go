package ldap_test

import (
	"errors"
	"testing"

	"shorepass/providers"
	"shorepass/providers/ldap/ldaptest"
)

// addPerson adds a person with the password "pw" to a slapd.
func addPerson(t *testing.T, s *ldaptest.Slapd, dn string, attributes ldaptest.Attributes) {
	t.Helper()
	all := ldaptest.Attributes{"objectClass": {"inetOrgPerson", "foreignPerson"}, "cn": {"Some One"}, "sn": {"One"}, "userPassword": {"pw"}}
	for name, values := range attributes {
		all[name] = values
	}
	s.Add(t, dn, all)
}

// TestAttributes tests values and names of attributes that directories have besides the
// usual ones, on one slapd.
func TestAttributes(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	t.Run("a binary subject", func(t *testing.T) { testBinarySubject(t, s) })
}

// testBinarySubject: a person is found again by a binary subject (C2).
func testBinarySubject(t *testing.T, s *ldaptest.Slapd) {
	guids := map[string]string{"gina": "\x8c\x3e\xff(*)\\\x33\x44\x55\x66\x77\x88\x99\xaa\x00", "greg": "\x8c\x3e\xff(*)\\\x33\x44\x55\x66\x77\x88\x99\xaa\x01"}
	for uid, guid := range guids {
		addPerson(t, s, s.Person(uid), ldaptest.Attributes{"uid": {uid}, "GUID": {guid}})
	}
	cfg := slapdConfig(s)
	cfg.Users.Subject = "guid"
	p := newProvider(t, cfg)
	id := mustLogin(t, p, "gina", "pw")
	if want := "0x8c3eff282a295c33445566778899aa00"; id.Subject != want {
		t.Errorf("Subject = %q, want %q", id.Subject, want)
	}
	s.Rename(t, s.Person("gina"), "uid=regina", s.People)
	if again, err := p.Revalidate(t.Context(), id); err != nil || again.User != "regina" || again.Subject != id.Subject {
		t.Errorf("Revalidate after a rename = %v, %v, want regina", again, err)
	}
	s.Delete(t, s.Person("regina"))
	if _, err := p.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrGone) {
		t.Errorf("Revalidate of a deleted person = %v, want ErrGone", err)
	}
}
