package ldap_test

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
	"shorepass/providers/providertest"
)

// slapdConfig returns a configuration for a slapd of ldaptest, with long timeouts for a
// busy machine.
func slapdConfig(s *ldaptest.Slapd) ldap.Config {
	return ldap.Config{
		Config: wrongPasswordLimits,
		Preset: "openldap", URLs: []string{s.LDAPS}, TLS: tlsconf.Config{CA: s.CA},
		BindDN: s.BindDN, BindPassword: secret.New(s.Password),
		Timeout: 10 * time.Second, DialTimeout: 5 * time.Second,
		Users:  ldap.Users{Base: new(s.People)},
		Groups: ldap.Groups{Base: new(s.Groups)},
	}
}

// wrongPasswordLimits fit the lockout policies of all directories in these tests.
var wrongPasswordLimits = providers.Config{WrongPasswords: 2, WrongPasswordWindow: 30 * time.Minute}

// newProvider returns a provider, which is closed at the end of the test.
func newProvider(t testing.TB, cfg ldap.Config) *ldap.Provider {
	t.Helper()
	cfg = cfg.WithDefaults()
	cfg.Validate(func(key, problem string) { t.Errorf("Validate: %s: %s", key, problem) })
	p, err := ldap.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// authenticate looks a login name up and proves the password, as the chain does.
func authenticate(t testing.TB, ctx context.Context, p *ldap.Provider, login, password string) (*providers.Identity, error) {
	t.Helper()
	name, err := providers.ParseLogin(login)
	if err != nil {
		t.Fatalf("ParseLogin(%q) = %v", login, err)
	}
	return providertest.Authenticate(ctx, p, name, providers.LoginPassword{Secret: secret.New(password)})
}

// login is authenticate with a timeout.
func login(t testing.TB, p *ldap.Provider, name, password string) (*providers.Identity, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return authenticate(t, ctx, p, name, password)
}

// mustLogin is login that has to succeed.
func mustLogin(t testing.TB, p *ldap.Provider, name, password string) *providers.Identity {
	t.Helper()
	id, err := login(t, p, name, password)
	if err != nil {
		t.Fatalf("Authenticate(%q) = %v, want an identity", name, err)
	}
	return id
}

// lower returns a user name as the provider returns it.
func lower(name string) string { return strings.ToLower(name) }

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
