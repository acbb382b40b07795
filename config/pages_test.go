package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"shorepass/providers"
	"shorepass/providers/file"
)

// formOptions are those of a provider whose people have a password alone, and
// browserOptions those of one with the grant browser.
type (
	formOptions    struct{ file.Config }
	browserOptions struct{ file.Config }
)

func (o formOptions) WithDefaults() formOptions           { return o }
func (o browserOptions) WithDefaults() browserOptions     { return o }
func (formOptions) Validate(func(key, problem string))    {}
func (browserOptions) Validate(func(key, problem string)) {}
func (browserOptions) Methods() []providers.Method {
	return []providers.Method{providers.MethodBrowser}
}

// TestPages: people of a provider with the grant browser can sign in for every registry,
// or a fault or a warning says why not. Without such a provider nothing is required.
func TestPages(t *testing.T) {
	const hosts = `hosts = ["registry.corp.example"]`
	for _, tt := range []struct {
		name, kind, server, service string
		want                        []string
	}{
		{"https", "web", `public_urls = ["https://auth.corp.example"]`, hosts, nil},
		{"http on loopback", "web", ``, hosts, nil},
		{"no service with hosts", "web", ``, ``, []string{
			`provider[0].grants: with the grant "browser" people sign in for a registry that they know by its host, and no [[service]] has hosts; write hosts = ["registry.corp.example"] in one`}},
		{"http", "web", `public_urls = ["http://auth.corp.example", "https://auth.corp.example"]`, hosts, []string{
			`server.public_urls[0]: people cannot sign in with a browser at http://auth.corp.example, where their cookies would cross the network unencrypted; make the first URL https; the provider "sso" has the grant browser`}},
		{"a path", "web", `public_urls = ["https://corp.example/auth"]`, hosts, []string{
			`server.public_urls[0]: people cannot sign in with a browser at https://corp.example/auth, since the cookies are those of the whole host; give this server a host name of its own, and make the first URL one without a path; the provider "sso" has the grant browser`}},
		{"http and hosts, and people with passwords alone", "form", `public_urls = ["http://auth.corp.example"]`, hosts, []string{
			`warning: server.public_urls[0]: people cannot sign in with a browser at http://auth.corp.example, where their cookies would cross the network unencrypted; make the first URL https; so the hosts of [[service]] have no effect`}},
		{"http, and people with passwords alone", "form", `public_urls = ["http://auth.corp.example"]`, ``, nil},
	} {
		text := fmt.Sprintf(`
[server]
trusted_proxies = ["192.0.2.1"]
%s
[token]
issuer   = "i"
services = ["r"]
[[service]]
name = "r"
%s
[[provider]]
name = "sso"
kind = %q
[[rule]]
users        = ["*"]
repositories = ["**"]
actions      = ["pull"]
`, tt.server, tt.service, tt.kind)
		if diff := cmp.Diff(tt.want, findingsOf(t, text)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

// TestServicesWithoutHosts: each service for which no person can sign in is a warning,
// unless it is disabled.
func TestServicesWithoutHosts(t *testing.T) {
	got := findingsOf(t, `
[token]
issuer   = "i"
services = ["a", "b", "c", "d"]
[[service]]
name  = "a"
hosts = ["a.corp.example"]
[[service]]
name   = "b"
issuer = "other"
[[service]]
name     = "c"
disabled = true
[[provider]]
name = "sso"
kind = "web"
[[rule]]
users        = ["*"]
repositories = ["**"]
actions      = ["pull"]
`)
	want := []string{
		`warning: service[1].hosts: people cannot sign in with a browser for the service "b", since it has no hosts; write hosts = ["registry.corp.example"], the host of docker login, in its [[service]] table`,
		`warning: token.services[3]: people cannot sign in with a browser for the service "d", since it has no hosts; write hosts = ["registry.corp.example"], the host of docker login, in its [[service]] table`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// findingsOf loads a configuration with providers of the kinds web, which has the grant
// browser, and form, which has not.
func findingsOf(t *testing.T, text string) []string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "shorepass.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := Load(name, Kinds{"web": Kind(unbuilt[browserOptions]), "form": Kind(unbuilt[formOptions])})
	var all []string
	for _, f := range Faults(err) {
		all = append(all, f.Key+": "+f.Problem)
	}
	if cfg != nil {
		for _, w := range cfg.Warnings {
			all = append(all, "warning: "+w.Key+": "+w.Problem)
		}
	}
	return all
}

// TestReadmeSignIn: the tables that README.md shows for people with a second factor load
// without a warning, and are enough.
func TestReadmeSignIn(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(readme), "\n## People with a second factor\n")
	section, _, _ = strings.Cut(section, "\n## ")
	tables := strings.Join(regexp.MustCompile(`(?m)^    .*\n|^\n`).FindAllString(section, -1), "")
	dir := t.TempDir()
	for name, text := range map[string]string{"sso.secret": "secret", "shorepass.toml": `
[server]
public_urls     = ["https://registry-auth.corp.example"]
trusted_proxies = ["192.0.2.1"]
[token]
issuer   = "shorepass"
services = ["registry.corp.example"]
` + tables + `
[[rule]]
users        = ["*"]
repositories = ["{user}/**"]
actions      = ["pull"]
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := Load(filepath.Join(dir, "shorepass.toml"), kinds)
	if err != nil || len(cfg.Warnings) > 0 || len(cfg.Providers) != 1 || !cfg.Providers[0].hasBrowserGrant() {
		t.Errorf("Load = %+v, %v", cfg, err)
	}
}
