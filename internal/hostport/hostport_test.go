package hostport_test

import (
	"net/url"
	"testing"

	"shorepass/internal/hostport"
)

func TestOf(t *testing.T) {
	for _, test := range []struct{ url, want string }{
		{"https://registry.corp.example/v2/", "registry.corp.example:443"},
		{"http://Registry.corp.example", "registry.corp.example:80"},
		{"https://registry.corp.example:443", "registry.corp.example:443"},
		{"http://registry.corp.example:5000", "registry.corp.example:5000"},
		{"https://[2001:DB8::1]", "[2001:db8::1]:443"},
	} {
		u, err := url.Parse(test.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := hostport.Of(u); got != test.want {
			t.Errorf("Of(%s) = %s, want %s", test.url, got, test.want)
		}
	}
}

func TestIsHost(t *testing.T) {
	for _, test := range []struct {
		text string
		want bool
	}{
		{"registry.corp.example", true},
		{"registry.corp.example:5000", true},
		{"localhost:5000", true},
		{"127.0.0.1:5000", true},
		{"[2001:db8::1]:5000", true},
		{"[::1]", true},
		{"registry_1", true},

		{"", false},
		{":5000", false},
		{"registry:", false},
		{"registry:0", false},
		{"registry:65536", false},
		{"registry:http", false},
		{"::1", false},
		{"[fe80::1%25eth0]", false},
		{"https://registry", false},
		{"registry/team", false},
		{"alice@registry", false},
		{"registry?x", false},
		{"*.corp.example", false},
		{"a b", false},
		{"192.0.2", false}, // a malformed IPv4 address
	} {
		if got := hostport.IsHost(test.text); got != test.want {
			t.Errorf("IsHost(%q) = %v, want %v", test.text, got, test.want)
		}
	}
}
