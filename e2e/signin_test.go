package e2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shorepass/e2e/browser"
)

// TestSignIn is the way of a person whose company demands a second factor: sign in at the
// OpenID provider, let docker log in with the line and the one-time password of the page,
// push and pull, end the login on the page, and be refused.
func TestSignIn(t *testing.T) {
	t.Parallel()
	w := newSite(t, siteOptions{session: `revalidate = "1s"`})
	b := startBrowser(t, browser.Options{})
	running := engines(t)
	for name, engine := range running {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			docker := engine.client(name)
			who := w.addPerson(t, "dev-"+strings.Trim(strings.Map(letterOrDigit, name), "-"), "team-alpha")
			p, h := b.Open(t), newHome(t)
			w.signIn(t, p, who)
			p.See(words("me.person", who.name, "Corp SSO"), words("me.logins", 1))

			line, password := w.oneTimePassword(t, p)
			if want := fmt.Sprintf("docker login -u %s --password-stdin %s", who.name, w.registry.host); line != want {
				t.Errorf("the page shows the line %q, want %q", line, want)
			}
			if a := w.get(t, "service="+service+"&scope="+teamScope, basic(who.name, password)); a.Status != http.StatusUnauthorized || !strings.Contains(a.Raw, "a one-time password is for docker login") {
				t.Errorf("the one-time password in another tool = %v, want 401 that says what it is for, and does not spend it", a)
			}
			dockerLine := func() result {
				return executeDocker(t, h.env(), password, engine.docker, append([]string{"--config", string(h), "--host", engine.socket}, strings.Fields(line)[1:]...)...)
			}
			if got := dockerLine(); !got.ok || !strings.Contains(got.text, "Login Succeeded") {
				t.Fatalf("%s: %v", line, got)
			}
			stored := h.stored(t, w.registry.host)
			if !strings.HasPrefix(stored.IdentityToken, "sp_r_") {
				t.Error("docker login stored no refresh token")
			}
			if _, kept := stored.basic(); kept != "" {
				t.Error("docker login stored a password")
			}
			i, ref := dockerImage(t), w.registry.host+"/team-alpha/"+who.name+":1"
			if got := docker.push(t, h, i, ref); !got.ok {
				t.Fatalf("push: %v", got)
			}
			if got := docker.pull(t, h, ref); !got.ok {
				t.Fatalf("pull: %v", got)
			}

			if got := dockerLine(); got.ok || !strings.Contains(got.text, "this one-time password was used") {
				t.Errorf("the same one-time password again: %v\nwant a failure that says when it was used", got)
			}

			p.Visit(w.url + "/me")
			p.See(words("me.logins", 2), words("me.kind.refresh"))
			p.ClickFirst(words("me.end") + ": " + words("me.kind.refresh"))
			p.See(words("me.just_ended.one"), words("me.logins", 1))
			if got := docker.pull(t, h, ref); got.ok || !strings.Contains(got.text, w.namesSignIn()) {
				t.Errorf("pull after the login was ended on the page: %v\nwant %q", got, w.namesSignIn())
			}
		})
	}
}

// namesSignIn is how every 401 for a password ends at a site, as docs/signin.md has it.
func (w *site) namesSignIn() string {
	return "incorrect username or password, or the login has ended; log in again, or sign in at " + w.url + "/login"
}

// TestRefusalNamesSignIn logs in with a wrong password: each client that prints the
// sentence of a 401 says where to sign in.
func TestRefusalNamesSignIn(t *testing.T) {
	t.Parallel()
	w := newSite(t, siteOptions{})
	page, err := os.ReadFile(filepath.Join("..", "docs", "signin.md"))
	must(t, err)
	if want := strings.Replace(w.namesSignIn(), w.url, "https://registry-auth.corp.example", 1); !strings.Contains(string(page), want) {
		t.Errorf("docs/signin.md does not have the sentence %q", want)
	}
	wrong := secrets.add("wrong password", "alice-has-no-password")
	for _, c := range clients() {
		switch strings.Fields(c.name)[0] {
		case "regctl", "containerd": // which print no sentence
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHome(t)
			h.store(t, w.registry.host, "alice", wrong)
			if got := c.pull(t, h, w.registry.host+"/team-alpha/app:1"); got.ok || !strings.Contains(got.text, w.namesSignIn()) {
				t.Errorf("pull with a wrong password: %v\nwant %q", got, w.namesSignIn())
			}
		})
	}
}

// letterOrDigit replaces what cannot be in a repository's name.
func letterOrDigit(r rune) rune {
	if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789", r) {
		return r
	}
	return '-'
}
