package ldap_test

import (
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// TestPlainAndTLS: a connection fails with a certificate of an unknown authority or for
// another name, and without TLS if the server requires it; no bind is sent.
func TestPlainAndTLS(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{RequireTLS: true})
	other := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Authority: s.Authority, Names: []string{"dc1.corp.example"}})
	otherAuthority := ldaptest.NewAuthority(t)
	for _, test := range []struct {
		name   string
		change func(cfg *ldap.Config)
		want   string // in the error; "" for success
	}{
		{"unknown authority", func(c *ldap.Config) { c.TLS.CA = otherAuthority.CA }, "certificate"},
		{"unknown authority, StartTLS", func(c *ldap.Config) { c.URLs, c.StartTLS, c.TLS.CA = []string{s.URL}, true, otherAuthority.CA }, "certificate"},
		{"not in the system's authorities", func(c *ldap.Config) { c.TLS.CA = "" }, "certificate"},
		{"another name", func(c *ldap.Config) { c.URLs = []string{other.LDAPS} }, "127.0.0.1"},
		{"another name, StartTLS", func(c *ldap.Config) { c.URLs, c.StartTLS = []string{other.URL}, true }, "TLS"},
		{"another name, configured as server_name", func(c *ldap.Config) { c.URLs, c.TLS.ServerName = []string{other.LDAPS}, "dc1.corp.example" }, ""},
		{"without TLS at a server that requires it", func(c *ldap.Config) { c.URLs, c.Insecure = []string{s.URL}, true }, "use ldaps or start_tls"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := slapdConfig(s)
			test.change(&cfg)
			p := newProvider(t, cfg)
			began := time.Now()
			_, err := login(t, p, "alice", "alicepw")
			if test.want == "" {
				if err != nil {
					t.Errorf("Authenticate = %v, want an identity", err)
				}
				return
			}
			wantUnavailable(t, "Authenticate", began, err)
			if err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("Authenticate = %v, want an error with %q", err, test.want)
			}
		})
	}
	if n := other.Binds(t, other.Base) + s.Binds(t, s.People); n != 2 { // service account and alice in the one case that succeeds
		t.Errorf("%d binds arrived, want the 2 of the successful login and none at an untrusted server", n)
	}
}

// TestStartTLSRefused: if StartTLS fails, nothing is sent without TLS.
func TestStartTLSRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer ldaptest.Answer
	}{
		{"refused", ldaptest.Answer{Code: goldap.LDAPResultProtocolError, Message: "unsupported extended operation"}},
		{"no answer", ldaptest.Answer{Silence: true}},
		{"closed", ldaptest.Answer{Hangup: true}},
		{"accepted, and no TLS follows", ldaptest.Answer{}},
		{"accepted, and clear responses follow", ldaptest.Answer{Raw: []byte("\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := ldaptest.NewFake(t, func(ldaptest.Request) ldaptest.Answer { return test.answer })
			cfg := shortTimeouts(fakeConfig(f))
			cfg.StartTLS = true
			p := newProvider(t, cfg)
			began := time.Now()
			_, err := login(t, p, "alice", "alicepw")
			wantUnavailable(t, "Authenticate", began, err)
			for _, r := range f.Requests() {
				if r.Operation != goldap.ApplicationExtendedRequest {
					t.Errorf("request %v was sent without TLS", r)
				}
			}
		})
	}
}
