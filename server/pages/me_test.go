package pages

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

// meSite is the pages of logins on real sessions in SQLite, with a chain of providers that
// vouches for everyone.
type meSite struct {
	t        testing.TB
	sessions *session.Sessions
	options  Options
}

// meChain is a chain of providers that vouches for everyone.
type meChain struct{ Providers }

func (meChain) BrowserProviders() []providers.BrowserProvider {
	return []providers.BrowserProvider{{Name: "corp", Label: "Corporate account"}}
}
func (meChain) OffersForm() bool { return false }
func (meChain) Revalidate(_ context.Context, id *providers.Identity) (*providers.Identity, error) {
	return id, nil
}
func (meChain) Fingerprint(string) string                  { return "print" }
func (meChain) PerSignIn(string) bool                      { return false }
func (meChain) RevokeWhen(string) (w providers.RevokeWhen) { return w }
func (meChain) Reauthenticate(string) time.Duration        { return 0 }
func (meChain) Forget(func(*providers.Identity) bool)      {}
func (meChain) RevokeRefreshToken(context.Context, string, secret.Text) error {
	return nil
}

func newMeSite(t testing.TB) *meSite {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir()+"/data/shorepass.db")
	must(t, err)
	cfg := session.Config{}.WithDefaults()
	sessions, err := session.New(t.Context(), cfg, store, meChain{}, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { _ = sessions.Close() })
	rules := []policy.Rule{{Name: "team", Groups: []string{"team-a"}, Repositories: []string{"team-a/**"}, Actions: []string{"pull", "push"}}}
	s := &meSite{t: t, sessions: sessions, options: Options{
		Config: Config{}.WithDefaults(), Origin: &url.URL{Scheme: "https", Host: "auth.corp.example"}, Origins: []string{"https://auth.corp.example"},
		Contact: "the container team", Providers: meChain{}, Sessions: sessions, Admin: sessions.Admin(), Session: cfg,
		Services: []Service{{Name: "registry", Hosts: []string{"registry.corp.example", "r.corp.example"}}, {Name: "internal"}},
		Policy:   policy.Compile(rules, func(key, problem string) { t.Errorf("%s: %s", key, problem) }),
	}}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// person returns the identity of a person.
func person(user string) *providers.Identity {
	return &providers.Identity{
		Provider: "corp", Fingerprint: "print", Subject: "subject of " + user, User: user, Groups: []string{"authenticated", "team-a"},
		Method: providers.MethodBrowser, AuthTime: time.Now(), Stamp: "stamp 1",
	}
}

var laptop = session.Client{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"}

// signIn signs a person in with a browser.
func (s *meSite) signIn(user string) *session.Session {
	s.t.Helper()
	made, err := s.sessions.IssueBrowser(s.t.Context(), person(user), "", laptop)
	must(s.t, err)
	return s.redeem(made.Token)
}

func (s *meSite) redeem(token secret.Text) *session.Session {
	s.t.Helper()
	web, err := s.sessions.Redeem(s.t.Context(), token, "", laptop, session.KindBrowser)
	must(s.t, err)
	return web
}

// dockerLogin logs a person in with docker.
func (s *meSite) dockerLogin(user string) *session.Session {
	s.t.Helper()
	client := session.Client{Address: netip.MustParseAddr("192.0.2.8"), ID: "docker", UserAgent: "docker/28.5.2 go/go1.24.9 os/linux arch/amd64"}
	_, made, err := s.sessions.Issue(s.t.Context(), person(user), "registry", client)
	must(s.t, err)
	return made
}

// meHandlers are the handlers of the pages of logins by method and path.
var meHandlers = map[string]func(*Pages, context.Context, *Visit, *session.Session) (*Response, error){
	"GET /me": (*Pages).me,
}

// visit visits a page of logins in a browser's session.
func (s *meSite) visit(web *session.Session, method, target string, form url.Values) (*Response, *Visit, error) {
	s.t.Helper()
	p, err := New(s.options)
	must(s.t, err)
	v := &Visit{Request: httptest.NewRequest(method, target, nil), Form: form, Client: laptop, ID: "R1", Now: s.sessions.Now(), text: english}
	response, err := meHandlers[method+" "+v.Request.URL.Path](p, s.t.Context(), v, web)
	return response, v, err
}

// get returns a page.
func (s *meSite) get(web *session.Session, target string) string {
	s.t.Helper()
	response, _, err := s.visit(web, http.MethodGet, target, nil)
	must(s.t, err)
	if response.Status != http.StatusOK {
		s.t.Fatalf("GET %s: status %d", target, response.Status)
	}
	return string(response.Body)
}

var tag = regexp.MustCompile(`<[^>]*>`)

// text returns the text of a page as a person reads it.
func text(page string) string {
	return strings.Join(strings.Fields(tag.ReplaceAllString(page, " ")), " ")
}

// TestMe: a person sees where to log in and every login.
func TestMe(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn("alice")
	s.dockerLogin("alice")
	s.dockerLogin("bob")
	_, err := s.sessions.IssuePAT(t.Context(), web, session.PAT{Label: "laptop", Lifetime: 30 * 24 * time.Hour}, laptop)
	must(t, err)
	page := text(s.get(web, "/me"))
	for _, want := range []string{
		"Your logins You are alice, signed in with Corporate account.",
		"registry.corp.example Also called r.corp.example docker login -u alice registry.corp.example",
		"Logins (3)",
		"docker login registry.corp.example Made just now docker 28.5 on Linux, 192.0.2.8 Last used never Ends in 12 months",
		"Access token “laptop” Made just now Firefox 143 on Linux, 192.0.2.7 Last used never Ends in 30 days",
		"Browser this browser Made just now Firefox 143 on Linux, 192.0.2.7 Last used just now Ends in 24 hours",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	for _, unwanted := range []string{"bob", "internal", "%!", "ZgotmplZ"} {
		if strings.Contains(page, unwanted) {
			t.Errorf("the page has %q:\n%s", unwanted, page)
		}
	}
}

// TestManyLogins: the list is in pages of a bounded size.
func TestManyLogins(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn("alice")
	for range 2*loginsPerPage + 1 {
		s.dockerLogin("alice")
	}
	for _, tc := range []struct {
		target       string
		logins       int
		newer, older string
	}{
		{"/me", loginsPerPage, "", "/me?page=2"},
		{"/me?page=2", loginsPerPage, "/me?page=1", "/me?page=3"},
		{"/me?page=3", 2, "/me?page=2", ""},
		{"/me?page=4", 2, "/me?page=2", ""},
		{"/me?page=-1", loginsPerPage, "", "/me?page=2"},
		{"/me?page=x%3Cscript%3E", loginsPerPage, "", "/me?page=2"},
		{"/me?page=99999999999999999999", 2, "/me?page=2", ""},
	} {
		page := s.get(web, tc.target)
		if got := strings.Count(page, `name="session"`); got != tc.logins {
			t.Errorf("%s has %d logins, want %d", tc.target, got, tc.logins)
		}
		if len(page) > 20<<10 {
			t.Errorf("%s has %d bytes, want 20 KiB at most", tc.target, len(page))
		}
		for rel, want := range map[string]string{"prev": tc.newer, "next": tc.older} {
			found := regexp.MustCompile(fmt.Sprintf(`rel="%s" href="([^"#]*)`, rel)).FindStringSubmatch(page)
			if got := append(found, "", "")[min(1, len(found))]; got != want {
				t.Errorf("%s leads to %q as %s, want %q", tc.target, got, rel, want)
			}
		}
	}
}
