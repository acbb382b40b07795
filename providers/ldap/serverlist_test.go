package ldap

import (
	"fmt"
	"net"
	"slices"
	"testing"
)

// TestSRVURLs: the ports, the bound and the domain of SRV records (C8).
func TestSRVURLs(t *testing.T) {
	const name = "_ldap._tcp.London._sites.Corp.example"
	many := make([]*net.SRV, 40)
	for i := range many {
		many[i] = &net.SRV{Target: fmt.Sprintf("dc%d.corp.example.", i), Port: 636}
	}
	for _, test := range []struct {
		scheme  string
		records []*net.SRV
		anyName bool
		urls    []string
		refused int
	}{
		{"ldap", []*net.SRV{{Target: "DC1.Corp.Example.", Port: 389}}, false, []string{"ldap://dc1.corp.example:389"}, 0},
		{"ldaps", []*net.SRV{{Target: "dc1.corp.example.", Port: 389}, {Target: "dc1.corp.example.", Port: 3268}, {Target: "dc1.corp.example.", Port: 1636}}, false,
			[]string{"ldaps://dc1.corp.example:636", "ldaps://dc1.corp.example:3269", "ldaps://dc1.corp.example:1636"}, 0},
		{"ldaps", []*net.SRV{{Target: "corp.example.", Port: 636}, {Target: "corp.example.", Port: 389}}, false, []string{"ldaps://corp.example:636"}, 0},
		{"ldaps", []*net.SRV{{Target: "dc1.corp.example.evil.example.", Port: 636}, {Target: "evilcorp.example.", Port: 636}, {Target: "127.0.0.1.", Port: 636}}, false, nil, 3},
		{"ldaps", []*net.SRV{{Target: "dc1.evil.example.", Port: 636}}, true, []string{"ldaps://dc1.evil.example:636"}, 0},
	} {
		urls, refused := srvURLs(test.scheme, name, test.records, test.anyName)
		if !slices.Equal(urls, test.urls) || len(refused) != test.refused {
			t.Errorf("srvURLs(%s, %v) = %q, refused %q, want %q", test.scheme, test.records, urls, refused, test.urls)
		}
	}
	if urls, _ := srvURLs("ldaps", name, many, false); len(urls) != maxServers {
		t.Errorf("srvURLs returns %d servers of %d, want %d", len(urls), len(many), maxServers)
	}
}
