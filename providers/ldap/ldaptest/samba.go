package ldaptest

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf16"

	ldap "github.com/go-ldap/ldap/v3"
)

// SambaOptions are the options of a domain controller.
type SambaOptions struct {
	// Lockout is the wrong password that locks an account, for half an hour.
	// Optional: without it none does.
	Lockout int

	// LockoutWindow is how long wrong passwords count. Optional: without it half an
	// hour.
	LockoutWindow time.Duration

	// Authority issues the certificate. Optional: without it a new one does.
	Authority *Authority
}

// Samba is a running Active Directory domain controller of the domain
// ad.example.org, whose NetBIOS name is ADEX.
type Samba struct {
	Admin
	*Authority

	URL   string // ldap://127.x.y.z, for clear connections and StartTLS
	LDAPS string // ldaps://127.x.y.z

	Base     string // the DN of the domain
	People   string // the DN that people are under
	Groups   string // the DN that our own groups are under; Domain Users is not
	BindDN   string // of a service account
	Password string // of the service account

	program string
	config  string
	process *process
}

const (
	sambaPackages = "samba samba-ad-dc samba-ad-provision samba-vfs-modules winbind ldb-tools python3-markdown"
	sambaBase     = "DC=ad,DC=example,DC=org"
	sambaAdmin    = "Admin-Pw1"
)

// StartSamba starts a domain controller with people and groups (see [Samba.seed]). The
// domain is provisioned once and cached in the user's cache directory; each domain
// controller starts from a copy. It listens on the fixed ports 389 and 636 of an
// unused address in 127.0.0.0/8.
func StartSamba(t testing.TB, o SambaOptions) *Samba {
	t.Helper()
	s := newSamba(t, o.Authority)
	dir := t.TempDir()
	restore(t, s.domainImage(t), dir)
	s.configure(t, dir)
	s.Start(t)
	if o.Lockout > 0 {
		s.setLockout(t, o)
	}
	return s
}

// setLockout sets the domain's lockout policy. The window may not be longer than the
// lock.
func (s *Samba) setLockout(t testing.TB, o SambaOptions) {
	t.Helper()
	const lock = 30 * time.Minute
	window := o.LockoutWindow
	if window == 0 {
		window = lock
	}
	steps := func(d time.Duration) string { return fmt.Sprint(-int64(d / (100 * time.Nanosecond))) }
	s.Do(t, func(c *ldap.Conn) error {
		request := ldap.NewModifyRequest(s.Base, nil)
		request.Replace("lockoutThreshold", []string{fmt.Sprint(o.Lockout)})
		request.Replace("lockoutDuration", []string{steps(lock)})
		request.Replace("lockOutObservationWindow", []string{steps(window)})
		return c.Modify(request)
	})
}

func newSamba(t testing.TB, authority *Authority) *Samba {
	t.Helper()
	s := &Samba{
		program: findProgram(t, "samba", sambaPackages), Authority: authority,
		Base: sambaBase, People: "OU=People," + sambaBase, Groups: "OU=Teams," + sambaBase,
		BindDN: "CN=svc,OU=Services," + sambaBase, Password: "svc-Pw12",
	}
	if s.Authority == nil {
		s.Authority = NewAuthority(t)
	}
	host := freeAddress(t)
	s.URL, s.LDAPS = "ldap://"+host, "ldaps://"+host
	s.Admin = Admin{url: s.LDAPS, tls: s.Client(host), dn: "CN=Administrator,CN=Users," + sambaBase, password: sambaAdmin}
	return s
}

// freeAddress returns an address of this machine whose LDAP port is not in use.
func freeAddress(t testing.TB) string {
	t.Helper()
	var last error
	pid := os.Getpid()
	for n := range 250 {
		host := fmt.Sprintf("127.%d.%d.%d", 16+pid/250%200, 1+pid%250, 2+n)
		// This port reserves the address against other tests, before the domain
		// controller listens.
		taken, err := net.Listen("tcp", host+":1")
		if err != nil {
			last = err
			continue
		}
		t.Cleanup(func() { taken.Close() })
		plain, err := net.Listen("tcp", host+":389")
		if err != nil {
			last = err
			continue
		}
		plain.Close()
		return host
	}
	skipOrFail(t, fmt.Sprintf("needs the right to listen on port 389, such as root has: %v", last))
	return ""
}

// configure writes smb.conf for the domain in a folder.
func (s *Samba) configure(t testing.TB, dir string) {
	t.Helper()
	host, _, _ := net.SplitHostPort(s.URL[len("ldap://"):] + ":389")
	certificate, key := s.Issue(t, host)
	s.config = filepath.Join(dir, "smb.conf")
	text := sambaConfig(dir, host) + `
	tls enabled = yes
	tls keyfile = ` + key + `
	tls certfile = ` + certificate + `
	tls cafile = ` + s.CA + "\n"
	if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"run", "cache", "state", "bind-dns"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func sambaConfig(dir, host string) string {
	return `[global]
	netbios name = DC1
	realm = AD.EXAMPLE.ORG
	workgroup = ADEX
	server role = active directory domain controller
	server services = ldap
	dcerpc endpoint servers =
	interfaces = ` + host + `/8
	bind interfaces only = yes
	private dir = ` + dir + `/private
	lock directory = ` + dir + `
	state directory = ` + dir + `/state
	cache directory = ` + dir + `/cache
	binddns dir = ` + dir + `/bind-dns
	pid directory = ` + dir + `/run
	ncalrpc dir = ` + dir + `/run/ncalrpc
	winbindd socket directory = ` + dir + `/run/winbindd
	ntp signd socket directory = ` + dir + `/run/ntp
	log file = ` + dir + `/log.%m
	logging = file
	idmap_ldb:use rfc2307 = yes
	ldap server require strong auth = no`
}

// Start starts the domain controller again after Kill.
func (s *Samba) Start(t testing.TB) {
	t.Helper()
	s.process = startProcess(t, s.program, "-s", s.config, "-i", "--no-process-group", "--model=single")
	s.process.await(t, "samba", func() error { return s.withConn(func(*ldap.Conn) error { return nil }) })
}

// Kill kills the domain controller.
func (s *Samba) Kill() { s.process.kill() }

// Person returns the DN of a person.
func (s *Samba) Person(name string) string { return "CN=" + ldap.EscapeDN(name) + "," + s.People }

// Group returns the DN of a group.
func (s *Samba) Group(name string) string { return "CN=" + ldap.EscapeDN(name) + "," + s.Groups }

// SetPassword sets a person's password as an administrator.
func (s *Samba) SetPassword(t testing.TB, dn, password string) {
	t.Helper()
	s.Set(t, dn, "unicodePwd", unicodePwd(password))
	time.Sleep(time.Millisecond) // pwdLastSet has steps of 100 ns
}

// unicodePwd returns a password in the form of the attribute unicodePwd ([MS-ADTS],
// section 3.1.1.3.1.5).
func unicodePwd(password string) string {
	var raw []byte
	for _, unit := range utf16.Encode([]rune(`"` + password + `"`)) {
		raw = binary.LittleEndian.AppendUint16(raw, unit)
	}
	return string(raw)
}
