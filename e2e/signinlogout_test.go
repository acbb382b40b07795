package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"shorepass/e2e/browser"
)

// logOutAtProvider logs the person of a browser out at the OpenID provider, as from another
// application there: the browser does not come back.
func (w *site) logOutAtProvider(t *testing.T, p *browser.Page) {
	t.Helper()
	p.Visit(w.op.Issuer + "/session/end")
	p.Click("Sign out")
	p.See("You are signed out.")
}

// mustSignIn waits until a browser has no session: the list of logins leads to the OpenID
// provider.
func (w *site) mustSignIn(t *testing.T, p *browser.Page) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		p.Visit(w.url + "/me")
		if at := p.URL(); !strings.HasPrefix(at, w.op.Issuer) {
			return fmt.Errorf("the browser is at %s, want the OpenID provider's login page; it says\n%s", at, p.Text())
		}
		return nil
	})
}

// TestLogout is each way to log out, and what it ends: here, at the provider from here, and
// at the provider from elsewhere.
func TestLogout(t *testing.T) {
	t.Parallel()
	w := newSite(t, siteOptions{session: `revalidate = "1s"`})
	b := startBrowser(t, browser.Options{})
	// signedIn returns a browser in which a person is signed in, with the refresh token of
	// a docker login and a second browser of the same person.
	signedIn := func(t *testing.T, name string) (p, other *browser.Page, token string) {
		t.Helper()
		who := w.addPerson(t, name, "team-alpha")
		p, other = b.Open(t), b.Open(t)
		w.signIn(t, p, who)
		w.signIn(t, other, who)
		_, password := w.oneTimePassword(t, p)
		return p, other, w.login(t, name, password)
	}
	isIn := func(t *testing.T, p *browser.Page) {
		t.Helper()
		p.Visit(w.url + "/me")
		p.See(words("me.title"))
	}
	keeps := func(t *testing.T, token string) {
		t.Helper()
		if a := w.redeem(t, token, teamScope); a.Status != http.StatusOK {
			t.Errorf("docker's login after a logout in the browser = %v, want 200", a)
		}
	}

	t.Run("here", func(t *testing.T) {
		t.Parallel()
		p, other, token := signedIn(t, "hera")
		isIn(t, p)
		p.Click(words("layout.logout"))
		p.See(words("logout.title"))
		p.Inspect("logout")
		p.Click(words("logout.here"))
		p.See(words("signed_out.title"))
		p.Inspect("signed-out")
		p.Back() // to the question, and to the list of logins
		p.Back()
		p.Miss("hera")
		// The person is still signed in at the provider.
		p.Visit(w.url + "/login")
		w.passProvider(t, p, person{})
		p.See("hera")
		isIn(t, other)
		keeps(t, token)
	})
	t.Run("at the provider too", func(t *testing.T) {
		t.Parallel()
		p, other, token := signedIn(t, "iris")
		isIn(t, p)
		p.Click(words("layout.logout"))
		p.Click(words("logout.there", "Corp SSO"))
		p.AwaitURL(w.op.Issuer)
		p.Click("Sign out")
		p.AwaitURL(w.url + "/logout")
		p.See(words("signed_out.title"))
		p.Visit(w.url + "/login")
		p.See("Test provider: sign in")
		isIn(t, other)
		keeps(t, token)
	})
	t.Run("elsewhere, by back-channel", func(t *testing.T) {
		t.Parallel()
		p, other, token := signedIn(t, "zeus")
		w.logOutAtProvider(t, p)
		w.mustSignIn(t, p)
		isIn(t, other)
		keeps(t, token)
	})
	t.Run("elsewhere, where that ends everything", func(t *testing.T) {
		t.Parallel()
		strict := newSite(t, siteOptions{provider: `backchannel_logout = "all"`})
		who := strict.addPerson(t, "athena", "team-alpha")
		p := b.Open(t)
		strict.signIn(t, p, who)
		_, password := strict.oneTimePassword(t, p)
		token := strict.login(t, who.name, password)
		pat := strict.makeToken(t, p, "build server", "", false).token
		strict.logOutAtProvider(t, p)
		eventually(t, 20*time.Second, func() error {
			docker, tool := strict.redeem(t, token, teamScope), strict.get(t, "service="+service, basic(who.name, pat))
			if docker.Status != http.StatusUnauthorized || tool.Status != http.StatusUnauthorized {
				return fmt.Errorf("docker's login = %v, the token = %v, want 401 for both", docker, tool)
			}
			return nil
		})
	})
}
