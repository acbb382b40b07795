package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	ldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers/ldap/ldaptest"
)

const (
	ldapConnections = 16
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
	binary := build(b)
	head("LDAPS login, nothing remembered", "of bare")
	for _, by := range groupsBy {
		s := serveLDAP(b, binary, slapd, by.config)
		results, err := compare(b.Context(), short, []contestant{
			{"groups by " + by.name + ", bare go-ldap", func(_ context.Context, span time.Duration) (figures, error) {
				return bareLogins(slapd, by.search, span)
			}},
			{"groups by " + by.name + ", shorepass", func(ctx context.Context, span time.Duration) (figures, error) {
				return load(ctx, target{servers: []*process{s}}, loginOf, ldapConnections, span)
			}},
		})
		if err != nil {
			b.Fatal(err)
		}
		byThroughput(results)
		b.ReportMetric(results[1].throughput, "of-bare-by-"+by.name)
	}
	b.ReportMetric(0, "ns/op")
}

func person(i int) string { return fmt.Sprintf("user%05d", i%ldapPeople+1) }

// loginOf is one person's login for each connection.
func loginOf(conn int) script { return same(basic(person(conn), "pw"+person(conn)))(conn) }

// bareLogins logs in for so long. The clock runs from when every worker has its
// connections.
func bareLogins(slapd *ldaptest.Slapd, groups bool, span time.Duration) (figures, error) {
	var logins atomic.Int64
	ready, start := make(chan struct{}, ldapConnections), make(chan time.Time)
	done := make(chan error, ldapConnections)
	for i := range ldapConnections {
		go func() { done <- bareWorker(slapd, person(i), groups, ready, start, &logins) }()
	}
	var errs []error
	working := 0
	for working+len(errs) < ldapConnections {
		select {
		case <-ready:
			working++
		case err := <-done:
			errs = append(errs, err)
		}
	}
	began := time.Now()
	for range working {
		start <- began.Add(span)
	}
	for range working {
		errs = append(errs, <-done)
	}
	return figures{Connections: ldapConnections, PerSecond: float64(logins.Load()) / time.Since(began).Seconds()}, errors.Join(errs...)
}

func bareWorker(slapd *ldaptest.Slapd, name string, groups bool, ready chan<- struct{}, start <-chan time.Time, logins *atomic.Int64) error {
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
	ready <- struct{}{}
	for deadline := <-start; time.Now().Before(deadline); {
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

// serveLDAP starts shorepass before the directory.
func serveLDAP(b *testing.B, binary string, slapd *ldaptest.Slapd, groups string) *process {
	dir := b.TempDir()
	return serve(b, binary, dir, fmt.Sprintf(ldapConfig, dir, slapd.LDAPS, slapd.CA, slapd.BindDN, slapd.Password, slapd.People, slapd.Groups, groups))
}
