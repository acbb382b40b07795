package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers/ldap/ldaptest"
)

// ldapPeople is the number of people in the directory.
const ldapPeople = 200

const ldapConfig = `
[server]
listen = "127.0.0.1:0"
trusted_proxies = ["127.0.0.1"]
[audit]
to = "file:%[1]s/audit.log"
[token]
issuer   = "bench"
services = ["registry"]
[session]
store = "sqlite:%[1]s/data/sessions.db"
[[provider]]
name     = "corp"
kind     = "ldap"
preset   = "openldap"
urls     = [%[2]q]
tls      = { ca = %[3]q }
remember = "0s"
bind_dn       = %[4]q
bind_password = %[5]q
users    = { base = %[6]q, name = "uid" }
groups   = { base = %[7]q, %[8]s }
[[rule]]
groups       = ["*"]
repositories = ["{group}/**"]
actions      = ["pull"]
[[rule]]
groups       = ["authenticated"]
repositories = ["team-001/**"] # the one requested
actions      = ["pull"]
`

// The two ways to read a person's groups from a directory: an attribute of the
// person's entry, or another search.
const (
	groupsByMemberOf = `attribute = "memberOf"`
	groupsBySearch   = `filter = "(member={dn})"`
)

func personName(i int) string { return fmt.Sprintf("user%05d", i%ldapPeople+1) }

// laterLogins returns the logins of one connection: one person from one address, so
// that all logins but the first have a proof.
func laterLogins(conn int) generator {
	return repeated(login(conn, fmt.Sprintf("192.0.2.%d", conn+1)))(conn)
}

// firstLogins returns the logins of one connection: one person, each time from a new
// address.
func firstLogins(conn int) generator {
	return func() []byte {
		n := addresses.Add(1)
		return login(conn, fmt.Sprintf("10.%d.%d.%d", byte(n>>16), byte(n>>8), byte(n)))
	}
}

// addresses counts the addresses of first logins.
var addresses atomic.Uint32

func login(conn int, address string) []byte {
	return basic(personName(conn), "pw"+personName(conn), "X-Forwarded-For: "+address)
}

// bareLogins measures the baseline of LDAPS logins: the searches and the bind of a
// login, without shorepass. Each worker has a connection for searches and one for
// binds, and logs in another person. The run begins when all of them are connected.
func bareLogins(slapd *ldaptest.Slapd, groups bool, workers int, duration time.Duration) (metrics, error) {
	ready, start := make(chan struct{}, workers), make(chan time.Time)
	latencies, errs := make([][]time.Duration, workers), make([]error, workers)
	done := make(chan int, workers)
	for i := range workers {
		go func() {
			latencies[i], errs[i] = bareLoginWorker(slapd, personName(i), groups, ready, start)
			done <- i
		}()
	}
	for range workers {
		select {
		case <-ready:
		case i := <-done:
			return metrics{}, errs[i]
		}
	}
	before, err := processCPU(os.Getpid())
	if err != nil {
		return metrics{}, err
	}
	began := time.Now()
	for range workers {
		start <- began.Add(duration)
	}
	for range workers {
		<-done
	}
	elapsed := time.Since(began)
	after, err := processCPU(os.Getpid())
	if err := errors.Join(append(errs, err)...); err != nil {
		return metrics{}, err
	}
	return newMetrics(workers, slices.Concat(latencies...), elapsed, after-before)
}

func bareLoginWorker(slapd *ldaptest.Slapd, name string, groups bool, ready chan<- struct{}, start <-chan time.Time) (latencies []time.Duration, err error) {
	dial := func() (*ldap.Conn, error) {
		return ldap.DialURL(slapd.LDAPS, ldap.DialWithTLSConfig(slapd.Client("127.0.0.1")))
	}
	search, err := dial()
	if err != nil {
		return nil, err
	}
	defer search.Close()
	bind, err := dial()
	if err != nil {
		return nil, err
	}
	defer bind.Close()
	if err := search.Bind(slapd.BindDN, slapd.Password); err != nil {
		return nil, err
	}
	ready <- struct{}{}
	for deadline := <-start; ; {
		began := time.Now()
		if !began.Before(deadline) {
			return latencies, nil
		}
		found, err := search.Search(ldap.NewSearchRequest(slapd.People, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 2, 3, false,
			"(uid="+name+")", []string{"uid", "entryUUID", "memberOf"}, nil))
		if err != nil {
			return nil, err
		}
		if err := bind.Bind(found.Entries[0].DN, "pw"+name); err != nil {
			return nil, err
		}
		if groups {
			if _, err := search.Search(ldap.NewSearchRequest(slapd.Groups, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 3, false,
				"(member="+found.Entries[0].DN+")", []string{"cn"}, nil)); err != nil {
				return nil, err
			}
		}
		latencies = append(latencies, time.Since(began))
	}
}

// ldapServerConfig returns a configuration with the directory as its provider and
// without the cache of right passwords.
func ldapServerConfig(dir string, slapd *ldaptest.Slapd, groups string) string {
	return fmt.Sprintf(ldapConfig, dir, slapd.LDAPS, slapd.CA, slapd.BindDN, slapd.Password, slapd.People, slapd.Groups, groups)
}

// withSlapd calls use with a running OpenLDAP. ldaptest needs a testing.TB, so withSlapd
// runs as a benchmark and returns its failure as an error.
func withSlapd(use func(*ldaptest.Slapd) error) (err error) {
	err = errors.New("slapd did not start")
	ran := false
	testing.Benchmark(func(b *testing.B) {
		if ran {
			return // use runs once, whatever b.N is
		}
		ran = true
		slapd := ldaptest.StartSlapd(failureRecorder{b, &err}, ldaptest.SlapdOptions{People: ldapPeople, Quiet: true})
		err = use(slapd)
	})
	return err
}

// failureRecorder is a testing.TB that records the message of a failure as an error.
type failureRecorder struct {
	*testing.B
	err *error
}

func (r failureRecorder) Fatal(args ...any) {
	r.B.Helper()
	*r.err = errors.New(fmt.Sprint(args...))
	r.B.FailNow()
}

func (r failureRecorder) Fatalf(format string, args ...any) {
	r.B.Helper()
	*r.err = fmt.Errorf(format, args...)
	r.B.FailNow()
}
