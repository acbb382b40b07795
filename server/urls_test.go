package server_test

import (
	"strings"
	"testing"

	"shorepass/internal/tlsconf"
	"shorepass/server"
)

// TestAddressesAndURLs (F1): contradictions between listen, tls, public_urls and paths,
// each with what would be right. A warning is for what only a proxy can make right.
func TestAddressesAndURLs(t *testing.T) {
	secure := tlsconf.Config{Certificate: "c", Key: "k"}
	for _, tt := range []struct {
		listen  string
		tls     tlsconf.Config
		urls    string // joined by blanks
		proxies string
		want    string // the beginning of the only fault or warning
	}{
		{listen: ":5001", want: `warning public_urls: is missing`},
		{listen: "127.0.0.1:5001"},
		{listen: "[::1]:5001"},
		{listen: "[fe80::1%eth0]:5001"},
		{listen: "registry-auth.corp.example:5001"},
		{listen: "localhost:5001", tls: secure},
		{listen: "5001", want: `fault listen: "5001" is not host:port; write ":5001"`},
		{listen: ":99999", want: `fault listen: ":99999" has the port "99999", which is not a number from 1 to 65535; write one such as ":5001"`},
		{listen: ":-1", want: `fault listen: ":-1" has the port "-1"`},
		{listen: ":http", want: `fault listen: ":http" has the port "http"`},
		{listen: "127.0.0.1:", want: `fault listen: "127.0.0.1:" has the port ""`},
		{listen: "300.1.1.1:5001", want: `fault listen: "300.1.1.1:5001" has the host "300.1.1.1", which is neither an address nor a name; write ":5001"`},
		{listen: "*:5001", want: `fault listen: "*:5001" has the host "*"`},
		{listen: "https://x:5001", want: `fault listen: "https://x:5001" is not host:port`},
		{listen: "127.0.0.1:0", want: `warning listen: "127.0.0.1:0" is another port at each start`},

		{listen: ":5001", tls: secure, urls: "https://r.example:5001"},
		{listen: ":443", tls: secure, urls: "https://r.example"},
		{listen: ":5001", urls: "http://r.example:5001"},
		{listen: ":5001", tls: secure, urls: "http://r.example:5001", want: `fault public_urls[0]: "http://r.example:5001" cannot be reached, since with tls the server answers https only; write "https://r.example:5001"`},
		{listen: ":5001", tls: secure, urls: "https://r.example", want: `warning public_urls[0]: "https://r.example" leads to port 443, and the server listens on port 5001: right only behind a load balancer or a published port; else write "https://r.example:5001", or listen = ":443"`},
		{listen: ":5001", tls: secure, urls: "https://r.example", proxies: "10.0.0.1"},
		{listen: ":5001", urls: "http://r.example", want: `warning public_urls[0]: "http://r.example" leads to port 80, and the server listens on port 5001`},
		{listen: "192.0.2.1:5001", tls: secure, urls: "https://[2001:db8::1]", want: `warning public_urls[0]: "https://[2001:db8::1]" leads to port 443, and the server listens on port 5001: right only behind a load balancer or a published port; else write "https://[2001:db8::1]:5001", or listen = "192.0.2.1:443"`},
		{listen: ":5001", urls: "https://r.example"},
		{listen: "127.0.0.1:5001", urls: "https://r.example"},
		{listen: "127.0.0.1:5001", urls: "https://r.example:5001"},
		{listen: ":5001", urls: "https://r.example:5001", want: `warning public_urls[0]: "https://r.example:5001" is https, and without tls the server answers http at that port; set tls`},
		{listen: "127.0.0.1:5001", tls: secure, urls: "https://r.example:5001", want: `warning public_urls[0]: listen = "127.0.0.1:5001" is reached from this machine alone: right only behind a proxy on it; else write listen = ":5001"`},
		{listen: "127.0.0.1:5001", urls: "http://localhost:5001"},

		{listen: ":5001", urls: "https://r.example/jwt/auth", want: `fault public_urls[0]: "https://r.example/jwt/auth" has the path of the token endpoint, which is added from paths; write "https://r.example"`},
		{listen: ":5001", urls: "https://r.example/x/jwt/auth/", want: `fault public_urls[0]: "https://r.example/x/jwt/auth/" has the path of the token endpoint, which is added from paths; write "https://r.example/x"`},
		{listen: ":5001", urls: "https://r.example/x/", want: `warning public_urls[0]: the realm is https://r.example/x/jwt/auth, which leads to /jwt/auth only through a proxy that removes "/x" from the path`},
		{listen: ":5001", urls: "https://r.example/?a=b", want: `fault public_urls[0]: is more than scheme, host, port and path; write "https://r.example"`},
		{listen: ":5001", urls: "https://u:c4nary@r.example", want: `fault public_urls[0]: is more than scheme, host, port and path; write "https://r.example"`},
		{listen: ":5001", urls: "https://0.0.0.0:5001", want: `fault public_urls[0]: "https://0.0.0.0:5001" is every address`},
		{listen: ":5001", urls: "https://r.example:99999", want: `fault public_urls[0]: "https://r.example:99999" has the port "99999"`},
		{listen: ":5001", urls: "https://*.example", want: `fault public_urls[0]: "https://*.example" has the host "*.example"`},
		{listen: ":5001", urls: "https://:5001", want: `fault public_urls[0]: "https://:5001" is not a URL`},
		{listen: ":5001", urls: "r.example", want: `fault public_urls[0]: "r.example" is not a URL`},
		{listen: ":5001", tls: secure, urls: "https://r.example:5001 https://r.example", want: `warning public_urls[1]: "https://r.example" leads to port 443`},
	} {
		cfg := server.Config{Listen: tt.listen, TLS: tt.tls, PublicURLs: strings.Fields(tt.urls), TrustedProxies: strings.Fields(tt.proxies)}.WithDefaults()
		var got []string
		cfg.Validate(func(key, problem string) { got = append(got, "fault "+key+": "+problem) })
		if got == nil {
			cfg.Warn(func(key, problem string) { got = append(got, "warning "+key+": "+problem) })
		}
		if len(got) > 1 || (len(got) == 0) != (tt.want == "") || !strings.HasPrefix(strings.Join(got, ""), tt.want) {
			t.Errorf("listen %q, tls %t, public_urls %q: %q, want %q", tt.listen, tt.tls.Certificate != "", tt.urls, got, tt.want)
		}
	}
}

// TestReservedPaths: the token endpoint cannot be at a path of a page, nor below one.
func TestReservedPaths(t *testing.T) {
	for path, reserved := range map[string]bool{
		"/login": true, "/login/sso/callback": true, "/logout": true, "/me": true, "/admin/x": true, "/.well-known/jwks.json": true, "/oauth/token": true, "/": true,
		"/jwt/auth": false, "/token": false, "/mean": false, "/auth/login": false,
	} {
		faults := 0
		cfg := server.Config{Paths: []string{path}}.WithDefaults()
		cfg.Validate(func(string, string) { faults++ })
		if (faults > 0) != reserved {
			t.Errorf("paths = [%q]: %d faults, want reserved = %v", path, faults, reserved)
		}
	}
}

// TestPagesOrigin: pages are at the first public URL, if a cookie is safe there.
func TestPagesOrigin(t *testing.T) {
	for _, tt := range []struct{ url, want string }{
		{"https://Auth.corp.example", "https://auth.corp.example"},
		{"https://auth.corp.example:5001/", "https://auth.corp.example:5001"},
		{"http://127.0.0.1:5001", "http://127.0.0.1:5001"},
		{"http://localhost:5001", "http://localhost:5001"},
		{"http://[::1]:5001", "http://[::1]:5001"},
		{"http://auth.corp.example", ""},
		{"https://corp.example/auth", ""},
	} {
		got, err := server.Config{PublicURLs: []string{tt.url, "https://other.example"}}.PagesOrigin()
		if (err == nil) != (tt.want != "") || err == nil && got.String() != tt.want {
			t.Errorf("PagesOrigin of %s = %v, %v, want %q", tt.url, got, err, tt.want)
		}
	}
}
