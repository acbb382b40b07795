package server

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestOrigin(t *testing.T) {
	type header = map[string][]string
	for _, test := range []struct {
		name    string
		peer    string
		header  header
		client  string // as the rate limit counts it
		address string // as the policy sees it; "" is unknown
		spoofed bool
	}{
		{"no proxy", "192.0.2.1:1", nil, "192.0.2.1", "192.0.2.1", false},
		{"a mapped address is unmapped", "[::ffff:192.0.2.1]:1", nil, "192.0.2.1", "192.0.2.1", false},
		{"a zone is dropped", "[fe80::1%eth0]:1", nil, "fe80::1", "fe80::1", false},
		{"an untrusted peer forwards", "192.0.2.1:1", header{"X-Forwarded-For": {"10.1.1.1"}}, "192.0.2.1", "", true},
		{"an untrusted peer sends Forwarded", "192.0.2.1:1", header{"Forwarded": {"for=10.1.1.1"}}, "192.0.2.1", "", true},
		{"an untrusted peer sends an empty header", "192.0.2.1:1", header{"X-Forwarded-For": {""}}, "192.0.2.1", "", true},
		{"a trusted proxy", "10.0.0.1:1", header{"X-Forwarded-For": {"192.0.2.9"}}, "192.0.2.9", "192.0.2.9", false},
		{"a trusted proxy that forwards nothing", "10.0.0.1:1", nil, "10.0.0.1", "", false},
		{"a trusted proxy that forwards by another header", "10.0.0.1:1", header{"X-Real-Ip": {"192.0.2.9"}}, "10.0.0.1", "", false},
		{"a trusted proxy that forwards an empty header", "10.0.0.1:1", header{"X-Forwarded-For": {""}}, "10.0.0.1", "", false},
		{"a trusted proxy under its mapped address", "[::ffff:10.0.0.1]:1", nil, "10.0.0.1", "", false},
		{"two trusted proxies", "10.0.0.1:1", header{"X-Forwarded-For": {"192.0.2.9, 10.0.0.2"}}, "192.0.2.9", "192.0.2.9", false},
		{"the client forged the hops to the left", "10.0.0.1:1", header{"X-Forwarded-For": {"10.9.9.9, 192.0.2.9"}}, "192.0.2.9", "192.0.2.9", false},
		{"two header lines are one list", "10.0.0.1:1", header{"X-Forwarded-For": {"203.0.113.1", "192.0.2.9"}}, "192.0.2.9", "192.0.2.9", false},
		{"only trusted hops", "10.0.0.1:1", header{"X-Forwarded-For": {"10.0.0.2"}}, "10.0.0.1", "", false},
		{"garbage in the last hop", "10.0.0.1:1", header{"X-Forwarded-For": {"192.0.2.9, lolcat"}}, "10.0.0.1", "", false},
		{"garbage to the left of the client", "10.0.0.1:1", header{"X-Forwarded-For": {"lolcat, 192.0.2.9"}}, "192.0.2.9", "192.0.2.9", false},
		{"a hop with a port", "10.0.0.1:1", header{"X-Forwarded-For": {"192.0.2.9:4711"}}, "192.0.2.9", "192.0.2.9", false},
		{"Forwarded with IPv6 and port", "10.0.0.1:1", header{"Forwarded": {`for="[2001:db8::9]:4711";proto=https`}}, "2001:db8::9", "2001:db8::9", false},
		{"Forwarded with an obfuscated node", "10.0.0.1:1", header{"Forwarded": {"for=_hidden"}}, "10.0.0.1", "", false},
		{"both headers, the same client", "10.0.0.1:1", header{"X-Forwarded-For": {"192.0.2.9"}, "Forwarded": {"for=192.0.2.9"}}, "192.0.2.9", "192.0.2.9", false},
		{"one header is the proxy's and one the client's", "10.0.0.1:1", header{"X-Forwarded-For": {"192.0.2.200"}, "Forwarded": {"for=192.0.2.9"}}, "10.0.0.1", "", false},
		{"one header is the proxy's and one garbage", "10.0.0.1:1", header{"X-Forwarded-For": {"192.0.2.9"}, "Forwarded": {"for=unknown"}}, "10.0.0.1", "", false},
		{"a header with underscores is no header", "192.0.2.1:1", header{"X_Forwarded_For": {"10.1.1.1"}}, "192.0.2.1", "192.0.2.1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/jwt/auth", nil)
			r.RemoteAddr = test.peer
			for name, values := range test.header {
				r.Header[name] = values
			}
			from := newOrigin(r, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
			address := ""
			if from.address.IsValid() {
				address = from.address.String()
			}
			if from.peer.String() != test.client || address != test.address || from.spoofed != test.spoofed {
				t.Errorf("newOrigin = client %v, address %q, spoofed %v; want %v, %q, %v",
					from.peer, address, from.spoofed, test.client, test.address, test.spoofed)
			}
		})
	}
}
