package ldap_test

import (
	"slices"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// TestControlsAreAnnounced: only a control that the root DSE announces is sent; a server
// that refuses every control is usable (C13).
func TestControlsAreAnnounced(t *testing.T) {
	const policy, paging = goldap.ControlTypeBeheraPasswordPolicy, goldap.ControlTypePaging
	for _, test := range []struct {
		name             string
		announced        []string
		hidden, template bool // the root DSE; the configuration
	}{
		{name: "none"},
		{name: "a hidden root DSE", announced: []string{policy, paging}, hidden: true},
		{name: "the password policy", announced: []string{policy}},
		{name: "pages", announced: []string{paging}},
		{name: "both", announced: []string{policy, paging}},
		{name: "both, with a template", announced: []string{policy, paging}, template: true},
		{name: "none, with a template", template: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
				shown := test.announced
				if test.hidden {
					shown = nil
				}
				for _, control := range r.Controls {
					if !slices.Contains(shown, control) {
						return ldaptest.Answer{Code: goldap.LDAPResultUnavailableCriticalExtension}
					}
				}
				switch {
				case r.Operation != goldap.ApplicationSearchRequest:
					return ldaptest.Answer{}
				case r.DN == "" && test.hidden:
					return ldaptest.Answer{Code: goldap.LDAPResultInsufficientAccessRights}
				case r.DN == "":
					return ldaptest.Answer{Entries: []ldaptest.FakeEntry{shownEntry(ldaptest.FakeEntry{Attributes: ldaptest.Attributes{"supportedControl": test.announced}}, nil, r.Attributes)}}
				case r.DN == "ou=groups,dc=x":
					return ldaptest.Answer{Entries: []ldaptest.FakeEntry{{DN: "cn=crew,ou=groups,dc=x", Attributes: ldaptest.Attributes{"cn": {"crew"}}}}}
				}
				return ldaptest.Answer{Entries: []ldaptest.FakeEntry{fakeAlice}}
			})
			cfg := fakeConfig(f)
			cfg.Groups = ldap.Groups{Base: new("ou=groups,dc=x")}
			if test.template {
				cfg.Users.DNTemplate = "uid={user},ou=people,dc=x"
				cfg.BindDN, cfg.BindPassword = "", secret.Text{}
			}
			p := newProvider(t, cfg)
			for range 2 {
				if id := mustLogin(t, p, "alice", "alicepw"); !slices.Equal(id.Groups, []string{"crew"}) {
					t.Errorf("groups %q, want crew", id.Groups)
				}
			}
			for _, control := range []string{policy, paging} {
				sent := slices.ContainsFunc(f.Requests(), func(r ldaptest.Request) bool { return slices.Contains(r.Controls, control) })
				if want := slices.Contains(test.announced, control) && !test.hidden; sent != want {
					t.Errorf("control %s was sent: %v, want %v", control, sent, want)
				}
			}
		})
	}
}
