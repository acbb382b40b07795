package ldap_test

import (
	"slices"
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
	key    string // of the finding
	text   string // in it
}

// problems returns the findings of a health check of one severity. An error is a fault.
func problems(t *testing.T, cfg ldap.Config, severity providers.Severity) providers.Findings {
	t.Helper()
	found, err := newProvider(t, cfg).Ping(t.Context())
	if err != nil {
		found = append(found, providers.Faultf(providers.KeyOf(err), "%v", err))
	}
	return slices.DeleteFunc(found, func(f providers.Finding) bool { return f.Severity != severity })
}

// testWrongValues runs a table. A fault must be the only one: one cause has one fault.
func testWrongValues(t *testing.T, good ldap.Config, severity providers.Severity, tests []wrongValue) {
	t.Helper()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := good
			test.change(&cfg)
			got := problems(t, cfg, severity)
			told := slices.ContainsFunc(got, func(f providers.Finding) bool { return f.Key == test.key && strings.Contains(f.Text, test.text) })
			if !told || severity == providers.SeverityFault && len(got) != 1 {
				t.Errorf("Ping() = %v\nwant one %s of %q with %q", got, severity, test.key, test.text)
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

// TestWrongValues: check --live fails wherever no person could log in or all would
// be denied, and names the key to change (F3, C12, C14). The configuration is right but for
// one value.
func TestWrongValues(t *testing.T) {
	s := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	good := slapdConfig(s)
	if found, err := newProvider(t, good).Ping(t.Context()); err != nil || len(found.Faults()) > 0 {
		t.Fatalf("Ping() = %v, %v, want no fault", found, err)
	}
	unset := func(c *ldap.Config) { c.BindDN, c.BindPassword = "", secret.Text{} }
	testWrongValues(t, good, providers.SeverityFault, []wrongValue{
		{"preset", func(c *ldap.Config) { c.Preset = "activedirectory" }, "preset", "is not Active Directory"},
		{"no bind_dn where anonymous sees nothing", unset, "bind_dn", "write bind_dn and bind_password"},
		{"bind_dn of an account that sees only itself", func(c *ldap.Config) { c.BindDN, c.BindPassword = s.Person("bob"), secret.New("bobpw") }, "bind_dn", `"uid=bob,ou=people,dc=example,dc=org" sees neither`},
		{"users.base in another directory", func(c *ldap.Config) { c.Users.Base = new("ou=people,dc=corp,dc=example") }, "users.base", `holds "dc=example,dc=org"`},
		{"users.base that does not exist", func(c *ldap.Config) { c.Users.Base = new("ou=persons,ou=corp," + s.Base) }, "users.base", `"dc=example,dc=org" contains ou=`},
		{"users.base without people", func(c *ldap.Config) { c.Users.Base = new(s.Groups) }, "users.base", "sees no people"},
		{"users.base that is empty", func(c *ldap.Config) { c.Users.Base = new("ou=elsewhere," + s.Base); c.Users.Scope = "one" }, "users.base", "sees no people"},
		{"users.base of a person", func(c *ldap.Config) { c.Users.Base = new(s.Person("bob")) }, "users.base", "is empty"},
		{"users.scope", func(c *ldap.Config) { c.Users.Base, c.Users.Scope = new(s.Base), "one" }, "users.scope", `write users.scope = "sub"`},
		{"users.filter by an attribute that no entry has", func(c *ldap.Config) { c.Users.Filter = "(sAMAccountName={user})" }, "users.filter", "with uid, cn"},
		{"users.filter by a class that no entry has", func(c *ldap.Config) { c.Users.Filter = "(&(objectClass=user)(uid={user}))" }, "users.filter", "with uid, cn"},
		{"users.name", func(c *ldap.Config) { c.Users.Name = "uuid" }, "users.name", "with uid, cn"},
		{"users.subject", func(c *ldap.Config) { c.Users.Subject = "objectGUID" }, "users.subject", "with entryUUID"},
		{"users.subject that people share", func(c *ldap.Config) { c.Users.Subject = "structuralObjectClass" }, "users.subject", "have the same structuralObjectClass"},
		{"users.dn_template", func(c *ldap.Config) { c.Users.Base, c.Users.DNTemplate = nil, "sAMAccountName={user},"+s.People }, "users.dn_template", "with uid, cn"},
		{"users.dn_template by an attribute that is in no DN", func(c *ldap.Config) { c.Users.Base, c.Users.DNTemplate = nil, "sn={user},"+s.People }, "users.dn_template", "makes the DN of no person"},
		{"users.dn_template with another parent", func(c *ldap.Config) { c.Users.Base, c.Users.DNTemplate = new(s.Base), "uid={user},"+s.Groups }, "users.dn_template", "makes the DN of no person"},
		{"users.dn_template in a base that does not exist", func(c *ldap.Config) { c.Users.Base, c.Users.DNTemplate = nil, "uid={user},ou=persons,"+s.Base }, "users.dn_template", `"dc=example,dc=org" contains ou=`},
		{"users.dn_template in another directory, without bind_dn", func(c *ldap.Config) {
			unset(c)
			c.Users.Base, c.Users.DNTemplate = nil, "uid={user},ou=people,dc=corp,dc=example"
		}, "users.dn_template", `holds "dc=example,dc=org"`},
		{"users.dn_template in a base without people", func(c *ldap.Config) { c.Users.Base, c.Users.DNTemplate = nil, "uid={user},"+s.Groups }, "users.dn_template", "sees no people"},
		{"users.filter with users.dn_template", func(c *ldap.Config) {
			c.Users.Base, c.Users.DNTemplate, c.Users.Filter = nil, "uid={user},"+s.People, "(objectClass=user)"
		}, "users.filter", "with uid, cn"},
		{"users.state by an attribute that bars all", func(c *ldap.Config) { c.Users.Filter = "(&(objectClass=shadowAccount)(uid={user}))" }, "users.state", "1 expired (shadowExpire)"},
		{"groups.base in another directory", func(c *ldap.Config) { c.Groups.Base = new("ou=groups,dc=corp,dc=example") }, "groups.base", `holds "dc=example,dc=org"`},
		{"groups.base that does not exist", func(c *ldap.Config) { c.Groups.Base = new("ou=teams," + s.Base) }, "groups.base", `"dc=example,dc=org" contains ou=`},
		{"groups.base without groups", func(c *ldap.Config) { c.Groups.Base = new(s.Person("bob")) }, "groups.base", "is empty"},
		{"groups.base of people", func(c *ldap.Config) { c.Groups.Base, c.Groups.Name = new(s.People), "ou" }, "groups.base", "sees no groups"},
		{"groups.base of other groups", func(c *ldap.Config) { c.Groups.Base = new("ou=services," + s.Base) }, "groups.base", "no group under"},
		{"groups.scope", func(c *ldap.Config) { c.Groups.Base, c.Groups.Scope, c.Groups.Name = new(s.Base), "one", "cn" }, "groups.scope", `write groups.scope = "sub"`},
		{"groups.filter by an attribute no group has", func(c *ldap.Config) { c.Groups.Filter = "(roleOccupant={dn})" }, "groups.filter", `write groups.filter = "(member={dn})"`},
		{"groups.filter with the name for the DN", func(c *ldap.Config) { c.Groups.Filter = "(member={user})" }, "groups.filter", `write groups.filter = "(member={dn})"`},
		{"groups.filter by an attribute people lack", func(c *ldap.Config) { c.Groups.Filter = "(memberUid={employeeNumber})" }, "groups.filter", "shows no employeeNumber"},
		{"groups.attribute that no person shows", func(c *ldap.Config) { c.Groups.Attribute = "isMemberOf" }, "groups.attribute", "with the overlay memberof"},
		{"groups.name", func(c *ldap.Config) { c.Groups.Name = "sAMAccountName" }, "groups.name", "with cn"},
		{"groups.attribute that holds no DNs", func(c *ldap.Config) { c.Groups.Attribute = "cn" }, "groups.attribute", "the person's cn does not name it"},
		{"groups.only", func(c *ldap.Config) { c.Groups.Only = []string{"registry-*"} }, "groups.only", "keeps none of these groups"},
		{"users.filter by an attribute without an index, with limits", func(c *ldap.Config) { c.BindDN, c.Users.Filter = s.Limited, "(sn={user})" }, "users.filter", "search for one person"},
	})
	// A directory that lists nothing for limits, and admits every person, has no fault.
	limited := good
	limited.BindDN = s.Limited
	p := newProvider(t, limited)
	if found, err := p.Ping(t.Context()); err != nil || len(found.Faults()) > 0 || strings.Count(found.String(), "cannot be listed, which no login needs") != 2 {
		t.Errorf("Ping() with limits = %v, %v, want no fault, and that people and groups are not checked", found, err)
	}
	mustLogin(t, p, "alice", "alicepw")
	for key, change := range map[string]func(c *ldap.Config){
		"users.base":  func(c *ldap.Config) { c.Users.Base = new("ou=nowhere," + s.Base) },
		"groups.base": func(c *ldap.Config) { c.Groups.Base = new("ou=nowhere," + s.Base) },
		"bind_dn":     unset,
	} {
		cfg := good
		change(&cfg)
		if _, err := login(t, newProvider(t, cfg), "alice", "alicepw"); providers.KeyOf(err) != key || !strings.Contains(err.Error(), key) {
			t.Errorf("Authenticate with a wrong %s = %v with key %q", key, err, providers.KeyOf(err))
		}
	}
	testWrongValues(t, good, providers.SeverityWarning, []wrongValue{
		{"users.name that some lack", func(c *ldap.Config) { c.Users.Name = "mail" }, "users.name", "3 of these people do not show one mail"},
		{"users.name that two share", func(*ldap.Config) {}, "users.name", `are both called "twin"`},
		{"users.stamp", func(c *ldap.Config) { c.Users.Stamp = []string{"pwdLastSet"} }, "users.stamp", "none of the 14 people shows"},
		{"users.stamp that some lack", func(c *ldap.Config) { c.Users.Stamp = []string{"shadowExpire"} }, "users.stamp", "13 of the 14 people show none"},
		{"users.stamp without a preset", func(c *ldap.Config) {
			c.Preset, c.Users.Filter, c.Users.Name, c.Users.Subject, c.Groups.Filter = "", "(uid={user})", "uid", "entryUUID", "(member={dn})"
		}, "users.stamp", "without users.stamp"},
		{"users.domains", func(c *ldap.Config) { c.Users.Name = "mail" }, "users.domains", `write users.domains = ["example.org"]`},
		{"users.dn_template of some", func(c *ldap.Config) { c.Users.Base, c.Users.DNTemplate = nil, "cn={user},"+s.People }, "users.dn_template", "who cannot log in"},
		{"claims", func(c *ldap.Config) { c.Claims = []string{"department"} }, "claims", "no rule can read claims.department"},
		{"groups.name that some lack", func(c *ldap.Config) { c.Groups.Name = "gidNumber" }, "groups.name", "some groups show no gidNumber"},
		{"groups.nested", func(*ldap.Config) {}, "groups.nested", `write groups.nested = "walk"`},
		{"groups.nested with memberOf", func(c *ldap.Config) { c.Groups.Attribute = "memberOf" }, "groups.nested", `write groups.nested = "walk"`},
		{"groups.filter without the primary group", func(c *ldap.Config) { c.Users.Filter = "(&(objectClass=posixAccount)(uid={user}))" }, "groups.filter", "is the primary group of"},
	})
}

// testActiveDirectoryWrongValues: check --live names the key to change (F3, C14).
func testActiveDirectoryWrongValues(t *testing.T, s *ldaptest.Samba) {
	good := sambaConfig(s)
	if got := problems(t, good, providers.SeverityFault); len(got) > 0 {
		t.Fatalf("Ping() = %v, want no fault", got)
	}
	testWrongValues(t, good, providers.SeverityFault, []wrongValue{
		{"preset", func(c *ldap.Config) { c.Preset = "openldap" }, "preset", "is Active Directory"},
		{"bind_password", func(c *ldap.Config) { c.BindPassword = secret.New("wrong") }, "bind_password", "wrong password (data 52e)"},
		{"bind_dn of a disabled account", func(c *ldap.Config) {
			c.BindDN, c.BindPassword = s.Person("carol"), secret.New("carol-Pw1")
		}, "bind_dn", "account disabled (data 533)"},
		{"no bind_dn", func(c *ldap.Config) { c.BindDN, c.BindPassword = "", secret.Text{} }, "bind_dn", "refuses anonymous searches"},
		{"users.base in another domain", func(c *ldap.Config) { c.Users.Base = new("OU=People,DC=corp,DC=example") }, "users.base", `holds "DC=ad,DC=example,DC=org"`},
		{"groups.base in another domain with users.bind_name", func(c *ldap.Config) {
			c.BindDN, c.BindPassword, c.Users.BindName = "", secret.Text{}, "{user}@ad.example.org"
			c.Groups.Base = new("OU=Teams,DC=corp,DC=example")
		}, "groups.base", `holds "DC=ad,DC=example,DC=org"`},
		{"users.base that does not exist", func(c *ldap.Config) { c.Users.Base = new("OU=Persons," + s.Base) }, "users.base", "contains "},
		{"users.filter", func(c *ldap.Config) { c.Users.Filter = "(uid={user})" }, "users.filter", "with sAMAccountName, userPrincipalName"},
		{"users.subject", func(c *ldap.Config) { c.Users.Subject = "entryUUID" }, "users.subject", "with objectGUID"},
		{"groups.base", func(c *ldap.Config) { c.Groups.Base = new("OU=Groups," + s.Base) }, "groups.base", "contains "},
		{"groups.filter", func(c *ldap.Config) { c.Groups.Filter = "(uniqueMember={dn})" }, "groups.filter", `write groups.filter = "(member={dn})"`},
	})
	wrong := good
	wrong.Groups.Base = new("OU=Groups," + s.Base)
	if _, err := login(t, newProvider(t, wrong), "alice", "alice-Pw1"); providers.KeyOf(err) != "groups.base" {
		t.Errorf("Authenticate with a wrong groups.base = %v with key %q", err, providers.KeyOf(err))
	}
	testWrongValues(t, good, providers.SeverityWarning, []wrongValue{
		{"groups.nested", func(c *ldap.Config) { c.Groups.Filter, c.Groups.Nested = "(member={dn})", "none" }, "groups.nested", `write groups.nested = "token_groups"`},
		{"groups.filter without the primary group", func(c *ldap.Config) { c.Groups.Filter = "(member={dn})" }, "groups.nested", "and leave groups.filter out"},
		{"groups.attribute without the primary group", func(c *ldap.Config) { c.Groups.Attribute = "memberOf" }, "groups.nested", "and leave groups.attribute out"},
	})
}
