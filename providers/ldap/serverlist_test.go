package ldap

import (
	"net"
	"slices"
	"testing"
)

// TestSRVURLs: the ports and the domain of SRV records (C8).
func TestSRVURLs(t *testing.T) {
	const name = "_ldap._tcp.London._sites.Corp.example"
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
}
