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
