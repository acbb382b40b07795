package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers/ldap/ldaptest"
)

const (
	ldapConnections = 16
	ldapSpan        = 4 * time.Second
	ldapPeople      = 200
)

const ldapConfig = `
[server]
listen = "127.0.0.1:0"
[audit]
to = "file:%[1]s/audit.log"
[token]
issuer   = "bench"
services = ["registry"]
[session]
store = "sqlite:%[1]s/sessions.db"
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
`

// groupsBy are the two ways by which a directory tells groups: as an attribute
// of the person's entry, or to who searches for them.
var groupsBy = []struct {
	name, config string
	search       bool
}{
	{"memberOf", `attribute = "memberOf"`, false},
	{"search", `filter = "(member={dn})"`, true},
}

// BenchmarkLDAPS measures logins that nothing remembers against a real slapd:
// whole token requests through the binary beside a bare go-ldap loop that asks
// the directory the same things, sixteen workers each with a pooled connection
// to search on and one to bind on. The figure to reach is 0.55 of the bare
// loop. Each worker is another person, since equal logins at once would share
// one answer.
func BenchmarkLDAPS(b *testing.B) {
	slapd := ldaptest.StartSlapd(b, ldaptest.SlapdOptions{People: ldapPeople, Quiet: true})
	for _, by := range groupsBy {
		var bare float64
		b.Run("groups by "+by.name+"/bare go-ldap", func(b *testing.B) {
			bare = bareLogins(b, slapd, by.search)
			b.ReportMetric(bare, "logins/s")
			b.ReportMetric(0, "ns/op")
		})
		b.Run("groups by "+by.name+"/shorepass", func(b *testing.B) {
			f := shorepassLogins(b, slapd, by.config)
			b.ReportMetric(f.PerSecond, "logins/s")
			b.ReportMetric(f.PerSecond/bare, "of-bare")
			b.ReportMetric(float64(f.P50.Microseconds()), "p50-µs")
			b.ReportMetric(float64(f.P99.Microseconds()), "p99-µs")
			b.ReportMetric(float64(f.CPU.Microseconds()), "CPU-µs/login")
			b.ReportMetric(float64(f.RSS)/(1<<20), "RSS-MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func person(i int) string { return fmt.Sprintf("user%05d", i%ldapPeople+1) }

func bareLogins(b *testing.B, slapd *ldaptest.Slapd, groups bool) float64 {
	var logins atomic.Int64
	deadline := time.Now().Add(ldapSpan)
	done := make(chan error, ldapConnections)
	for i := range ldapConnections {
		go func() { done <- bareWorker(slapd, person(i), groups, deadline, &logins) }()
	}
	for range ldapConnections {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	return float64(logins.Load()) / ldapSpan.Seconds()
}

func bareWorker(slapd *ldaptest.Slapd, name string, groups bool, deadline time.Time, logins *atomic.Int64) error {
	dial := func() (*ldap.Conn, error) {
		return ldap.DialURL(slapd.LDAPS, ldap.DialWithTLSConfig(slapd.Client("127.0.0.1")))
	}
	search, err := dial()
	if err != nil {
		return err
	}
	defer search.Close()
	bind, err := dial()
	if err != nil {
		return err
	}
	defer bind.Close()
	if err := search.Bind(slapd.BindDN, slapd.Password); err != nil {
		return err
	}
	for time.Now().Before(deadline) {
		found, err := search.Search(ldap.NewSearchRequest(slapd.People, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 2, 3, false,
			"(uid="+name+")", []string{"uid", "entryUUID", "memberOf"}, nil))
		if err != nil {
			return err
		}
		if err := bind.Bind(found.Entries[0].DN, "pw"+name); err != nil {
			return err
		}
		if groups {
			if _, err := search.Search(ldap.NewSearchRequest(slapd.Groups, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 3, false,
				"(member="+found.Entries[0].DN+")", []string{"cn"}, nil)); err != nil {
				return err
			}
		}
		logins.Add(1)
	}
	return nil
}

// shorepassLogins sends whole token requests to the binary.
func shorepassLogins(b *testing.B, slapd *ldaptest.Slapd, groups string) figures {
	dir := b.TempDir()
	binary := filepath.Join(dir, "shorepass")
	if out, err := exec.Command("go", "build", "-o", binary, "shorepass/cmd/shorepass").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	s, err := startShorepass(b.Context(), binary, dir, fmt.Sprintf(ldapConfig, dir, slapd.LDAPS, slapd.CA, slapd.BindDN, slapd.Password, slapd.People, slapd.Groups, groups))
	if err != nil {
		b.Fatal(err)
	}
	defer s.stop()
	f, err := load(context.Background(), s.addr, func(i int) []byte {
		return fmt.Appendf(nil, "GET /jwt/auth?service=registry&scope=repository%%3Ateam%%2Fapp%%3Apull HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic %s\r\n\r\n",
			base64.StdEncoding.EncodeToString([]byte(person(i)+":pw"+person(i))))
	}, ldapConnections, ldapSpan, s.cmd.Process.Pid)
	if err != nil {
		b.Fatal(err)
	}
	return f
}
