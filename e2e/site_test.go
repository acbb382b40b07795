package e2e

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shorepass/e2e/browser"
	"shorepass/providers/oidc/oidctest"
)

// site is a shorepass with pages, a registry that trusts it, and the OpenID provider at
// which people sign in.
type site struct {
	*server
	registry *registry
	op       *oidctest.Server
	client   oidctest.Client
}

// siteOptions configure a site. The zero options are an OpenID provider that people reach
// over http on loopback, and testRules.
type siteOptions struct {
	op       func(*oidctest.Options) // switches of the OpenID provider
	provider string                  // TOML: further keys of the OpenID provider's table
	accounts string                  // TOML: tables of providers that come before it
	rules    string                  // TOML: [[rule]] tables
	session  string                  // TOML: further keys of [session]
	pages    string                  // TOML: keys of [pages]
	service  string                  // TOML: further keys of the registry's table
	tls      bool                    // the site and its registry are reached by https
}

// newSite starts a site.
func newSite(t *testing.T, o siteOptions) *site {
	t.Helper()
	w := &site{server: &server{dir: t.TempDir(), port: freePort(t), root: rootCA}}
	w.url = fmt.Sprintf("%s://localhost:%d", o.scheme(), w.port)
	w.config = filepath.Join(w.dir, "shorepass.toml")
	w.startPeers(t, o)
	w.writeConfig(t, w.options(o))
	w.start(t)
	return w
}

func (o siteOptions) scheme() string {
	if o.tls {
		return "https"
	}
	return "http"
}

// startPeers starts the OpenID provider and the registry of a site whose URL is known.
func (w *site) startPeers(t *testing.T, o siteOptions) {
	t.Helper()
	w.client = oidctest.Client{
		ID: "registry", Secret: secrets.add("client secret", "sso-client-canary"),
		Redirects:            []string{w.url + "/login/sso/callback"},
		PostLogoutRedirects:  []string{w.url + "/logout"},
		BackchannelLogoutURI: w.url + "/logout/sso",
	}
	op := oidctest.Options{Clients: []oidctest.Client{w.client}}
	if o.op != nil {
		o.op(&op)
	}
	w.client, w.op = op.Clients[0], oidctest.Start(t, op)
	w.registry = startRegistry(t, distributions[1], o.scheme(), o.certificate(", tls: {certificate: %q, key: %q}"), w.tokenAuth())
}

// certificate fills the files of the certificate for localhost into a configuration, where
// the site is reached by https.
func (o siteOptions) certificate(format string) string {
	if !o.tls {
		return ""
	}
	return fmt.Sprintf(format, filepath.Join(runDir, "localhost.crt"), filepath.Join(runDir, "localhost.key"))
}

// options returns the options of the site's servers.
func (w *site) options(o siteOptions) options {
	if w.client.Secret != "" {
		o.provider += fmt.Sprintf("\nclient_secret = %q\n", w.client.Secret)
	}
	return options{
		providers: o.accounts + fmt.Sprintf(`
[[provider]]
name = "sso"
kind = "oidc"
label = "Corp SSO"
prefix = ""
issuer = %q
client_id = %q
grants = ["browser", "refresh_token"]
groups = { claim = "groups" }
%s`, w.op.Issuer, w.client.ID, o.provider),
		rules:   cmp.Or(o.rules, testRules),
		session: o.session,
		server:  o.certificate("tls = { certificate = %q, key = %q }"),
		more:    fmt.Sprintf("\n[pages]\n%s\n[[service]]\nname = %q\nhosts = [%q]\n%s", o.pages, service, w.registry.host, o.service),
	}
}

// person is an account at the site's OpenID provider.
type person struct{ name, password string }

// addPerson adds an account to the OpenID provider.
func (w *site) addPerson(t *testing.T, name string, groups ...string) person {
	t.Helper()
	password := secrets.newPassword(name)
	w.op.SetUser(oidctest.User{Name: name, Password: password, Subject: "sub-" + name, Email: name + "@example.org", Groups: groups})
	return person{name, password}
}

// startBrowser starts a browser whose cookies and codes no log may have.
func startBrowser(t *testing.T, o browser.Options) *browser.Browser {
	t.Helper()
	o.OnSecret = func(description, secret string) { secrets.add(description, secret) }
	return browser.Start(t, o)
}

// signIn signs a person in at the OpenID provider, from the sign-in page to the list of
// logins.
func (w *site) signIn(t *testing.T, p *browser.Page, who person) {
	t.Helper()
	p.Visit(w.url + "/login")
	w.passProvider(t, p, who)
	p.AwaitURL(w.url + "/me")
}

// passProvider answers the pages of the OpenID provider until it sends the browser back.
func (w *site) passProvider(t *testing.T, p *browser.Page, who person) {
	t.Helper()
	for range 6 {
		switch {
		case !strings.HasPrefix(p.URL(), w.op.Issuer):
			return
		case p.Has("Allow", "button"):
			p.Click("Allow")
		default:
			p.Fill("Login", who.name)
			p.Fill("Password", who.password)
			p.Click("Sign in")
		}
	}
	t.Fatalf("the OpenID provider does not send %s back; it says\n%s", who.name, p.Text())
}

// oneTimePassword makes a one-time password on the list of logins, and returns it with
// the line that reads it from standard input.
func (w *site) oneTimePassword(t *testing.T, p *browser.Page) (line, password string) {
	t.Helper()
	p.Visit(w.url + "/me")
	p.Click(words("me.onetime") + ": " + w.registry.host)
	p.See(words("onetime.title", w.registry.host))
	p.Toggle(words("onetime.others"))
	password = secrets.add("one-time password", strings.Join(p.Texts("#password"), " "))
	for _, shown := range p.Texts("code") {
		if strings.Contains(shown, "docker login") && strings.Contains(shown, "--password-stdin") {
			line = shown
		}
	}
	if line == "" || !strings.HasPrefix(password, "sp_o_") {
		t.Fatalf("the page shows no line or no password:\n%s", p.Text())
	}
	return line, password
}

// words returns an English text of the pages.
func words(key string, args ...any) string {
	text, ok := pageTexts()[key]
	if !ok {
		panic("server/pages/texts/en.json has no " + key)
	}
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// pageTexts returns the English texts of the pages, by key.
var pageTexts = sync.OnceValue(func() map[string]string {
	content, err := os.ReadFile(filepath.Join("..", "server", "pages", "texts", "en.json"))
	if err != nil {
		panic(err)
	}
	texts := make(map[string]string)
	if err := json.Unmarshal(content, &texts); err != nil {
		panic(err)
	}
	return texts
})
