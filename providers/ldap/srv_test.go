package ldap_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"shorepass/providers"
	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

const srvName = "_ldap._tcp.corp.example"

// srv returns the SRV record of a slapd under another name.
func srv(t *testing.T, s *ldaptest.Slapd, priority uint16, target string) net.SRV {
	t.Helper()
	u, err := url.Parse(s.LDAPS)
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return net.SRV{Target: target + ".", Port: uint16(port), Priority: priority}
}

// srvProvider returns a provider whose servers are those of the SRV records.
func srvProvider(t *testing.T, s *ldaptest.Slapd, dns *ldaptest.DNS, change func(c *ldap.Config)) *ldap.Provider {
	t.Helper()
	cfg := slapdConfig(s)
	cfg.URLs = []string{"ldaps://" + srvName}
	change(&cfg)
	p := newProvider(t, cfg)
	p.SetResolver(dns.Resolver())
	return p
}

// TestSRV: the servers that SRV records name are used by priority, each with a certificate
// for its own name; they fail over, and are looked up again (C8).
func TestSRV(t *testing.T) {
	first := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Names: []string{"dc1.corp.example"}})
	second := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Names: []string{"dc2.corp.example"}, Authority: first.Authority})
	dns := ldaptest.NewDNS(t)
	dns.Set(srvName, srv(t, second, 20, "dc2.corp.example"), srv(t, first, 10, "dc1.corp.example"))
	p := srvProvider(t, first, dns, func(*ldap.Config) {})
	mustLogin(t, p, "alice", "alicepw")
	if n := second.Binds(t, second.Base); n != 0 || first.Binds(t, first.People) != 1 {
		t.Errorf("%d binds arrived at the server of the lower priority, want none", n)
	}
	if n := dns.Asked(); n != 1 {
		t.Errorf("SRV records were asked for %d times, want once in their TTL", n)
	}
	// A server that is removed from the records is not used any more.
	dns.Set(srvName, srv(t, second, 20, "dc2.corp.example"))
	p.LookUpServers(t.Context())
	mustLogin(t, p, "bob", "bobpw")
	if n := second.Binds(t, second.People); n != 1 {
		t.Errorf("%d binds arrived at the server that is listed alone, want 1", n)
	}
	dns.Set(srvName, srv(t, first, 10, "dc1.corp.example"), srv(t, second, 20, "dc2.corp.example"))
	p.LookUpServers(t.Context())
	mustLogin(t, p, "alice", "alicepw")
	if n := first.Binds(t, first.People); n != 2 {
		t.Errorf("%d binds arrived at the server that is listed again, want 2", n)
	}

	// Servers fail over, and while DNS fails, the last answer holds.
	dns.Fail(true)
	p.LookUpServers(t.Context())
	first.Kill()
	mustLogin(t, p, "alice", "alicepw")
	if n := second.Binds(t, second.People); n != 2 {
		t.Errorf("%d binds arrived at the second server after the first was killed, want 2", n)
	}
	found, err := p.Ping(t.Context())
	if err != nil || !strings.Contains(found.String(), "DNS resolver does not answer") {
		t.Errorf("Ping() = %v, %v, want a warning of DNS", found, err)
	}

	// A resolver that is silent leaves time to connect to the last address.
	dns.Silence(true)
	second.Stop()
	second.Start(t)
	mustLogin(t, p, "alice", "alicepw")
}

// TestSRVRecords: of many records 16 servers are used, the same ones and in one order until
// the records change; many refused targets have one warning (C8).
func TestSRVRecords(t *testing.T) {
	dns := ldaptest.NewDNS(t)
	cfg := ldap.Config{Preset: "openldap", URLs: []string{"ldaps://" + srvName}, Users: ldap.Users{Base: new("dc=x,dc=y")}}.WithDefaults()
	p, err := ldap.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.SetResolver(dns.Resolver())
	var log bytes.Buffer
	p.SetLog(slog.New(slog.NewTextHandler(&log, nil)))
	records := make([]net.SRV, 20)
	for i := range records {
		records[i] = net.SRV{Target: fmt.Sprintf("dc%d.corp.example.", i), Port: 636, Weight: 1}
	}
	dns.Set(srvName, records...)
	p.LookUpServers(t.Context())
	first := p.ServerURLs()
	for range 3 {
		p.LookUpServers(t.Context())
		if again := p.ServerURLs(); !slices.Equal(again, first) || len(again) != 16 {
			t.Errorf("the same 20 records gave %q, and then %q, want 16 that stay", first, again)
		}
	}
	for i := range records {
		records[i].Priority = uint16(len(records) - i)
	}
	dns.Set(srvName, records...)
	p.LookUpServers(t.Context())
	if got := p.ServerURLs()[0]; got != "ldaps://dc19.corp.example:636" {
		t.Errorf("after a change of the priorities the first server is %s, want dc19", got)
	}
	for i := range records[1:] {
		records[i+1].Target = fmt.Sprintf("dc%d.evil.example.", i)
	}
	dns.Set(srvName, records...)
	p.LookUpServers(t.Context())
	if n := strings.Count(log.String(), "not under corp.example"); n != 1 || !strings.Contains(log.String(), "19 such names") {
		t.Errorf("%d warnings of 19 refused targets, want one with their number:\n%s", n, log.String())
	}
}

// TestSRVFaults: a forged or wrong answer of DNS sends no password to a host outside of
// the domain, or with a certificate for another name; the key to change is named (C8).
func TestSRVFaults(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{Names: []string{"evil.example", "www.corp.example"}})
	for _, test := range []struct {
		name    string
		records []net.SRV
		change  func(c *ldap.Config)
		key     string // of the error; "": the login succeeds
		text    string
	}{
		{"a target outside of the domain", []net.SRV{srv(t, s, 1, "evil.example")}, func(*ldap.Config) {}, "urls", "name no server that can be used"},
		{"a target whose name ends alike", []net.SRV{srv(t, s, 1, "evilcorp.example")}, func(*ldap.Config) {}, "urls", "name no server that can be used"},
		{"a certificate for another name", []net.SRV{srv(t, s, 1, "dc1.corp.example")}, func(*ldap.Config) {}, "urls", "the certificate is for evil.example, www.corp.example"},
		{"a name without records", nil, func(c *ldap.Config) { c.URLs = []string{"ldaps://_ldap._tcp.other.example"} }, "urls", "DNS has none of this name"},
		{"the service is not offered", []net.SRV{{Target: "."}}, func(*ldap.Config) {}, "urls", "name no server that can be used"},
		{"a target under the domain", []net.SRV{srv(t, s, 1, "www.corp.example")}, func(*ldap.Config) {}, "", ""},
		{"a target outside, and one name for all certificates", []net.SRV{srv(t, s, 1, "dc1.other.example")}, func(c *ldap.Config) { c.TLS.ServerName = "www.corp.example" }, "", ""},
		{"a server of its own before", []net.SRV{srv(t, s, 1, "www.corp.example")}, func(c *ldap.Config) {
			c.URLs = append([]string{"ldaps://127.0.0.1:" + ldaptest.FreePort(t)}, c.URLs...)
		}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dns := ldaptest.NewDNS(t)
			if test.records != nil {
				dns.Set(srvName, test.records...)
			}
			p := srvProvider(t, s, dns, test.change)
			_, err := login(t, p, "alice", "alicepw")
			if providers.KeyOf(err) != test.key || (err == nil) != (test.key == "") || err != nil && !strings.Contains(err.Error(), test.text) {
				t.Errorf("Authenticate = %v with key %q, want %q with %q", err, providers.KeyOf(err), test.key, test.text)
			}
			if _, err := p.Ping(t.Context()); providers.KeyOf(err) != test.key {
				t.Errorf("Ping = %v with key %q, want %q", err, providers.KeyOf(err), test.key)
			}
		})
	}
}

// TestSRVInURLs: names of SRV records are checked when the configuration is read (C8).
func TestSRVInURLs(t *testing.T) {
	for _, test := range []struct{ url, problem string }{
		{"ldaps://_ldap._tcp.corp.example", ""},
		{"ldaps://_gc._tcp.corp.example", ""},
		{"ldaps://_ldap._tcp.London._sites.dc._msdcs.corp.example", ""},
		{"ldaps://_ldap._tcp.corp.example:636", "without a port"},
		{"ldaps://_ldap.corp.example", "is not the name of SRV records"},
		{"ldaps://_ldap._tcp", "is not the name of SRV records"},
		{"ldaps://_ldap._tcp.example", "is not the name of SRV records"}, // strangers have hosts under example
		{"ldap://_ldap._tcp.corp.example", "is plain ldap"},
	} {
		var got string
		cfg := ldap.Config{Preset: "openldap", URLs: []string{test.url}, Users: ldap.Users{Base: new("dc=x,dc=y")}}.WithDefaults()
		cfg.Validate(func(key, problem string) { got += key + ": " + problem })
		if (got == "") != (test.problem == "") || !strings.Contains(got, test.problem) {
			t.Errorf("Validate with %s: %q, want %q", test.url, got, test.problem)
		}
	}
}
