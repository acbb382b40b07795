package registry

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// faultsOf collects what validate reports, as "key: problem".
func faultsOf(validate func(func(key, problem string))) []string {
	var all []string
	validate(func(key, problem string) { all = append(all, key+": "+problem) })
	return all
}

// TestConfigValidate: each fault of [token] has its key and says what would be
// right.
func TestConfigValidate(t *testing.T) {
	good := Config{Issuer: "gitlab-issuer", Services: []string{"container_registry"}}
	with := func(change func(*Config)) Config {
		c := good
		change(&c)
		return c.WithDefaults()
	}
	for _, test := range []struct {
		name string
		cfg  Config
		want []string
	}{
		{"a root made on first start", with(func(*Config) {}), nil},
		{"a configured root", with(func(c *Config) { c.RootCertificate, c.RootKey = "RootCA.crt", "RootCA.key" }), nil},
		{"odd names", with(func(c *Config) { c.Issuer, c.Services = "josé's (registry)", []string{"a b", "Größe", "host:5000"} }), nil},
		{"the shortest lifetime", with(func(c *Config) { c.Lifetime = time.Minute }), nil},
		{"a configured leaf", with(func(c *Config) { c.SigningCertificate, c.SigningKey = "a", "b" }), nil},
		{"a configured leaf and its root", with(func(c *Config) { c.SigningCertificate, c.SigningKey, c.RootCertificate = "a", "b", "c" }), nil},
		{"a configured leaf by x5c", with(func(c *Config) { c.SigningCertificate, c.SigningKey, c.Signing = "a", "b", "x5c" }), nil},

		{"an empty table", Config{}.WithDefaults(), []string{
			`issuer: is missing; write what the registry has as auth.token.issuer, such as "gitlab-issuer"`,
			`services: is missing; name the registries served, such as ["container_registry"]`}},
		{"an empty service", with(func(c *Config) { c.Services = []string{"a", ""} }), []string{"services[1]: is empty; write what the registry has as auth.token.service"}},
		{"a service twice", with(func(c *Config) { c.Services = []string{"a", "b", "a"} }), []string{`services[2]: "a" is listed twice; name it once`}},
		{"a service with a newline", with(func(c *Config) { c.Services = []string{"a\nb"} }), []string{`services[0]: "a\nb" holds a control character, a quote or a backslash; write it without`}},
		{"an issuer with a quote", with(func(c *Config) { c.Issuer = `"x"` }), []string{`issuer: "\"x\"" holds a control character, a quote or a backslash; write it without`}},
		{"a lifetime too short", with(func(c *Config) { c.Lifetime = 59 * time.Second }), []string{`lifetime: 59s is too short, since clients treat less than a minute as a minute; write at least "1m"`}},
		{"a negative lifetime", with(func(c *Config) { c.Lifetime = -time.Hour }), []string{`lifetime: -1h is too short, since clients treat less than a minute as a minute; write at least "1m"`}},
		{"a lifetime too long", with(func(c *Config) { c.Lifetime = 25 * time.Hour }), []string{`lifetime: 25h is too long, since a token cannot be taken back; write at most "24h"`}},
		{"a lifetime that is no whole second", with(func(c *Config) { c.Lifetime = time.Minute + time.Millisecond }), []string{`lifetime: 1m0.001s is not a whole number of seconds, and clients are told seconds; write one such as "5m"`}},
		{"a root certificate without its key", with(func(c *Config) { c.RootCertificate = "a" }), []string{"root_key: is missing; name the private key of root_certificate"}},
		{"a root key without its certificate", with(func(c *Config) { c.RootKey = "a" }), []string{"root_certificate: is missing; name the certificate of root_key, which the registry has as rootcertbundle"}},
		{"a leaf without its key", with(func(c *Config) { c.SigningCertificate = "a" }), []string{"signing_key: is missing; name the private key of signing_certificate"}},
		{"a leaf key without its certificate", with(func(c *Config) { c.SigningKey = "a" }), []string{"signing_certificate: is missing; name the certificate of signing_key"}},
		{"a leaf and a root key", with(func(c *Config) { c.SigningCertificate, c.SigningKey, c.RootCertificate, c.RootKey = "a", "b", "c", "d" }),
			[]string{"root_key: is set together with signing_certificate, and only one of the two can sign; leave one out"}},
		{"a leaf with kid", with(func(c *Config) { c.SigningCertificate, c.SigningKey, c.Signing = "a", "b", "kid" }),
			[]string{`signing: "kid" signs with root_key, and signing_certificate is configured instead; write "x5c" or leave it out`}},
		{"an unknown signing", with(func(c *Config) { c.Signing = "X5C" }), []string{`signing: "X5C" is not one of "x5c", "kid", "libtrust"`}},
	} {
		if diff := cmp.Diff(test.want, faultsOf(test.cfg.Validate)); diff != "" {
			t.Errorf("%s: Validate (-want +got)\n%s", test.name, diff)
		}
	}
}

// TestServiceValidate: each fault of a [[service]] table is reported under its
// key.
func TestServiceValidate(t *testing.T) {
	for _, test := range []struct {
		name string
		s    Service
		want string // the keys at fault
	}{
		{"only a name", Service{Name: "zot"}, ""},
		{"every key", Service{Name: "zot", Disabled: true, Issuer: "i", Lifetime: time.Hour, RootCertificate: "a", RootKey: "b", Signing: "kid"}, ""},
		{"no name", Service{}, "name"},
		{"every key wrong", Service{Issuer: "\x00", Lifetime: 1, RootKey: "b", Signing: "jwk"}, "name issuer lifetime signing root_certificate"},
	} {
		var keys []string
		test.s.WithDefaults().Validate(func(key, _ string) { keys = append(keys, key) })
		if got := strings.Join(keys, " "); got != test.want {
			t.Errorf("%s: faults at %q, want %q", test.name, got, test.want)
		}
	}
}

// TestValidateServices: a service with signing = "kid" needs a root key, of its
// own or of [token].
func TestValidateServices(t *testing.T) {
	cfg := Config{Services: []string{"a", "b", "c"}, SigningCertificate: "a", SigningKey: "b"}
	services := []Service{{Name: "a"}, {Name: "b", Signing: "kid"}, {Name: "c", Signing: "libtrust", RootCertificate: "d", RootKey: "e"}}
	got := faultsOf(func(fault func(string, string)) { ValidateServices(cfg, services, fault) })
	want := []string{`service[1].signing: "kid" signs with a root_key, and [token] has only signing_certificate; give this service root_certificate and root_key`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ValidateServices (-want +got)\n%s", diff)
	}
	if got := faultsOf(func(fault func(string, string)) { ValidateServices(Config{Services: cfg.Services}, services, fault) }); got != nil {
		t.Errorf("ValidateServices with a root key = %q, want none", got)
	}
}

// TestHostsAndOrigins: hosts are as docker login takes them, origins as browsers send
// them, and a fault says what would be right.
func TestHostsAndOrigins(t *testing.T) {
	for _, test := range []struct {
		key, value string
		want       string // empty for no fault
	}{
		{"hosts", "registry.corp.example", ""},
		{"hosts", "registry.corp.example:5000", ""},
		{"hosts", "localhost:5000", ""},
		{"hosts", "localhost", ""},
		{"hosts", "registry:443", ""},
		{"hosts", "[2001:db8::1]:5000", ""},
		{"hosts", "https://Registry.corp.example/v2/", `has a scheme, and docker login takes none; write "registry.corp.example"`},
		{"hosts", "registry.corp.example/team", `"registry.corp.example/team" has a path, and docker login takes a registry; write "registry.corp.example"`},
		{"hosts", "Registry.corp.example", `"Registry.corp.example" has capitals; write "registry.corp.example"`},
		{"hosts", "registry", `"registry" has neither a dot nor a port, so that docker takes registry/app for a repository of Docker Hub; write the full name, such as registry.corp.example, or registry:443`},
		{"hosts", "*.corp.example", `"*.corp.example" is not a host such as "registry.corp.example" or "registry.corp.example:5000"`},
		{"hosts", "registry.corp.example:http", `"registry.corp.example:http" is not a host such as "registry.corp.example" or "registry.corp.example:5000"`},

		{"ui_origins", "https://ui.corp.example", ""},
		{"ui_origins", "http://localhost:8080", ""},
		{"ui_origins", "https://[2001:db8::1]", ""},
		{"ui_origins", "https://ui.corp.example/", `"https://ui.corp.example/" is no origin as browsers send it; write "https://ui.corp.example"`},
		{"ui_origins", "https://UI.corp.example:443", `"https://UI.corp.example:443" is no origin as browsers send it; write "https://ui.corp.example"`},
		{"ui_origins", "http://ui.corp.example:80/x?y#z", `"http://ui.corp.example:80/x?y#z" is no origin as browsers send it; write "http://ui.corp.example"`},
		{"ui_origins", "*", `"*" is not the origin of a page, such as "https://ui.corp.example"; no wildcard stands for several`},
		{"ui_origins", "https://*.corp.example", `"https://*.corp.example" is not the origin of a page, such as "https://ui.corp.example"; no wildcard stands for several`},
		{"ui_origins", "null", `"null" is not the origin of a page, such as "https://ui.corp.example"; no wildcard stands for several`},
		{"ui_origins", "ui.corp.example", `"ui.corp.example" is not the origin of a page, such as "https://ui.corp.example"; no wildcard stands for several`},
	} {
		s := Service{Name: "a", Hosts: []string{test.value}}
		if test.key == "ui_origins" {
			s = Service{Name: "a", UIOrigins: []string{test.value}}
		}
		var want []string
		if test.want != "" {
			want = []string{test.key + "[0]: " + test.want}
		}
		if diff := cmp.Diff(want, faultsOf(s.Validate)); diff != "" {
			t.Errorf("%s %q: (-want +got)\n%s", test.key, test.value, diff)
		}
	}
}

// TestOneServiceOfAHost: a host is that of one service.
func TestOneServiceOfAHost(t *testing.T) {
	services := []Service{{Name: "a", Hosts: []string{"a.example", "both.example:443"}}, {Name: "b", Hosts: []string{"b.example:5000", "both.example"}}, {Name: "c", Hosts: []string{"b.example"}}}
	got := faultsOf(func(fault func(string, string)) {
		ValidateServices(Config{Services: []string{"a", "b", "c"}}, services, fault)
	})
	want := []string{`service[1].hosts[1]: "both.example" is a host of the service "a" already; a login can be for one service alone, so remove one of the two`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
