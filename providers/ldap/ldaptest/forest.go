package ldaptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Domains of the forest of [StartForest].
const (
	ForestRoot  = "DC=ad,DC=example"
	ForestChild = "DC=child," + ForestRoot
	ForestTree  = "DC=other,DC=test" // a second tree
)

// Values of groupType ([MS-ADTS], section 2.2.12).
const (
	globalGroup    = "-2147483646"
	universalGroup = "-2147483640"
)

// StartForest starts a slapd with the schema and the tree of a global catalog of Active
// Directory, of a forest of three domains: Samba has forests of one domain. People have
// their name, two letters of the domain and "pw" as the password, such as "alicead"+"pw",
// and their user principal name is of their domain, but for two:
//
//	alice   in the root domain, as alice@corp.example; in devs
//	carol   in the child domain, as carol@ad.example
//	jdoe    one in the root and one in the child domain; the second is in devs
//	dora    in the second tree
//	guest   in the root domain; may not read crew
//
// Groups: devs and staff are universal; staff contains the global group crew of the child
// domain; admins is a universal group of the root domain and one of the child domain, of
// alice and of the child's jdoe.
func StartForest(t testing.TB) *Slapd {
	t.Helper()
	s := &Slapd{
		program: findProgram(t, "slapd", slapdPackages), Authority: NewAuthority(t),
		Base: ForestRoot, People: "CN=Users," + ForestRoot, Groups: "OU=Teams," + ForestRoot,
		BindDN: "CN=svc,CN=Users," + ForestRoot, Password: "svcadpw",
	}
	s.Admin = Admin{tls: s.Client("127.0.0.1"), dn: "cn=admin", password: "admin"}
	certificate, key := s.Issue(t, "127.0.0.1")
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	config, rootDSE, tree := filepath.Join(dir, "slapd.conf"), filepath.Join(dir, "rootdse.ldif"), filepath.Join(dir, "tree.ldif")
	for name, text := range map[string]string{
		config: forestConfig(dir, rootDSE, s.CA, certificate, key),
		rootDSE: "dn:\nconfigurationNamingContext: CN=Configuration," + ForestRoot + "\ndefaultNamingContext: " + ForestRoot +
			"\nrootDomainNamingContext: " + ForestRoot + "\n",
		tree: forestTree(),
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(findProgram(t, "slapadd", slapdPackages), "-q", "-f", config, "-l", tree).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
	s.args = []string{"-f", config, "-d", "256"}
	s.startOnFreePorts(t)
	return s
}

func forestConfig(dir, rootDSE, ca, certificate, key string) string {
	return `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
` + forestSchema() + `
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile ` + dir + `/slapd.pid
argsfile ` + dir + `/slapd.args
rootDSE ` + rootDSE + `
TLSCACertificateFile ` + ca + `
TLSCertificateFile ` + certificate + `
TLSCertificateKeyFile ` + key + `
database mdb
maxsize 268435456
suffix ""
rootdn "cn=admin"
rootpw admin
directory ` + dir + `/db
dbnosync
access to attrs=userPassword by anonymous auth by * none
access to dn.exact="CN=crew,OU=Teams,` + ForestChild + `" by dn.exact="CN=guest,CN=Users,` + ForestRoot + `" none by * break
access to * by users read by anonymous auth
`
}

// forestSchema defines the attributes of Active Directory that a forest needs.
func forestSchema() string {
	const text, integer, octets, dn = "caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15", "integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27", "octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40", "distinguishedNameMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.12"
	var b strings.Builder
	for i, a := range []struct{ name, syntax string }{
		{"sAMAccountName", text}, {"userPrincipalName", text}, {"objectCategory", text}, {"nETBIOSName", text}, {"dnsRoot", text},
		{"userAccountControl", integer}, {"groupType", integer}, {"systemFlags", integer}, {"pwdLastSet", integer},
		{"objectGUID", octets}, {"nCName", dn}, {"memberOf", dn},
		{"configurationNamingContext", dn}, {"defaultNamingContext", dn}, {"rootDomainNamingContext", dn},
	} {
		fmt.Fprintf(&b, "attributetype ( 1.3.6.1.4.1.4203.666.9.%d NAME '%s' EQUALITY %s )\n", i+1, a.name, a.syntax)
	}
	for i, c := range []string{
		"NAME 'user' SUP inetOrgPerson STRUCTURAL MAY ( sAMAccountName $ userPrincipalName $ objectCategory $ userAccountControl $ pwdLastSet $ objectGUID $ memberOf )",
		"NAME 'group' SUP top STRUCTURAL MUST cn MAY ( sAMAccountName $ groupType $ member $ memberOf $ objectGUID $ distinguishedName )",
		"NAME 'crossRef' SUP top STRUCTURAL MUST cn MAY ( nETBIOSName $ dnsRoot $ nCName $ systemFlags )",
		"NAME 'container' SUP top STRUCTURAL MUST cn",
	} {
		fmt.Fprintf(&b, "objectclass ( 1.3.6.1.4.1.4203.666.10.%d %s )\n", i+1, c)
	}
	return b.String()
}

// forestTree returns the entries as LDIF.
func forestTree() string {
	var b strings.Builder
	add := func(dn, class string, attributes ...string) {
		fmt.Fprintf(&b, "dn: %s\nobjectClass: %s\n%s\n\n", dn, class, strings.Join(attributes, "\n"))
	}
	add("DC=example", "domain", "dc: example")
	add("DC=test", "domain", "dc: test")
	for _, d := range []struct{ dn, dc string }{{ForestRoot, "ad"}, {ForestChild, "child"}, {ForestTree, "other"}} {
		add(d.dn, "domain", "dc: "+d.dc)
		add("CN=Users,"+d.dn, "container")
		add("OU=Teams,"+d.dn, "organizationalUnit")
	}
	add("CN=Configuration,"+ForestRoot, "container")
	add("CN=Partitions,CN=Configuration,"+ForestRoot, "container")
	for _, ref := range []struct{ name, dns, dn, flags string }{
		{"ADEX", "ad.example", ForestRoot, "3"}, {"CHILD", "child.ad.example", ForestChild, "3"}, {"OTHER", "other.test", ForestTree, "3"},
		{"Enterprise Schema", "ad.example", "CN=Schema,CN=Configuration," + ForestRoot, "1"},
	} {
		attributes := []string{"dnsRoot: " + ref.dns, "nCName: " + ref.dn, "systemFlags: " + ref.flags}
		if ref.flags == "3" {
			attributes = append(attributes, "nETBIOSName: "+ref.name)
		}
		add("CN="+ref.name+",CN=Partitions,CN=Configuration,"+ForestRoot, "crossRef", attributes...)
	}
	groups := map[string][]string{}
	for i, g := range []struct{ dn, kind, members string }{
		{"CN=devs,OU=Teams," + ForestRoot, universalGroup, "CN=alice,CN=Users," + ForestRoot + "|CN=jdoe,CN=Users," + ForestChild},
		{"CN=crew,OU=Teams," + ForestChild, globalGroup, "CN=carol,CN=Users," + ForestChild},
		{"CN=staff,OU=Teams," + ForestRoot, universalGroup, "CN=crew,OU=Teams," + ForestChild},
		{"CN=admins,OU=Teams," + ForestRoot, universalGroup, "CN=alice,CN=Users," + ForestRoot},
		{"CN=admins,OU=Teams," + ForestChild, universalGroup, "CN=jdoe,CN=Users," + ForestChild},
	} {
		name := strings.TrimPrefix(strings.Split(g.dn, ",")[0], "CN=")
		attributes := []string{"sAMAccountName: " + name, "groupType: " + g.kind, "distinguishedName: " + g.dn, guid(100 + i)}
		for member := range strings.SplitSeq(g.members, "|") {
			if g.kind == universalGroup { // a global catalog of another domain has no members of others
				attributes = append(attributes, "member: "+member)
				groups[member] = append(groups[member], "memberOf: "+g.dn)
			}
		}
		if g.kind == globalGroup {
			attributes = append(attributes, "memberOf: CN=staff,OU=Teams,"+ForestRoot)
		}
		add(g.dn, "group", attributes...)
	}
	for i, p := range []struct{ name, domain, upn string }{
		{"svc", ForestRoot, "svc@ad.example"}, {"alice", ForestRoot, "alice@corp.example"}, {"jdoe", ForestRoot, "jdoe@ad.example"},
		{"jdoe", ForestChild, "jdoe@child.ad.example"}, {"carol", ForestChild, "carol@ad.example"}, {"dora", ForestTree, "dora@other.test"},
		{"guest", ForestRoot, "guest@ad.example"},
	} {
		dn := "CN=" + p.name + ",CN=Users," + p.domain
		add(dn, "user", append(groups[dn], "sn: "+p.name, "objectCategory: person", "sAMAccountName: "+p.name, "userPrincipalName: "+p.upn,
			"userAccountControl: 512", guid(i), "userPassword: "+p.name+strings.ToLower(p.domain[3:5])+"pw")...)
	}
	return b.String()
}

// guid returns an objectGUID as LDIF.
func guid(n int) string { return fmt.Sprintf("objectGUID: forest-guid-%04d", n) }
