package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"shorepass/e2e/browser"
	"shorepass/providers/ldap/ldaptest"
)

// TestSignInByForm signs in with the passwords of a file and of a directory, on a page that
// offers the OpenID provider too.
func TestSignInByForm(t *testing.T) {
	t.Parallel()
	d := ldaptest.StartSlapd(t, ldaptest.SlapdOptions{})
	operator := testUsers()["root"]
	accounts := localUsers{"root": operator}.toml() + slapdTOML(d, "prefix = \"\"\n"+groupsIn(d.Groups, ""))
	w := newSite(t, siteOptions{accounts: accounts, rules: testRules + directoryRules})
	b := startBrowser(t, browser.Options{})
	fill := func(p *browser.Page, user, password string) {
		p.Fill(words("sign_in.login"), user)
		p.Fill(words("sign_in.password"), password)
		p.Click(words("sign_in.button"))
	}

	t.Run("the page", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t)
		p.Visit(w.url + "/login")
		p.Inspect("signin")
	})
	for _, tc := range []struct{ name, user, password, provider string }{
		{"an account of a file", operator.name, operator.password, "local"},
		{"an account of a directory", "alice", secrets.add("password of alice", "alicepw"), "corp"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			p := b.Open(t)
			p.Visit(w.url + "/login")
			fill(p, tc.user, tc.password)
			p.AwaitURL(w.url + "/me")
			p.See(words("me.person", tc.user, tc.provider))
			_, password := w.oneTimePassword(t, p)
			if tc.provider == "corp" {
				p.Inspect("one-time-password")
			}
			token := w.login(t, tc.user, password)
			if a := w.redeem(t, token, teamScope); a.Status != http.StatusOK {
				t.Errorf("the token of the login = %v, want 200", a)
			}
		})
	}
	t.Run("every refusal is one sentence", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t)
		p.Visit(w.url + "/login")
		for i, user := range []string{"bob", "no-such-person", "CORP\\bob"} {
			fill(p, user, secrets.add("wrong password", fmt.Sprintf("wrong-password-%d", i)))
			p.See(words("sign_in.rejected"))
			if p.Status() != http.StatusUnauthorized {
				t.Errorf("status for a wrong password of %s = %d, want 401", user, p.Status())
			}
		}
		p.Inspect("signin-refused")
	})
	t.Run("too many wrong passwords", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t)
		p.Visit(w.url + "/login")
		for i := range 4 {
			fill(p, "mallory", secrets.add("wrong password", fmt.Sprintf("mallory-never-had-%d", i)))
		}
		said, _, _ := strings.Cut(words("sign_in.too_many"), "%d")
		p.See(said)
		if p.Status() != http.StatusTooManyRequests {
			t.Errorf("status = %d, want 429", p.Status())
		}
		p.Inspect("signin-too-many")
		// The token endpoint counts by the same name.
		if a := w.get(t, "service="+service, basic("mallory", "mallory-has-not-this-either")); a.Status != http.StatusTooManyRequests {
			t.Errorf("docker login with another wrong password = %v, want 429", a)
		}
	})
	t.Run("the provider chosen last comes first", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t)
		p.Visit(w.url + "/login")
		p.Click(words("sign_in.with", "Corp SSO"))
		w.passProvider(t, p, w.addPerson(t, "chooser", "team-alpha"))
		p.AwaitURL(w.url + "/me")
		p.Tab().Visit(w.url + "/login")
		p.Visit(w.url + "/login")
		p.See(words("sign_in.last"))
	})
}
