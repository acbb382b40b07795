package ldap_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// testBindName: without a service account a person binds with a name that is no DN, and
// reads the own entry and groups (C3).
func testBindName(t *testing.T, s *ldaptest.Samba) {
	cfg := sambaConfig(s)
	cfg.BindDN, cfg.BindPassword, cfg.Users.BindName = "", secret.Text{}, "{user}@ad.example.org"
	p := newProvider(t, cfg)
	if !p.CatchesAll() {
		t.Error("CatchesAll() = false, want true")
	}
	asService := mustLogin(t, newProvider(t, sambaConfig(s)), "alice", "alice-Pw1")
	for _, name := range []string{"alice", "ALICE", "alice@ad.example.org", "Alice@AD.example.org"} {
		id := mustLogin(t, p, name, "alice-Pw1")
		if id.User != "alice" || id.Subject != asService.Subject || id.Stamp != asService.Stamp || !slices.Equal(id.Groups, asService.Groups) {
			t.Errorf("Authenticate(%q) = %v, want %v as with a service account", name, id, asService)
		}
		if _, err := p.Revalidate(t.Context(), id); !errors.Is(err, providers.ErrCannotRevalidate) {
			t.Errorf("Revalidate = %v, want ErrCannotRevalidate", err)
		}
	}
	for _, name := range []string{"josé", "o(brien"} {
		mustLogin(t, p, name, name+"-Pw1")
	}
	for _, test := range []struct {
		name, password string
		want           providers.Reason
	}{
		{"alice", "wrong", providers.WrongPassword},
		{"nobody", "alice-Pw1", providers.WrongPassword},
		{"carol", "carol-Pw1", providers.Disabled},
		{"dave", "dave-Pw1", providers.MustChange},
		{"erin", "erin-Pw1", providers.Expired},
		{"svc", s.Password, providers.RefusedByConfig}, // not under users.base
		// Names that would be another account's.
		{"bob@other.example", "bob-Pw1", providers.Unknown},
		{`ADEX\bob`, "bob-Pw1", providers.Unknown},
		{s.Person("bob"), "bob-Pw1", providers.Unknown},
		{"ad.example.org/People/bob", "bob-Pw1", providers.Unknown},
	} {
		if _, err := login(t, p, test.name, test.password); !errors.Is(err, providers.ErrRejected) || providers.ReasonOf(err) != test.want {
			t.Errorf("Authenticate(%q) = %v, want a rejection for %q", test.name, err, test.want)
		}
	}
	// The directory binds bob, and the filter finds alice.
	s.Set(t, s.Person("alice"), "description", "bob")
	cfg.Users.Filter = "(description={user})"
	if id, err := login(t, newProvider(t, cfg), "bob", "bob-Pw1"); providers.ReasonOf(err) != providers.RefusedByConfig || !strings.Contains(err.Error(), "users.filter finds") {
		t.Errorf("Authenticate(bob) with a filter that finds alice = %v, %v, want a rejection", id, err)
	}
}

// TestWhoAmI: at other directories the account that has bound is the one of the entry,
// by the operation "Who am I" (RFC 4532).
func TestWhoAmI(t *testing.T) {
	for _, test := range []struct {
		answer string
		code   uint16
		want   string // "" for an identity, else in the error
	}{
		{"dn:uid=alice,ou=people,dc=x", 0, ""},
		{"dn:UID=Alice, ou=People,dc=x", 0, ""},
		{"dn:uid=bob,ou=people,dc=x", 0, "users.filter finds"},
		{"u:alice", 0, ""},
		{"u:alice@corp.example", 0, ""},
		{`u:CORP\Alice`, 0, ""},
		// Another domain's account of the same name.
		{`u:CHILD\alice`, 0, "users.filter finds"},
		{"u:alice@child.corp.example", 0, "write all names of its domain in users.domains"},
		{"u:bob", 0, "users.filter finds"},
		{"alice", 0, "users.filter finds"},
		{"", 0, "users.filter finds"}, // anonymous
		{"", goldap.LDAPResultProtocolError, "use users.dn_template or bind_dn"},
	} {
		f := ldaptest.NewFake(t, fakeDirectory(func(r ldaptest.Request) (ldaptest.Answer, bool) {
			return ldaptest.Answer{Value: test.answer, Code: test.code}, r.Operation == goldap.ApplicationExtendedRequest
		}))
		cfg := fakeConfig(f)
		cfg.Preset, cfg.BindDN, cfg.BindPassword = "", "", secret.Text{}
		cfg.Users = ldap.Users{Base: cfg.Users.Base, Filter: "(uid={user})", Name: "uid", Subject: "entryUUID", BindName: "{user}", Domains: []string{"CORP", "corp.example"}}
		id, err := login(t, newProvider(t, cfg), "alice", "alicepw")
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%q, result %d: Authenticate = %v, %v, want %q", test.answer, test.code, id, err, test.want)
		}
		if binds := personBinds(f); binds != 1 {
			t.Errorf("%q: %d binds, want 1", test.answer, binds)
		}
	}
}
