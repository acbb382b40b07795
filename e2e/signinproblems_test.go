package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"shorepass/e2e/browser"
)

// TestSignInProblems is what people run into, each with the page that says what happened and
// what to do.
func TestSignInProblems(t *testing.T) {
	t.Parallel()
	w := newSite(t, siteOptions{})
	b := startBrowser(t, browser.Options{})
	problem := func(t *testing.T, p *browser.Page, status int, key string) {
		t.Helper()
		p.See(words("problem."+key+".title"), words("problem."+key+".what"), words("problem."+key+".do"))
		if p.Status() != status {
			t.Errorf("status = %d, want %d", p.Status(), status)
		}
		p.Inspect("problem-" + key)
	}

	t.Run("consent is refused", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t)
		p.Visit(w.url + "/login")
		p.Click("Cancel")
		p.AwaitURL(w.url + "/login/sso/callback")
		problem(t, p, http.StatusForbidden, "consent_refused")
		p.Miss("access_denied")
		p.Miss("the person cancelled") // the provider's own words
	})
	t.Run("a code is used twice", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t)
		w.signIn(t, p, w.addPerson(t, "twice", "team-alpha"))
		callbacks := slices.DeleteFunc(p.Requested(), func(url string) bool { return !strings.HasPrefix(url, w.url+"/login/sso/callback") })
		p.Visit(callbacks[len(callbacks)-1])
		problem(t, p, http.StatusBadRequest, "sign_in_lost")
		p.Visit(w.url + "/me")
		p.See("twice")
	})
	t.Run("a code of another person's browser", func(t *testing.T) {
		t.Parallel()
		// The attacker signs in but lets the victim's browser finish it (login CSRF).
		p := b.Open(t)
		p.Visit(w.url + "/login/sso/callback?" + url.Values{"code": {"a-code"}, "state": {strings.Repeat("a", 43)}}.Encode())
		problem(t, p, http.StatusBadRequest, "sign_in_lost")
	})
	t.Run("two tabs", func(t *testing.T) {
		t.Parallel()
		who := w.addPerson(t, "tabs", "team-alpha")
		first := b.Open(t)
		second := first.Tab()
		first.Visit(w.url + "/login")
		second.Visit(w.url + "/login")
		w.passProvider(t, second, who)
		second.AwaitURL(w.url + "/me")
		w.passProvider(t, first, who)
		first.AwaitURL(w.url + "/me")
		for _, p := range []*browser.Page{first, second} {
			p.Reload()
			p.See("tabs")
		}
	})
	t.Run("a cookie that is not ours", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t)
		p.Visit(w.url + "/login")
		for _, c := range p.Cookies() {
			if strings.HasPrefix(c.Name, "shorepass-sign-in-") {
				p.SetCookie(c.Name, c.Value[:len(c.Value)-4]+"AAAA")
			}
		}
		w.passProvider(t, p, w.addPerson(t, "forger", "team-alpha"))
		problem(t, p, http.StatusBadRequest, "sign_in_lost")
	})
	t.Run("a provider that does not exist", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t)
		p.Visit(w.url + "/login?provider=none")
		problem(t, p, http.StatusNotFound, "unknown_provider")
	})
}
