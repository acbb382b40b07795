package ldap_test

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"shorepass/providers/ldap"
	"shorepass/providers/ldap/ldaptest"
)

// BenchmarkLogin measures uncached logins over LDAPS, sixteen concurrently. The
// baseline is the library alone, with one connection for searches and one for binds
// per login.
func BenchmarkLogin(b *testing.B) {
	s := ldaptest.StartSlapd(b, ldaptest.SlapdOptions{People: 1000, Quiet: true})
	person := func() (uid, password string) {
		uid = fmt.Sprintf("user%05d", 1+rand.IntN(1000))
		return uid, "pw" + uid
	}
	b.Run("library alone", func(b *testing.B) { benchmarkLibrary(b, s, person, false) })
	b.Run("library alone with groups by filter", func(b *testing.B) { benchmarkLibrary(b, s, person, true) })
	for _, way := range []struct {
		name   string
		groups ldap.Groups
	}{
		{"without groups", ldap.Groups{}},
		{"groups by memberOf", ldap.Groups{Base: new(s.Groups), Attribute: "memberOf"}},
		{"groups by filter", ldap.Groups{Base: new(s.Groups)}},
	} {
		b.Run(way.name, func(b *testing.B) {
			cfg := slapdConfig(s)
			cfg.Groups = way.groups
			p := newProvider(b, cfg)
			b.SetParallelism(8) // per core, of two
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					uid, password := person()
					if _, err := authenticate(b, b.Context(), p, uid, password); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

func benchmarkLibrary(b *testing.B, s *ldaptest.Slapd, person func() (uid, password string), groups bool) {
	dial := func(cfg *tls.Config) *goldap.Conn {
		c, err := goldap.DialURL(s.LDAPS, goldap.DialWithTLSConfig(cfg))
		if err != nil {
			b.Fatal(err)
		}
		return c
	}
	type pair struct{ search, bind *goldap.Conn }
	pairs := make(chan pair, 16)
	for range cap(pairs) {
		p := pair{dial(s.Client("127.0.0.1")), dial(s.Client("127.0.0.1"))}
		defer p.search.Close()
		defer p.bind.Close()
		if err := p.search.Bind(s.BindDN, s.Password); err != nil {
			b.Fatal(err)
		}
		pairs <- p
	}
	b.ResetTimer()
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			uid, password := person()
			p := <-pairs
			found, err := p.search.Search(&goldap.SearchRequest{
				BaseDN: s.People, Scope: goldap.ScopeWholeSubtree, Filter: "(uid=" + uid + ")", Attributes: []string{"uid", "entryUUID"},
			})
			if err == nil {
				err = p.bind.Bind(found.Entries[0].DN, password)
			}
			if err == nil && groups {
				_, err = p.search.Search(&goldap.SearchRequest{
					BaseDN: s.Groups, Scope: goldap.ScopeWholeSubtree, Filter: "(member=" + found.Entries[0].DN + ")", Attributes: []string{"cn"},
				})
			}
			pairs <- p
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}
