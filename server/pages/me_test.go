package pages

import (
	"cmp"
	"fmt"
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
)

// meSite is the pages on real sessions in SQLite, with a chain of providers that vouches
// for everyone.
type meSite struct {
	t        testing.TB
	sessions *session.Sessions
	policy   *policy.Policy
	options  Options
}

func newMeSite(t testing.TB) *meSite {
	t.Helper()
	chain := &fakeProviders{offered: []providers.BrowserProvider{{Name: "corp", Label: "Corporate account"}}}
	sessions := newTestSessions(t, chain, secret.Text{})
	rules := []policy.Rule{
		{Name: "team", Groups: []string{"team-a"}, Repositories: []string{"team-a/**"}, Actions: []string{"pull", "push"}},
		{Name: "tokens", Users: []string{"carol"}, Repositories: []string{"tokens/{user}/**"}, Actions: []string{"pull"}, When: `method == "pat"`},
	}
	compiled := policy.Compile(rules, func(key, problem string) { t.Errorf("%s: %s", key, problem) })
	return &meSite{t, sessions.Sessions, compiled, Options{
		Config: Config{}.WithDefaults(), Origin: &url.URL{Scheme: "https", Host: "auth.corp.example"},
		Contact: "the container team", Providers: chain, Sessions: sessions, Admin: sessions, Session: session.Config{}.WithDefaults(),
		Services:  []Service{{Name: "registry", Hosts: []string{"registry.corp.example", "r.corp.example"}}, {Name: "internal"}},
		Rights:    rightsOf(compiled),
		HasRights: hasRightsOf(compiled),
	}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// member returns the identity of a person of team-a, of which the provider tells when its
// password changes.
func member(name string) *providers.Identity {
	id := person("corp", name)
	id.Groups, id.AuthTime, id.Stamp = []string{"authenticated", "team-a"}, time.Now(), "stamp 1"
	return id
}

var laptop = session.Client{Address: netip.MustParseAddr("192.0.2.7"), UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0"}

// signIn signs a person in with a browser.
func (s *meSite) signIn(id *providers.Identity) *meBrowser {
	s.t.Helper()
	made, err := s.sessions.IssueBrowser(s.t.Context(), id, "", secret.Text{}, laptop)
	must(s.t, err)
	p, err := New(s.options)
	must(s.t, err)
	return &meBrowser{t: s.t, pages: p, token: made.Token, ID: made.ID}
}

// dockerLogin logs a person in with docker.
func (s *meSite) dockerLogin(id *providers.Identity) *session.Session {
	s.t.Helper()
	client := session.Client{Address: netip.MustParseAddr("192.0.2.8"), ID: "docker", UserAgent: "docker/28.5.2 go/go1.24.9 os/linux arch/amd64"}
	_, made, err := s.sessions.Issue(s.t.Context(), id, "registry", client)
	must(s.t, err)
	return made
}

// meBrowser is a browser in which a person is signed in.
type meBrowser struct {
	t     testing.TB
	pages *Pages
	token secret.Text
	ID    string // of its session
	later time.Duration
	site  string // Sec-Fetch-Site; same-origin unless set
	visit *Visit // the last one
}

// post posts a form with one field.
func (b *meBrowser) post(target, field, value string) *Response {
	return b.do(http.MethodPost, target, url.Values{field: {value}})
}

// do requests a page, later than the sign-in.
func (b *meBrowser) do(method, target string, form url.Values) *Response {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Sec-Fetch-Site", cmp.Or(b.site, "same-origin"))
	r.AddCookie(&http.Cookie{Name: b.pages.cookieName(cookieSession), Value: b.token.Reveal()})
	b.visit = &Visit{Request: r, Form: form, Client: laptop, ID: "R1", Now: time.Now().Add(b.later)}
	return b.pages.Serve(b.t.Context(), b.visit)
}

// get returns a page.
func (b *meBrowser) get(target string) string {
	b.t.Helper()
	response := b.do(http.MethodGet, target, nil)
	if response.Status != http.StatusOK {
		b.t.Fatalf("GET %s: status %d to %q\n%s", target, response.Status, response.Location, response.Body)
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
	web := s.signIn(member("alice"))
	s.dockerLogin(member("alice"))
	s.dockerLogin(member("bob"))
	found, err := s.sessions.Redeem(t.Context(), web.token, "", laptop, session.KindBrowser)
	must(t, err)
	_, err = s.sessions.IssuePAT(t.Context(), found, session.PAT{Label: "laptop", Lifetime: 30 * 24 * time.Hour}, laptop)
	must(t, err)
	page := text(web.get("/me"))
	for _, want := range []string{
		"Your logins You are alice, signed in with Corporate account.",
		"registry.corp.example Also called r.corp.example",
		"Logins (3)",
		"docker login registry.corp.example Made just now · docker 28.5 on Linux, 192.0.2.8 Last used never Ends in 7 days , unless it is used",
		"Access token “laptop” Made just now · Firefox 143 on Linux, 192.0.2.7 Last used never Ends in 30 days",
		"Browser this browser Made just now · Firefox 143 on Linux, 192.0.2.7 Last used just now Ends in 24 hours",
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

// TestNewLogins: what was made since the last visit is marked.
func TestNewLogins(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	alice := member("alice")
	s.dockerLogin(alice)
	time.Sleep(2 * time.Millisecond) // the store's resolution is a millisecond
	s.signIn(alice)
	time.Sleep(2 * time.Millisecond)
	made := s.dockerLogin(alice)
	page := s.signIn(alice).get("/me")
	if got := strings.Count(page, "new since your last visit"); got != 1 || !strings.Contains(page[strings.Index(page, made.ID):], "new since your last visit") {
		t.Errorf("%d logins are marked as new, want the second docker login alone\n%s", got, page)
	}
}

// TestStaleSession: once the session is not fresh, the page leads to a sign-in in the place
// of what needs a fresh one.
func TestStaleSession(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn(member("alice"))
	if page := web.get("/me"); !strings.Contains(page, `action="/me/one-time"`) || strings.Contains(page, "Sign in again") {
		t.Errorf("the page of a fresh session:\n%s", page)
	}
	web.later = 10*time.Minute + 5*time.Second
	page := web.get("/me")
	if strings.Contains(page, `action="/me/one-time"`) || !strings.Contains(page, `href="/login?provider=corp&amp;to=me"`) {
		t.Errorf("the page of a session that is not fresh:\n%s", page)
	}
	if !strings.Contains(page, `action="/me/revoke"`) {
		t.Error("a session that is not fresh cannot end logins")
	}
}

// TestUncheckedLogins: where the provider gave no refresh token, the page says how long a
// login lasts.
func TestUncheckedLogins(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	const want = "Corporate account does not let us ask later whether you may still log in. So each login ends 12 hours after you make it"
	if page := text(s.signIn(member("alice")).get("/me")); strings.Contains(page, want) {
		t.Errorf("with a refresh token:\n%s", page)
	}
	id := member("bob")
	id.RefreshToken = secret.Text{}
	s.dockerLogin(id)
	page := text(s.signIn(id).get("/me"))
	if want := "docker 28.5 on Linux, 192.0.2.8 Last used never Ends in 12 hours"; !strings.Contains(page, want) {
		t.Errorf("the page lacks %q:\n%s", want, page)
	}
	if !strings.Contains(page, want) {
		t.Errorf("without a refresh token the page lacks %q:\n%s", want, page)
	}
}

// TestManyLogins: the list is in pages of a bounded size.
func TestManyLogins(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	web := s.signIn(member("alice"))
	for range 2*loginsPerPage + 1 {
		s.dockerLogin(member("alice"))
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
		page := web.get(tc.target)
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

// TestPagesStaySmall: tokens with hundreds of repositories, and many long rules, are shown in
// part, with how much is left out.
func TestPagesStaySmall(t *testing.T) {
	t.Parallel()
	s := newMeSite(t)
	repositories := make([]string, 200)
	for i := range repositories {
		repositories[i] = fmt.Sprintf("team-%03d/some-repository/**", i)
	}
	rules := []policy.Rule{{Name: "all", Groups: []string{"team-a"}, Repositories: repositories, Actions: []string{"pull", "push"}}}
	for i := range 60 {
		rules = append(rules, policy.Rule{Name: fmt.Sprint(i), Groups: []string{"team-a"}, Services: []string{fmt.Sprintf("service-%02d", i)}, Repositories: []string{"shared/**"}, Actions: []string{"pull"}})
	}
	compiled := policy.Compile(rules, func(key, problem string) { t.Errorf("%s: %s", key, problem) })
	s.options.Rights, s.options.HasRights = rightsOf(compiled), hasRightsOf(compiled)
	web := s.signIn(member("alice"))
	form := url.Values{"name": {strings.Repeat("name ", 20)}, "repositories": {strings.Join(repositories, "\n")}, "pull": {"on"}, "lifetime": {"30d"}}
	for range loginsPerPage {
		made := web.do(http.MethodPost, "/me/new-token", form)
		if made.Status != http.StatusOK || len(made.Body) > maxPage {
			t.Fatalf("the page of a token: status %d, %d bytes", made.Status, len(made.Body))
		}
	}
	form.Set("preview", "")
	preview, me, rights := web.do(http.MethodPost, "/me/new-token", form), web.get("/me"), web.get("/me/rights")
	if len(preview.Body) > maxPage || len(me) > maxPage || len(rights) > maxPage {
		t.Errorf("/me/new-token has %d bytes, /me %d and /me/rights %d, want %d at most", len(preview.Body), len(me), len(rights), maxPage)
	}
	for _, want := range []string{
		"team-002/some-repository/**, team-003/some-repository/**, and 196 more, pull Made just now",
		"team-002/some-repository/**, team-003/some-repository/**, and 196 more : pull, push",
		"There is more than is shown here.",
	} {
		if !strings.Contains(text(me)+text(rights), want) {
			t.Errorf("the pages lack %q", want)
		}
	}
}
