package e2e

import (
	"strings"
	"testing"

	"shorepass/e2e/browser"
)

// TestSignInWithTheKeyboard signs in and makes a one-time password and a personal access
// token with the keyboard alone, and with the scripts of pages off. The focus can be seen at
// each step.
func TestSignInWithTheKeyboard(t *testing.T) {
	t.Parallel()
	alice := testUsers()["alice"]
	w := newSite(t, siteOptions{accounts: localUsers{"alice": alice}.toml()})
	p := startBrowser(t, browser.Options{}).Open(t)
	p.Scripts(false)

	p.Visit(w.url + "/login")
	p.TabTo(words("sign_in.login"))
	p.Press(alice.name)
	p.TabTo(words("sign_in.password"))
	p.Press(alice.password)
	p.Enter()
	p.AwaitURL(w.url + "/me")

	p.TabTo(words("me.onetime") + ": " + w.registry.host)
	p.Enter()
	p.See(words("onetime.title", w.registry.host))
	password := secrets.add("one-time password", strings.Join(p.Texts("#password"), " "))
	w.login(t, alice.name, password)

	p.Visit(w.url + "/me")
	p.TabTo(words("me.token") + ": " + w.registry.host)
	p.Enter()
	p.TabTo(words("token.name"))
	p.Press("build")
	p.TabTo(words("token.make"))
	p.Enter()
	p.See(words("token.once"))
	token := secrets.add("personal access token", strings.Join(p.Texts("#token"), " "))
	if a := w.get(t, "service="+service+"&scope="+teamScope, basic(alice.name, token)); a.granted(t) == "" {
		t.Errorf("the token of the page = %v, want an access token", a)
	}

	p.Visit(w.url + "/me")
	p.TabTo(words("layout.logout"))
	p.Enter()
	p.TabTo(words("logout.here"))
	p.Enter()
	p.See(words("signed_out.title"))
}
