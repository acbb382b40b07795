package ldaptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	ldap "github.com/go-ldap/ldap/v3"
)

// SlapdOptions are the options of a slapd.
type SlapdOptions struct {
	// Lockout is the wrong password that locks an account, for a minute. Optional:
	// without it none does.
	Lockout int

	// People is the number of further people: user00001, user00002 and so on, each
	// with the password "pw" and the name, and in 20 of 200 groups.
	People int

	// Readers lets the service account see people only as a member of a group, from
	// which [Slapd.HidePeople] removes it.
	Readers bool

	// RequireTLS makes slapd refuse binds without TLS.
	RequireTLS bool

	// Quiet turns slapd's log off, so that it is as fast as it can be. [Slapd.Log] and
	// the counts made from it do not work then.
	Quiet bool

	// Authority issues the certificate. Optional: without it a new one does.
	Authority *Authority

	// Names are the names in the certificate. Default 127.0.0.1 and localhost.
	Names []string
}

// Slapd is a running OpenLDAP server.
type Slapd struct {
	Admin
	*Authority

	URL   string // ldap://127.0.0.1:…, for clear connections and StartTLS
	LDAPS string // ldaps://127.0.0.1:…

	Base     string // the suffix
	People   string // the DN that people are under
	Groups   string // the DN that groups are under
	BindDN   string // of a service account that may read all but passwords
	Password string // of the service account
	Limited  string // the DN of another one with the same password, for whom no search may look at more than a few entries

	program string
	args    []string
	process *process
}

const slapdPackages = "slapd ldap-utils libsasl2-modules"

// StartSlapd starts an OpenLDAP server with people and groups (see [Slapd.seed]).
func StartSlapd(t testing.TB, o SlapdOptions) *Slapd {
	t.Helper()
	s := newSlapd(t, o)
	s.startOnFreePorts(t)
	s.Do(t, func(c *ldap.Conn) error { return s.seed(c, o) })
	return s
}

// startOnFreePorts starts slapd for the first time.
func (s *Slapd) startOnFreePorts(t testing.TB) {
	t.Helper()
	for try := 1; ; try++ {
		s.choosePorts(t)
		err := s.launch(t)
		if err == nil {
			break
		}
		// Another process may have taken the free port.
		if try == 5 || !strings.Contains(s.process.out.string(), "Address already in use") {
			t.Fatalf("slapd does not answer: %v\n%s", err, s.process.out.tail())
		}
		s.process.kill()
	}
}

func newSlapd(t testing.TB, o SlapdOptions) *Slapd {
	t.Helper()
	const base = "dc=example,dc=org"
	s := &Slapd{
		program: findProgram(t, "slapd", slapdPackages), Authority: o.Authority,
		Base: base, People: "ou=people," + base, Groups: "ou=groups," + base,
		BindDN: "uid=svc,ou=services," + base, Password: "svcpw", Limited: "uid=limited,ou=services," + base,
	}
	if s.Authority == nil {
		s.Authority = NewAuthority(t)
	}
	s.Admin = Admin{tls: s.Client("127.0.0.1"), dn: "cn=admin," + base, password: "admin"}
	names := o.Names
	if names == nil {
		names = []string{"127.0.0.1", "localhost"}
	} else {
		s.Admin.tls.InsecureSkipVerify = true // the test wants a wrong name; the administrator must connect
	}
	certificate, key := s.Issue(t, names...)
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "db"), 0o700); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "slapd.conf")
	if err := os.WriteFile(config, []byte(slapdConfig(dir, s.CA, certificate, key, o)), 0o600); err != nil {
		t.Fatal(err)
	}
	level := "256"
	if o.Quiet {
		level = "0"
	}
	s.args = []string{"-f", config, "-d", level}
	s.addTree(t, dir, config, o)
	return s
}

// slapdSchema has attributes of other directories, for people of the object class
// foreignPerson: a binary identifier, as eDirectory defines it, and an attribute with
// two names.
const slapdSchema = `attributetype ( 2.16.840.1.113719.1.1.4.1.501 NAME 'GUID' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
attributetype ( 1.3.6.1.4.1.4203.666.7.1 NAME ( 'badge' 'badgeName' ) EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
objectclass ( 1.3.6.1.4.1.4203.666.7.2 NAME 'foreignPerson' AUXILIARY MAY ( GUID $ badge ) )
`

func slapdConfig(dir, ca, certificate, key string, o SlapdOptions) string {
	security, readers := "", ""
	if o.RequireTLS {
		security = "security simple_bind=128\n"
	}
	if o.Readers {
		readers = `access to dn.children="ou=people,dc=example,dc=org" by group.exact="` + readersDN + `" read by self read by users none by anonymous auth
`
	}
	return `include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
` + slapdSchema + `modulepath /usr/lib/ldap
moduleload back_mdb
moduleload memberof
moduleload refint
moduleload ppolicy
pidfile ` + dir + `/slapd.pid
argsfile ` + dir + `/slapd.args
TLSCACertificateFile ` + ca + `
TLSCertificateFile ` + certificate + `
TLSCertificateKeyFile ` + key + `
TLSVerifyClient allow
sizelimit 500
` + security + `
database mdb
maxsize 268435456
suffix "dc=example,dc=org"
rootdn "cn=admin,dc=example,dc=org"
rootpw admin
directory ` + dir + `/db
dbnosync
index objectClass,uid,cn,mail,member,uniqueMember,memberUid,memberOf,entryUUID eq
overlay memberof
memberof-group-oc groupOfNames
memberof-member-ad member
memberof-memberof-ad memberOf
memberof-refint TRUE
overlay refint
refint_attributes member memberOf
overlay ppolicy
ppolicy_default "cn=default,ou=policies,dc=example,dc=org"
ppolicy_use_lockout
limits dn.exact="uid=svc,ou=services,dc=example,dc=org" size.soft=500 size.prtotal=unlimited
limits dn.exact="uid=limited,ou=services,dc=example,dc=org" size.unchecked=4
access to attrs=userPassword by anonymous auth by self write by * none
access to dn.subtree="ou=groups,dc=example,dc=org" by users read by * none
` + readers + `access to * by dn.regex="^uid=(svc|limited),ou=services,dc=example,dc=org$" read by self read by users none by anonymous auth
`
}

// addTree fills the database with the tree and the further people by slapadd, before
// slapd runs: that is fast, and runs no overlays.
func (s *Slapd) addTree(t testing.TB, dir, config string, o SlapdOptions) {
	t.Helper()
	var b strings.Builder
	b.WriteString("dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n")
	for _, ou := range []string{"people", "groups", "services", "policies", "elsewhere"} {
		fmt.Fprintf(&b, "dn: ou=%s,%s\nobjectClass: organizationalUnit\nou: %s\n\n", ou, s.Base, ou)
	}
	for _, uid := range []string{"svc", "limited"} {
		fmt.Fprintf(&b, "dn: uid=%s,ou=services,%s\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: %s\nuserPassword: %s\n\n", uid, s.Base, uid, s.Password)
	}
	fmt.Fprintf(&b, "dn: %s\nobjectClass: groupOfNames\ncn: readers\nmember: %s\n\n", readersDN, s.BindDN)
	members := make(map[int][]string)
	for i := 1; i <= o.People; i++ {
		uid := fmt.Sprintf("user%05d", i)
		fmt.Fprintf(&b, "dn: uid=%s,%s\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s\nsn: %s\nmail: %s@example.org\nuserPassword: pw%s\n", uid, s.People, uid, uid, uid, uid, uid)
		for k := range 20 {
			team := (i + k*7) % 200
			members[team] = append(members[team], "member: uid="+uid+","+s.People)
			fmt.Fprintf(&b, "memberOf: cn=team%03d,%s\n", team, s.Groups) // as the overlay would write it
		}
		b.WriteByte('\n')
	}
	for team, lines := range members {
		fmt.Fprintf(&b, "dn: cn=team%03d,%s\nobjectClass: groupOfNames\ncn: team%03d\n%s\n\n", team, s.Groups, team, strings.Join(lines, "\n"))
	}
	ldif := filepath.Join(dir, "tree.ldif")
	if err := os.WriteFile(ldif, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(findProgram(t, "slapadd", slapdPackages), "-q", "-f", config, "-l", ldif).CombinedOutput(); err != nil {
		t.Fatalf("slapadd: %v\n%s", err, out)
	}
}

// Start starts slapd again after Stop or Kill.
func (s *Slapd) Start(t testing.TB) {
	t.Helper()
	if err := s.launch(t); err != nil {
		t.Fatalf("slapd does not answer: %v\n%s", err, s.process.out.tail())
	}
}

// choosePorts chooses free ports.
func (s *Slapd) choosePorts(t testing.TB) {
	t.Helper()
	s.URL, s.LDAPS = "ldap://127.0.0.1:"+FreePort(t), "ldaps://127.0.0.1:"+FreePort(t)
	s.url = s.LDAPS
}

func (s *Slapd) launch(t testing.TB) error {
	t.Helper()
	s.process = startProcess(t, s.program, append([]string{"-h", s.URL + "/ " + s.LDAPS + "/"}, s.args...)...)
	return s.process.awaitError(func() error { return s.withConn(func(*ldap.Conn) error { return nil }) })
}

// Stop terminates slapd, which closes all connections.
func (s *Slapd) Stop() { s.process.terminate() }

// Kill kills slapd.
func (s *Slapd) Kill() { s.process.kill() }

// Hang stops slapd's process until Resume: connections stay open, the system accepts
// new ones, and no request is answered.
func (s *Slapd) Hang() {
	s.process.signal(syscall.SIGSTOP)
	for deadline := time.Now().Add(20 * time.Second); !s.process.stopped() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// Resume continues slapd after Hang.
func (s *Slapd) Resume() { s.process.signal(syscall.SIGCONT) }

// SetPassword sets a person's password as an administrator.
func (s *Slapd) SetPassword(t testing.TB, dn, password string) {
	t.Helper()
	s.Do(t, func(c *ldap.Conn) error {
		_, err := c.PasswordModify(ldap.NewPasswordModifyRequest(dn, "", password))
		return err
	})
}

// readersDN is the DN of the group that may see people, with SlapdOptions.Readers.
const readersDN = "cn=readers,ou=services,dc=example,dc=org"

// HidePeople removes the service account's right to see people: it finds none.
// ShowPeople restores it.
func (s *Slapd) HidePeople(t testing.TB) { s.Set(t, readersDN, "member", s.dn) }

// ShowPeople ends the effect of HidePeople.
func (s *Slapd) ShowPeople(t testing.TB) { s.Set(t, readersDN, "member", s.BindDN) }

// Person returns the DN of a person.
func (s *Slapd) Person(uid string) string { return "uid=" + ldap.EscapeDN(uid) + "," + s.People }

// Group returns the DN of a group.
func (s *Slapd) Group(cn string) string { return "cn=" + ldap.EscapeDN(cn) + "," + s.Groups }
