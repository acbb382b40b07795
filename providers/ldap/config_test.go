package ldap_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers/ldap"
)

// validConfig returns a configuration without a fault.
func validConfig(preset string) ldap.Config {
	return ldap.Config{
		Preset: preset, URLs: []string{"ldaps://dc1.corp.example"},
		BindDN: "cn=svc,dc=corp,dc=example", BindPassword: secret.New("x"),
		Users:  ldap.Users{Base: new("ou=people,dc=corp,dc=example")},
		Groups: ldap.Groups{Base: new("ou=groups,dc=corp,dc=example")},
	}
}

// TestPresets: a preset gives the defaults of its directory server, so that only
// servers, a service account and the bases are required.
func TestPresets(t *testing.T) {
	for _, test := range []struct {
		preset, name, subject, group string
		filter, attribute, nested    string
	}{
		{"openldap", "uid", "entryUUID", "cn", "(member={dn})", "", "none"},
		{"activedirectory", "sAMAccountName", "objectGUID", "sAMAccountName", "", "", "token_groups"},
		{"freeipa", "uid", "ipaUniqueID", "cn", "", "memberOf", "none"},
		{"389ds", "uid", "nsUniqueId", "cn", "(|(member={dn})(uniqueMember={dn}))", "", "none"},
		{"lldap", "uid", "entryUUID", "cn", "", "memberOf", "none"},
	} {
		c := validConfig(test.preset).WithDefaults()
		c.Validate(func(key, problem string) { t.Errorf("%s: %s: %s", test.preset, key, problem) })
		got := []string{c.Users.Name, c.Users.Subject, c.Groups.Name, c.Groups.Filter, c.Groups.Attribute, c.Groups.Nested}
		if want := []string{test.name, test.subject, test.group, test.filter, test.attribute, test.nested}; !slices.Equal(got, want) {
			t.Errorf("%s gives %q, want %q", test.preset, got, want)
		}
		if c.Timeout != 3*time.Second || c.DialTimeout != 2*time.Second {
			t.Errorf("%s gives the timeouts %s and %s", test.preset, c.Timeout, c.DialTimeout)
		}
		if diff := cmp.Diff(c.WithDefaults(), c, cmp.AllowUnexported(secret.Text{})); diff != "" {
			t.Errorf("%s: WithDefaults twice differs: %s", test.preset, diff)
		}
		if _, err := ldap.New(c); err != nil {
			t.Errorf("New with %s: %v", test.preset, err)
		}
	}
}

// bindByName changes a configuration to one for Active Directory without a service
// account.
func bindByName(c *ldap.Config, name string) {
	c.Preset, c.BindDN, c.BindPassword, c.Users.BindName = "activedirectory", "", secret.Text{}, name
}

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(c *ldap.Config)
		key    string // "" for no fault
		text   string // in the problem
	}{
		{"valid", func(*ldap.Config) {}, "", ""},
		{"unknown preset", func(c *ldap.Config) { c.Preset = "ad" }, "preset", `"389ds", "activedirectory", "freeipa", "lldap", "openldap"`},
		{"no servers", func(c *ldap.Config) { c.URLs = nil }, "urls", "is required"},
		{"clear", func(c *ldap.Config) { c.URLs = []string{"ldap://dc1"} }, "urls[0]", "insecure = true"},
		{"clear with insecure", func(c *ldap.Config) { c.URLs, c.Insecure = []string{"ldap://dc1"}, true }, "", ""},
		{"StartTLS", func(c *ldap.Config) { c.URLs, c.StartTLS = []string{"ldap://dc1:389/"}, true }, "", ""},
		{"IPv6", func(c *ldap.Config) { c.URLs = []string{"ldaps://[::1]:636"} }, "", ""},
		{"another scheme", func(c *ldap.Config) { c.URLs = []string{"ldaps://a", "https://b"} }, "urls[1]", "ldaps://"},
		{"Unix socket (C10)", func(c *ldap.Config) { c.URLs = []string{"ldaps://a", "ldapi://%2Frun%2Fslapd%2Fldapi"} }, "urls[1]", `write "ldap://127.0.0.1"`},
		{"Unix socket as a path", func(c *ldap.Config) { c.URLs = []string{"LDAPI:///run/slapd/ldapi"} }, "urls[0]", "Unix socket"},
		{"host without scheme", func(c *ldap.Config) { c.URLs = []string{"dc1.corp.example"} }, "urls[0]", "is not a URL"},
		{"URL with a base", func(c *ldap.Config) { c.URLs = []string{"ldaps://a/dc=corp"} }, "urls[0]", "alone"},
		{"URL with a password", func(c *ldap.Config) { c.URLs = []string{"ldaps://u:p@a"} }, "urls[0]", "alone"},
		{"no password", func(c *ldap.Config) { c.BindPassword = secret.Text{} }, "bind_password", "is required"},
		{"password without DN", func(c *ldap.Config) { c.BindDN = "" }, "bind_dn", "is required"},
		{"anonymous", func(c *ldap.Config) { c.BindDN, c.BindPassword = "", secret.Text{} }, "", ""},
		{"service account that is not a DN", func(c *ldap.Config) { c.BindDN = "svc" }, "bind_dn", "is not a DN"},
		{"UPN outside of AD", func(c *ldap.Config) { c.BindDN = "svc@corp.example" }, "bind_dn", "is not a DN"},
		{"UPN at AD", func(c *ldap.Config) { c.Preset, c.BindDN = "activedirectory", "svc@corp.example" }, "", ""},
		{"DOMAIN\\user at AD", func(c *ldap.Config) { c.Preset, c.BindDN = "activedirectory", `CORP\svc` }, "", ""},
		{"a name without a preset, as at Google's Secure LDAP (C3)", func(c *ldap.Config) {
			c.Preset, c.BindDN = "", "PsychoticMole"
			c.Users.Filter, c.Users.Name, c.Users.Subject, c.Groups.Filter = "(uid={user})", "uid", "entryUUID", "(member={dn})"
		}, "", ""},
		{"malformed DN at AD", func(c *ldap.Config) { c.Preset, c.BindDN = "activedirectory", "cn=svc,corp" }, "bind_dn", "is not a DN"},
		{"service account with a blank at the end", func(c *ldap.Config) { c.BindDN = "cn=svc,dc=x " }, "bind_dn", "blank"},
		{"bind name", func(c *ldap.Config) { bindByName(c, "{user}@ad.example.org") }, "", ""},
		{"bind name with a NetBIOS domain", func(c *ldap.Config) { bindByName(c, `CORP\{user}`) }, "", ""},
		{"bind name alone, without a preset", func(c *ldap.Config) {
			bindByName(c, "{user}")
			c.Preset, c.Users.Filter, c.Users.Name, c.Users.Subject, c.Groups.Filter = "", "(uid={user})", "uid", "entryUUID", "(member={dn})"
		}, "", ""},
		{"bind name alone, at AD", func(c *ldap.Config) { bindByName(c, "{user}") }, "users.bind_name", `"{user}@ad.example.org"`},
		{"bind name without a placeholder", func(c *ldap.Config) { bindByName(c, "alice@corp.example") }, "users.bind_name", "needs {user}"},
		{"bind name with the login name", func(c *ldap.Config) { bindByName(c, "{login}") }, "users.bind_name", `use "{user}"`},
		{"bind name with a brace alone", func(c *ldap.Config) { bindByName(c, "{user@corp.example") }, "users.bind_name", "brace"},
		{"bind name that is a DN", func(c *ldap.Config) { bindByName(c, "uid={user},dc=x") }, "users.bind_name", "users.dn_template"},
		{"bind name and template", func(c *ldap.Config) { bindByName(c, "{user}@x"); c.Users.DNTemplate = "uid={user},dc=x" }, "users.bind_name", "leave one out"},
		{"bind name and service account", func(c *ldap.Config) { bindByName(c, "{user}@x"); c.BindDN = "cn=svc,dc=x" }, "users.bind_name", "leave out bind_dn"},
		{"no base", func(c *ldap.Config) { c.Users.Base = nil }, "users.base", "is required"},
		{"an empty base (A8)", func(c *ldap.Config) { c.Users.Base = new("") }, "users.base", "is empty"},
		{"an empty base for groups (A8)", func(c *ldap.Config) { c.Groups.Base = new("") }, "groups.base", "is empty"},
		{"the whole forest (C7)", func(c *ldap.Config) { c.Preset, c.Users.Base, c.Groups.Base = "activedirectory", new(""), new("") }, "", ""},
		{"an empty base with a template", func(c *ldap.Config) {
			c.Preset, c.Users.Base, c.Users.DNTemplate = "activedirectory", new(""), "CN={user},DC=x"
		}, "users.base", "leave it out"},
		{"base that is not a DN", func(c *ldap.Config) { c.Users.Base = new("people") }, "users.base", "is not a DN"},
		{"malformed filter", func(c *ldap.Config) { c.Users.Filter = "(uid={user}" }, "users.filter", "is not a filter"},
		{"filter without a placeholder", func(c *ldap.Config) { c.Users.Filter = "(uid=alice)" }, "users.filter", `put in "{user}"`},
		{"unknown placeholder", func(c *ldap.Config) { c.Users.Filter = "(uid={username})" }, "users.filter", "there is {login} and {user}"},
		{"placeholder of another syntax", func(c *ldap.Config) { c.Users.Filter = "(uid=%s)" }, "users.filter", `put in "{user}"`},
		{"placeholder after a matching rule", func(c *ldap.Config) { c.Users.Filter = "(uid:caseExactMatch:={user})" }, "users.filter", ":="},
		{"matching rule without a placeholder", func(c *ldap.Config) {
			c.Users.Filter = "(&(uid={user})(memberOf:1.2.840.113556.1.4.1941:=cn=x,dc=y))"
		}, "", ""},
		{"unknown deref", func(c *ldap.Config) { c.Deref = "sometimes" }, "deref", `"always", "finding", "never", "searching"`},
		{"deref", func(c *ldap.Config) { c.Deref = "always" }, "", ""},
		{"unknown scope", func(c *ldap.Config) { c.Users.Scope = "base" }, "users.scope", `"sub" nor "one"`},
		{"malformed name attribute", func(c *ldap.Config) { c.Users.Name = "the uid" }, "users.name", "not the name of an attribute"},
		{"no preset and no filter", func(c *ldap.Config) { c.Preset = "" }, "users.filter", "without a preset"},
		{"template", func(c *ldap.Config) { c.Users = ldap.Users{DNTemplate: "uid={user},ou=people,dc=x"} }, "", ""},
		{"template without a placeholder", func(c *ldap.Config) { c.Users.DNTemplate = "uid=alice,ou=people,dc=x" }, "users.dn_template", "put in"},
		{"template that is not a DN", func(c *ldap.Config) { c.Users.DNTemplate = "{user}@corp.example" }, "users.dn_template", "does not make a DN"},
		{"template with an unknown placeholder", func(c *ldap.Config) { c.Users.DNTemplate = "uid={uid},dc=x" }, "users.dn_template", "{uid}"},
		{"domain with backslash", func(c *ldap.Config) { c.Users.Domains = []string{`CORP\`} }, "users.domains[0]", "without backslash"},
		{"malformed stamp attribute", func(c *ldap.Config) { c.Users.Stamp = []string{"a b"} }, "users.stamp[0]", "not the name"},
		{"stamp attribute that a failed bind changes", func(c *ldap.Config) { c.Users.Stamp = []string{"pwdLastSet", "badPwdCount"} }, "users.stamp[1]", "changes with wrong passwords"},
		{"stamp attribute that a lock changes", func(c *ldap.Config) { c.Users.Stamp = []string{"pwdAccountLockedTime"} }, "users.stamp[0]", "changes with wrong passwords"},
		{"lock attribute in another case", func(c *ldap.Config) { c.Users.Stamp = []string{"PWDACCOUNTLOCKEDTIME"} }, "users.stamp[0]", "changes with wrong passwords"},
		{"lock attribute with an option", func(c *ldap.Config) { c.Users.Stamp = []string{"accountunlocktime;lang-en"} }, "users.stamp[0]", "changes with wrong passwords"},
		{"lock attribute by its OID", func(c *ldap.Config) { c.Users.Stamp = []string{"1.2.840.113556.1.4.662"} }, "users.stamp[0]", "changes with wrong passwords"},
		{"state attribute in another case", func(c *ldap.Config) { c.Users.State = []string{"PwdReset"} }, "", ""},
		{"no state attributes", func(c *ldap.Config) { c.Users.State = []string{} }, "", ""},
		{"unknown state attribute", func(c *ldap.Config) { c.Users.State = []string{"pwdReset", "loginDisabled"} }, "users.state[1]", `"userAccountControl"`},
		{"groups without a base", func(c *ldap.Config) { c.Groups = ldap.Groups{Filter: "(member={dn})"} }, "groups.base", "is required"},
		{"no groups", func(c *ldap.Config) { c.Groups = ldap.Groups{} }, "", ""},
		{"group filter with the login name", func(c *ldap.Config) { c.Groups.Filter = "(memberUid={login})" }, "groups.filter", `use "{user}"`},
		{"group filter without a placeholder", func(c *ldap.Config) { c.Groups.Filter = "(cn=*)" }, "groups.filter", `put in "{dn}"`},
		{"group filter and attribute", func(c *ldap.Config) { c.Groups.Filter, c.Groups.Attribute = "(member={dn})", "memberOf" }, "groups.attribute", "leave one out"},
		{"unknown nesting", func(c *ldap.Config) { c.Groups.Nested = "deep" }, "groups.nested", `"walk"`},
		{"token groups at another directory", func(c *ldap.Config) { c.Groups.Nested = "token_groups" }, "groups.nested", "activedirectory"},
		{"token groups and a filter", func(c *ldap.Config) {
			c.Preset, c.Groups.Nested, c.Groups.Filter = "activedirectory", "token_groups", "(member={dn})"
		}, "groups.nested", "leave out"},
		{"depth above the maximum", func(c *ldap.Config) { c.Groups.Nested, c.Groups.Depth = "walk", 51 }, "groups.depth", "between 1 and 50"},
		{"nested filter without DN", func(c *ldap.Config) { c.Groups.Nested, c.Groups.NestedFilter = "walk", "(cn=x)" }, "groups.nested_filter", `put in "{dn}"`},
		{"nested filter by name", func(c *ldap.Config) { c.Groups.Nested, c.Groups.NestedFilter = "walk", "(memberUid={user})" }, "groups.nested_filter", "there is {dn}"},
		{"rename to a reserved name", func(c *ldap.Config) { c.Groups.Rename = map[string]string{"a": "anonymous"} }, "groups.rename", "shorepass's own"},
		{"malformed claim attribute", func(c *ldap.Config) { c.Claims = []string{"mail", ""} }, "claims[1]", "not the name"},
		{"timeout above the maximum", func(c *ldap.Config) { c.Timeout = 11 * time.Second }, "timeout", "10s"},
		{"dial timeout above the timeout", func(c *ldap.Config) { c.DialTimeout = 4 * time.Second }, "dial_timeout", "timeout, which is 3s"},
		{"negative number of connections", func(c *ldap.Config) { c.BindConnections = -1 }, "bind_connections", "between 1 and"},
		{"certificate without a key", func(c *ldap.Config) { c.TLS.Certificate = "x" }, "tls", "go together"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := validConfig("openldap")
			test.change(&c)
			var faults []string
			c.WithDefaults().Validate(func(key, problem string) { faults = append(faults, key+": "+problem) })
			if test.key == "" {
				if len(faults) != 0 {
					t.Errorf("Validate: %q, want no fault", faults)
				}
				return
			}
			if !slices.ContainsFunc(faults, func(f string) bool {
				return strings.HasPrefix(f, test.key+": ") && strings.Contains(f, test.text)
			}) {
				t.Errorf("Validate: %q, want %s: …%s…", faults, test.key, test.text)
			}
		})
	}
}

// TestFingerprint: the fingerprint changes with the accounts, and not with the servers.
func TestFingerprint(t *testing.T) {
	fingerprint := func(change func(c *ldap.Config)) string {
		c := validConfig("openldap")
		change(&c)
		p, err := ldap.New(c.WithDefaults())
		if err != nil {
			t.Fatal(err)
		}
		return p.Fingerprint()
	}
	before := fingerprint(func(*ldap.Config) {})
	for _, test := range []struct {
		name   string
		change func(c *ldap.Config)
		same   bool
	}{
		{"other servers", func(c *ldap.Config) { c.URLs = []string{"ldaps://dc2"} }, true},
		{"the base in another spelling", func(c *ldap.Config) { c.Users.Base = new("OU=People, DC=corp, DC=example") }, true},
		{"another base", func(c *ldap.Config) { c.Users.Base = new("ou=people,dc=other,dc=example") }, false},
		{"another subject", func(c *ldap.Config) { c.Users.Subject = "uid" }, false},
		{"another filter", func(c *ldap.Config) { c.Users.Filter = "(mail={login})" }, true},
	} {
		if got := fingerprint(test.change); (got == before) != test.same {
			t.Errorf("%s: Fingerprint = %q after %q, want the same: %v", test.name, got, before, test.same)
		}
	}
}
