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

// SlapdOptions say what is different about one slapd.
type SlapdOptions struct {
	// Lockout is how many wrong passwords lock an account, for a minute.
	// Optional: left out, none do.
	Lockout int

	// People is how many further people there are: user00001, user00002 and so
	// on, with the password "pw" and the name, 20 of each 200 in one group.
	People int

	// Readers has the service account see people only as a member of a group,
	// which [Slapd.HidePeople] takes it out of.
	Readers bool

	// RequireTLS refuses binds in clear.
	RequireTLS bool

	// Quiet keeps slapd from printing what it is asked, so that it is as fast
	// as it can be and [Slapd.Binds] counts nothing.
	Quiet bool

	// Authority issues the certificate. Optional: left out, one of its own.
	Authority *Authority

	// Names are what the certificate is for. Default 127.0.0.1 and localhost.
	Names []string
}

// Slapd is a running OpenLDAP.
type Slapd struct {
	Admin
	*Authority

	URL   string // ldap://127.0.0.1:…, for plain and StartTLS
	LDAPS string // ldaps://127.0.0.1:…

	Base     string // of everything
	People   string // of people
	Groups   string // of groups
	BindDN   string // of a service account that may read all but passwords
	Password string // of the service account

	program string
	args    []string
	process *process
}

const slapdPackages = "slapd ldap-utils libsasl2-modules"

// StartSlapd starts an OpenLDAP with people and groups (see [Slapd.seed]).
func StartSlapd(t testing.TB, o SlapdOptions) *Slapd {
	t.Helper()
	s := newSlapd(t, o)
	for try := 1; ; try++ {
		s.choosePorts(t)
		err := s.launch(t)
		if err == nil {
			break
		}
		// A port that was free may be somebody's by now.
		if try == 5 || !strings.Contains(s.process.out.string(), "Address already in use") {
			t.Fatalf("slapd does not answer: %v\n%s", err, s.process.out.tail())
		}
		s.process.kill()
	}
	s.Do(t, func(c *ldap.Conn) error { return s.seed(c, o) })
	return s
}

func newSlapd(t testing.TB, o SlapdOptions) *Slapd {
	t.Helper()
	const base = "dc=example,dc=org"
	s := &Slapd{
		program: findProgram(t, "slapd", slapdPackages), Authority: o.Authority,
		Base: base, People: "ou=people," + base, Groups: "ou=groups," + base,
		BindDN: "uid=svc,ou=services," + base, Password: "svcpw",
	}
	if s.Authority == nil {
		s.Authority = NewAuthority(t)
	}
	s.Admin = Admin{tls: s.Client("127.0.0.1"), dn: "cn=admin," + base, password: "admin"}
	names := o.Names
	if names == nil {
		names = []string{"127.0.0.1", "localhost"}
	} else {
		s.Admin.tls.InsecureSkipVerify = true // the test wants a wrong name, and the helper must get in
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
modulepath /usr/lib/ldap
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
access to attrs=userPassword by anonymous auth by self write by * none
access to dn.subtree="ou=groups,dc=example,dc=org" by users read by * none
` + readers + `access to * by dn.exact="uid=svc,ou=services,dc=example,dc=org" read by self read by users none by anonymous auth
`
}

// addTree fills the database with the tree and the further people, while slapd is
// not running: that is quick, and knows of no overlays.
func (s *Slapd) addTree(t testing.TB, dir, config string, o SlapdOptions) {
	t.Helper()
	var b strings.Builder
	b.WriteString("dn: dc=example,dc=org\nobjectClass: dcObject\nobjectClass: organization\no: Example\ndc: example\n\n")
	for _, ou := range []string{"people", "groups", "services", "policies", "elsewhere"} {
		fmt.Fprintf(&b, "dn: ou=%s,%s\nobjectClass: organizationalUnit\nou: %s\n\n", ou, s.Base, ou)
	}
	fmt.Fprintf(&b, "dn: %s\nobjectClass: account\nobjectClass: simpleSecurityObject\nuid: svc\nuserPassword: %s\n\n", s.BindDN, s.Password)
	fmt.Fprintf(&b, "dn: %s\nobjectClass: groupOfNames\ncn: readers\nmember: %s\n\n", readersDN, s.BindDN)
	members := make(map[int][]string)
	for i := 1; i <= o.People; i++ {
		uid := fmt.Sprintf("user%05d", i)
		fmt.Fprintf(&b, "dn: uid=%s,%s\nobjectClass: inetOrgPerson\nuid: %s\ncn: %s\nsn: %s\nmail: %s@example.org\nuserPassword: pw%s\n", uid, s.People, uid, uid, uid, uid, uid)
		for k := range 20 {
			team := (i + k*7) % 200
			members[team] = append(members[team], "member: uid="+uid+","+s.People)
			fmt.Fprintf(&b, "memberOf: cn=team%03d,%s\n", team, s.Groups) // what the overlay would have written
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

// Start starts slapd, again after it was stopped.
func (s *Slapd) Start(t testing.TB) {
	t.Helper()
	if err := s.launch(t); err != nil {
		t.Fatalf("slapd does not answer: %v\n%s", err, s.process.out.tail())
	}
}

// choosePorts chooses the ports.
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

// Stop ends slapd in order, which closes all connections.
func (s *Slapd) Stop() { s.process.terminate() }

// Kill ends slapd at once.
func (s *Slapd) Kill() { s.process.kill() }

// Hang stops slapd where it is: connections stay, and are accepted by the
// system, and nothing answers until Resume.
func (s *Slapd) Hang() {
	s.process.signal(syscall.SIGSTOP)
	for deadline := time.Now().Add(20 * time.Second); !s.process.stopped() && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
}

// Resume ends Hang.
func (s *Slapd) Resume() { s.process.signal(syscall.SIGCONT) }

// SetPassword gives a person another password, as an administrator does.
func (s *Slapd) SetPassword(t testing.TB, dn, password string) {
	t.Helper()
	s.Do(t, func(c *ldap.Conn) error {
		_, err := c.PasswordModify(ldap.NewPasswordModifyRequest(dn, "", password))
		return err
	})
}

// readersDN is the group of those who may see people, with SlapdOptions.Readers.
const readersDN = "cn=readers,ou=services,dc=example,dc=org"

// HidePeople takes the service account's right to see people away, so that none
// seems to be there. ShowPeople gives it back.
func (s *Slapd) HidePeople(t testing.TB) { s.Set(t, readersDN, "member", s.dn) }

// ShowPeople ends HidePeople.
func (s *Slapd) ShowPeople(t testing.TB) { s.Set(t, readersDN, "member", s.BindDN) }

// Person returns the DN of a person.
func (s *Slapd) Person(uid string) string { return "uid=" + ldap.EscapeDN(uid) + "," + s.People }

// Group returns the DN of a group.
func (s *Slapd) Group(cn string) string { return "cn=" + ldap.EscapeDN(cn) + "," + s.Groups }
