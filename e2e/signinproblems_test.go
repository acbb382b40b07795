package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

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
	t.Run("another name of the server", func(t *testing.T) {
		t.Parallel()
		p := b.Open(t)
		p.Visit(strings.Replace(w.url, "localhost", "127.0.0.1", 1) + "/login")
		w.passProvider(t, p, w.addPerson(t, "renamed", "team-alpha"))
		p.AwaitURL(w.url + "/me")
		p.See("renamed")
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

// TestSessionInTheMiddle is what happens to a browser's session while its page is open: it
// grows old, another browser ends it, the provider goes down, and its person has no rights.
func TestSessionInTheMiddle(t *testing.T) {
	t.Parallel()
	need(t, "sqlite3")
	rules, _, _ := strings.Cut(testRules, "[[rule]]\nname = \"everyone reads public\"")
	w := newSite(t, siteOptions{rules: rules})
	b := startBrowser(t, browser.Options{})
	onetime := words("me.onetime") + ": " + w.registry.host

	t.Run("ten minutes pass", func(t *testing.T) {
		p := b.Open(t)
		w.signIn(t, p, w.addPerson(t, "late", "team-alpha"))
		w.sql(t, fmt.Sprintf("UPDATE session SET auth_time = auth_time - %d WHERE kind = 'browser'", (11*time.Minute).Milliseconds()))
		p.Click(onetime)
		p.See(words("problem.not_fresh.title"), words("problem.not_fresh.what"))
		p.Inspect("problem-not_fresh")
		p.Click(words("problem.button"))
		w.passProvider(t, p, person{})
		p.AwaitURL(w.url + "/me")
		w.oneTimePassword(t, p)
	})
	t.Run("a personal access token expires", func(t *testing.T) {
		p, who := b.Open(t), w.addPerson(t, "expiring", "team-alpha")
		w.signIn(t, p, who)
		token := w.makeToken(t, p, "build server", "", false).token
		query := "service=" + service + "&scope=" + teamScope
		if a := w.get(t, query, basic(who.name, token)); a.Status != http.StatusOK || a.granted(t) != "repository:team-alpha/x:pull" {
			t.Errorf("the token = %v, want an access token to pull", a)
		}
		w.sql(t, "UPDATE session SET expires = created + 1 WHERE kind = 'pat'")
		if a := w.get(t, query, basic(who.name, token)); a.Status != http.StatusUnauthorized || !strings.Contains(a.Raw, w.namesSignIn()) {
			t.Errorf("the expired token = %v, want 401 that names the sign-in page", a)
		}
	})
	t.Run("another browser ends it", func(t *testing.T) {
		p, other, who := b.Open(t), b.Open(t), w.addPerson(t, "ended", "team-alpha")
		w.signIn(t, p, who)
		w.signIn(t, other, who)
		other.Click(words("me.end.others"))
		other.Inspect("revoke-others")
		other.Click(words("revoke.do.others"))
		other.See(words("me.just_ended.one"))
		p.Click(onetime)
		p.See(words("problem.session_ended.title"), words("problem.session_ended.what"))
		p.Inspect("problem-session_ended")
	})
	t.Run("a person without rights", func(t *testing.T) {
		p := b.Open(t)
		w.signIn(t, p, w.addPerson(t, "newcomer"))
		p.See(words("rights.none", "the operators of this registry"))
		p.Inspect("me-without-rights")
	})
	t.Run("the provider is down", func(t *testing.T) {
		p := b.Open(t)
		w.signIn(t, p, w.addPerson(t, "present", "team-alpha"))
		w.op.Down()
		defer w.op.Up()
		p.Visit(w.url + "/me")
		p.See("present")
	})
	t.Run("the provider is broken when it sends the browser back", func(t *testing.T) {
		p := b.Open(t)
		p.Visit(w.url + "/login")
		w.op.Fail("token", http.StatusInternalServerError, `{"error":"server_error","error_description":"out of cheese"}`, 0)
		defer w.op.Release()
		w.passProvider(t, p, w.addPerson(t, "unlucky", "team-alpha"))
		p.See(words("problem.unavailable.title"), words("problem.unavailable.do"))
		p.Miss("cheese")
		if p.Status() != http.StatusServiceUnavailable {
			t.Errorf("status = %d, want 503", p.Status())
		}
		p.Inspect("problem-unavailable")
	})
	t.Run("the sealing key is replaced", func(t *testing.T) {
		ring, another := filepath.Join(w.dir, "data", "seal.key"), filepath.Join(t.TempDir(), "seal.key")
		if out, err := exec.Command(binary, "keys", "init", "--seal-key", another).CombinedOutput(); err != nil {
			t.Fatalf("shorepass keys init: %v\n%s", err, out)
		}
		before, err := os.ReadFile(ring)
		must(t, err)
		after, err := os.ReadFile(another)
		must(t, err)
		replace := func(keys ...[]byte) {
			t.Helper()
			must(t, os.WriteFile(ring, slices.Concat(keys...), 0o600))
			w.stop(t)
			w.start(t)
		}
		soon, later, who := b.Open(t), b.Open(t), w.addPerson(t, "keyed", "team-alpha")
		soon.Visit(w.url + "/login")
		later.Visit(w.url + "/login")
		replace(after, before)
		w.passProvider(t, soon, who)
		soon.AwaitURL(w.url + "/me")
		if got := w.cli(t, "", "sessions", "rekey"); !got.ok {
			t.Fatalf("shorepass sessions rekey: %v", got)
		}
		replace(after)
		w.passProvider(t, later, who)
		later.See(words("problem.sign_in_lost.title"))
		soon.Reload()
		soon.See("keyed")
	})
}

// sql changes the store of a site, as time does.
func (w *site) sql(t *testing.T, statement string) {
	t.Helper()
	cmd := exec.Command("sqlite3", "-cmd", ".timeout 5000", filepath.Join(w.dir, "data", "shorepass.db"), statement)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sqlite3: %v\n%s", err, out)
	}
}
