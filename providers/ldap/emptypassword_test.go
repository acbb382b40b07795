package ldap_test

import (
	"errors"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap/ldaptest"
	"shorepass/providers/providertest"
)

var emptyPasswords = []string{"", " ", "\t \n", "\x00", "\x00abc", "abc\x00"}

// TestEmptyPassword: the chain refuses a password that a directory would take for an
// anonymous bind before it looks the account up, and the provider sends nothing.
func TestEmptyPassword(t *testing.T) {
	f := ldaptest.NewFake(t, func(ldaptest.Request) ldaptest.Answer { return ldaptest.Answer{} })
	for _, template := range []string{"", "uid={user},ou=people,dc=x"} {
		cfg := fakeConfig(f)
		cfg.Users.DNTemplate = template
		p := newProvider(t, cfg)
		chain, err := providers.NewChain([]providers.Member{{Provider: p, Config: providers.Config{Name: "corp", Kind: "ldap"}.WithDefaults()}}, providertest.NewThrottle(), providers.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, password := range emptyPasswords {
			if _, err := chain.Authenticate(t.Context(), providers.Credential{Login: "alice", Secret: secret.New(password)}); !errors.Is(err, providers.ErrRejected) {
				t.Errorf("Authenticate with %q = %v, want ErrRejected", password, err)
			}
		}
	}
	if _, ever := f.Connections(); ever != 0 || len(f.Requests()) != 0 {
		t.Errorf("%d connections and %d requests came, want none", ever, len(f.Requests()))
	}
}

// TestProveRefusesEmptyPassword: Prove refuses an empty password too, without a bind.
func TestProveRefusesEmptyPassword(t *testing.T) {
	f := ldaptest.NewFake(t, func(r ldaptest.Request) ldaptest.Answer {
		if r.Operation == goldap.ApplicationSearchRequest {
			return ldaptest.Answer{Entries: []ldaptest.FakeEntry{fakeAlice}}
		}
		return ldaptest.Answer{}
	})
	for _, template := range []string{"", "uid={user},ou=people,dc=x"} {
		cfg := fakeConfig(f)
		cfg.Users.DNTemplate = template
		account, err := newProvider(t, cfg).Lookup(t.Context(), "alice")
		if err != nil {
			t.Fatal(err)
		}
		before := len(f.Requests())
		for _, password := range emptyPasswords {
			if _, err := account.Prove(t.Context(), providers.LoginPassword{Secret: secret.New(password)}); !errors.Is(err, providers.ErrRejected) {
				t.Errorf("Prove(%q) = %v, want ErrRejected", password, err)
			}
		}
		if n := len(f.Requests()) - before; n != 0 {
			t.Errorf("%d requests came, want none", n)
		}
	}
}
