package ldap_test

import (
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// wrongValue is a configuration with one wrong value, and what check --live says of it.
type wrongValue struct {
	name   string
	change func(c *ldap.Config)
	key    string // of the first fault or warning
	text   string // in it
}

// firstProblem returns the error of a health check as a fault, or its first finding that
// is more than information.
func firstProblem(t *testing.T, cfg ldap.Config) providers.Finding {
	t.Helper()
	found, err := newProvider(t, cfg).Ping(t.Context())
	if err != nil {
		return providers.Faultf(providers.KeyOf(err), "%v", err)
	}
	for _, severity := range []providers.Severity{providers.SeverityFault, providers.SeverityWarning} {
		for _, f := range found {
			if f.Severity == severity {
				return f
			}
		}
	}
	return providers.Infof("%s", found)
}

func testWrongValues(t *testing.T, good ldap.Config, severity providers.Severity, tests []wrongValue) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := good
			test.change(&cfg)
			if got := firstProblem(t, cfg); got.Severity != severity || got.Key != test.key || !strings.Contains(got.Text, test.text) {
				t.Errorf("Ping() = %v\nwant %s of %q with %q", got, severity, test.key, test.text)
			}
		})
	}
}

// TestConnectionFaults: where no connection works, the error names the key to change, for
// check --live, for the log and for the audit line of a login (C14, F3, F11).
func TestConnectionFaults(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{RequireTLS: true})
	named := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Authority: s.Authority, Names: []string{"dc1.corp.example"}})
	other := ldaptest.NewAuthority(t)
	noTLS := ldaptest.NewFake(t, func(ldaptest.Request) ldaptest.Answer {
		return ldaptest.Answer{Code: goldap.LDAPResultProtocolError, Message: "unsupported extended operation"}
	})
	swap := strings.NewReplacer("ldap://", "ldaps://", "ldaps://", "ldap://")
	testWrongValues(t, slapdConfig(s), providers.SeverityFault, []wrongValue{
		{"port", func(c *ldap.Config) { c.URLs = []string{"ldaps://127.0.0.1:" + ldaptest.FreePort(t)} }, "urls", "nothing listens there"},
		{"the port without TLS for ldaps", func(c *ldap.Config) { c.URLs = []string{swap.Replace(s.URL)} }, "urls", "a port without TLS answers so"},
		{"the port of ldaps without TLS", func(c *ldap.Config) { c.URLs, c.Insecure = []string{swap.Replace(s.LDAPS)}, true }, "urls", "a port of LDAPS answers so"},
		{"the port of ldaps for StartTLS", func(c *ldap.Config) { c.URLs, c.StartTLS = []string{swap.Replace(s.LDAPS)}, true }, "urls", "a port of LDAPS answers so"},
		{"StartTLS at a server without it", func(c *ldap.Config) { c.URLs, c.StartTLS = []string{noTLS.URL}, true }, "start_tls", "the server offers none"},
		{"insecure at a server that requires TLS", func(c *ldap.Config) { c.URLs, c.Insecure = []string{s.URL}, true }, "start_tls", "the server wants TLS"},
		{"another authority", func(c *ldap.Config) { c.TLS.CA = other.CA }, "tls.ca", `lacks the authority "CN=shorepass test authority"`},
		{"no authority", func(c *ldap.Config) { c.TLS.CA = "" }, "tls.ca", "this machine does not trust"},
		{"a certificate for another name", func(c *ldap.Config) { c.URLs = []string{named.LDAPS} }, "urls", "the certificate is for dc1.corp.example"},
		{"tls.server_name", func(c *ldap.Config) { c.TLS.ServerName = "dc9.corp.example" }, "tls.server_name", "the certificate is for localhost, 127.0.0.1"},
		{"bind_password", func(c *ldap.Config) { c.BindPassword = secret.New("wrong") }, "bind_password", `or bind_dn, which is "uid=svc`},
		{"bind_dn", func(c *ldap.Config) { c.BindDN = "uid=nobody,ou=services,dc=example,dc=org" }, "bind_password", "Invalid Credentials (49)"},
		{"bind_dn of a locked account", func(c *ldap.Config) { c.BindDN = s.Person("carol") }, "bind_password", "Invalid Credentials (49)"},
	})
	cfg := slapdConfig(s)
	cfg.TLS.CA = other.CA
	if _, err := login(t, newProvider(t, cfg), "alice", "alicepw"); providers.KeyOf(err) != "tls.ca" {
		t.Errorf("Authenticate at an untrusted server = %v with key %q, want tls.ca", err, providers.KeyOf(err))
	}
}
