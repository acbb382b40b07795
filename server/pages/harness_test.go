package pages

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

// origin is the https URL of the pages in tests; origin2 that of another of public_urls.
const origin, origin2 = "https://auth.corp.example", "https://auth-old.corp.example"

// browser is a browser in a test: it keeps cookies as RFC 6265 says, for one origin.
type browser struct {
	t       testing.TB
	pages   *Pages
	now     time.Time
	cookies map[string]string
	host    string      // of each request; that of the pages unless set
	header  http.Header // of each request; Sec-Fetch-Site is same-origin unless set
	visit   *Visit      // the last one
}

func newBrowser(t testing.TB, p *Pages) *browser {
	return &browser{t: t, pages: p, cookies: map[string]string{}, header: http.Header{}}
}

// get requests a path with its query.
func (b *browser) get(target string) *Response { return b.do(http.MethodGet, target, nil) }

// post posts a form: pairs of names and values.
func (b *browser) post(target string, pairs ...string) *Response {
	form := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		form.Add(pairs[i], pairs[i+1])
	}
	return b.do(http.MethodPost, target, form)
}

func (b *browser) do(method, target string, form url.Values) *Response {
	b.t.Helper()
	r := httptest.NewRequest(method, target, nil)
	r.Host, r.Header = cmp.Or(b.host, b.pages.Origin.Host), b.header.Clone()
	if r.Header["Sec-Fetch-Site"] == nil {
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	b.visit = &Visit{Request: r, Form: form, ID: "R1", Now: b.now, Client: session.Client{Address: netip.MustParseAddr("192.0.2.7")}}
	response := b.pages.Serve(context.Background(), b.visit)
	for _, c := range response.Cookies {
		if err := c.Valid(); err != nil {
			b.t.Errorf("%s %s: cookie %s: %v", method, target, c.Name, err)
		}
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return response
}

// signIns returns the names of the cookies of sign-ins in progress.
func (b *browser) signIns() (names []string) {
	for name := range b.cookies {
		if strings.Contains(name, cookieSignIn) {
			names = append(names, name)
		}
	}
	return names
}

// startAt begins a sign-in at a provider, and returns the query that the provider got.
func (b *browser) startAt(target string) url.Values {
	b.t.Helper()
	response := b.get(target)
	location, err := url.Parse(response.Location)
	if err != nil || response.Status != http.StatusSeeOther || !strings.HasPrefix(location.Host, "idp.") {
		b.t.Fatalf("GET %s: %d to %q, not to a provider\n%s", target, response.Status, response.Location, response.Body)
	}
	return location.Query()
}

// signIn signs a person in at a provider with a code.
func (b *browser) signIn(provider, code string) *Response {
	b.t.Helper()
	sent := b.startAt("/login?provider=" + provider)
	return b.get("/login/" + provider + "/callback?" + url.Values{"state": {sent.Get("state")}, "code": {code}}.Encode())
}

// has reports whether the page has a text.
func has(r *Response, text string) bool { return strings.Contains(string(r.Body), text) }

// fakeProviders is a chain whose people sign in with the code "code-NAME".
type fakeProviders struct {
	offered []providers.BrowserProvider
	form    bool
	down    error
	request providers.AuthorizationRequest // the last

	redeemed int // number of codes
	answer   func(providers.AuthorizationResponse) (*providers.SignedIn, error)

	logoutTokens map[string]*providers.LogoutToken
}

func (f *fakeProviders) BrowserProviders() []providers.BrowserProvider { return f.offered }
func (f *fakeProviders) OffersForm() bool                              { return f.form }

func (f *fakeProviders) AuthorizationURL(_ context.Context, provider string, r providers.AuthorizationRequest) (string, error) {
	if f.down != nil {
		return "", f.down
	}
	f.request = r
	query := url.Values{"state": {r.State}, "nonce": {r.Nonce}, "redirect_uri": {r.RedirectURI}}
	if r.LoginHint != "" {
		query.Set("login_hint", r.LoginHint)
	}
	if r.Consent {
		query.Set("prompt", "consent")
	}
	return "https://idp." + provider + ".example/authorize?" + query.Encode(), nil
}

func (f *fakeProviders) SignIn(_ context.Context, provider string, r providers.AuthorizationResponse) (*providers.SignedIn, error) {
	f.redeemed++
	if f.down != nil {
		return nil, f.down
	}
	if f.answer != nil {
		return f.answer(r)
	}
	name, ok := strings.CutPrefix(r.Params.Get("code"), "code-")
	if !ok {
		return nil, fmt.Errorf("%w: the code", providers.ErrRejected)
	}
	return &providers.SignedIn{Identity: person(provider, name), SID: "sid-" + name}, nil
}

// person returns an identity.
func person(provider, name string) *providers.Identity {
	return &providers.Identity{Provider: provider, Fingerprint: "fp-" + provider, Subject: "sub-" + name, User: name, Method: providers.MethodBrowser, RefreshToken: secret.New("rt-" + name)}
}

func (f *fakeProviders) SignInByForm(_ context.Context, c providers.Credential) (*providers.Identity, error) {
	switch {
	case f.down != nil:
		return nil, f.down
	case c.Secret.Reveal() != "right":
		return nil, providers.Reject(providers.WrongPassword, errors.New("wrong"))
	}
	return person("corp", string(c.Login)), nil
}

// LogoutURL: the lab has no logout.
func (f *fakeProviders) LogoutURL(_ context.Context, provider, returnTo string) (string, error) {
	if f.down != nil || provider == "lab" {
		return "", f.down
	}
	return "https://idp." + provider + ".example/logout?" + url.Values{"post_logout_redirect_uri": {returnTo}}.Encode(), nil
}

func (f *fakeProviders) VerifyLogoutToken(_ context.Context, provider string, token secret.Text) (*providers.LogoutToken, error) {
	if found := f.logoutTokens[token.Reveal()]; found != nil || f.down != nil {
		return found, f.down
	}
	return nil, fmt.Errorf("%w: forged", providers.ErrRejected)
}

// The part of a chain that sessions need. Each login has a sign-in of its own at the lab
// alone.
func (*fakeProviders) Revalidate(_ context.Context, id *providers.Identity) (*providers.Identity, error) {
	return id, nil
}
func (*fakeProviders) Fingerprint(provider string) string            { return "fp-" + provider }
func (*fakeProviders) PerSignIn(provider string) bool                { return provider == "lab" }
func (*fakeProviders) RevokeWhen(string) (when providers.RevokeWhen) { return when }
func (*fakeProviders) Reauthenticate(string) time.Duration           { return 0 }
func (*fakeProviders) Forget(func(*providers.Identity) bool)         {}
func (*fakeProviders) RevokeRefreshToken(context.Context, string, secret.Text) error {
	return nil
}

// testSessions are the real sessions in SQLite, whose store can be down.
type testSessions struct {
	*session.Sessions
	*session.Admin

	t       testing.TB
	down    error
	revoked int              // refresh tokens of providers
	sel     session.Selector // of the last revocation
}

func newTestSessions(t testing.TB, chain session.Providers, key secret.Text) *testSessions {
	t.Helper()
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "data", "shorepass.db"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := session.Config{SealKey: key}.WithDefaults()
	sessions, err := session.New(t.Context(), cfg, store, chain, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sessions.Close(); err != nil {
			t.Error(err)
		}
	})
	return &testSessions{Sessions: sessions, Admin: sessions.Admin(), t: t}
}

// live returns the live sessions of browsers.
func (s *testSessions) live() []session.Session {
	s.t.Helper()
	all, err := s.Admin.List(context.Background(), session.Selector{Kind: session.KindBrowser})
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

func (s *testSessions) Redeem(ctx context.Context, token secret.Text, service string, client session.Client, kinds ...session.Kind) (*session.Session, error) {
	if s.down != nil {
		return nil, s.down
	}
	return s.Sessions.Redeem(ctx, token, service, client, kinds...)
}

func (s *testSessions) IssueBrowser(ctx context.Context, id *providers.Identity, sid string, old secret.Text, client session.Client) (*session.Session, error) {
	if s.down != nil {
		return nil, s.down
	}
	return s.Sessions.IssueBrowser(ctx, id, sid, old, client)
}

func (s *testSessions) RevokeProviderToken(id *providers.Identity) {
	s.revoked++
	s.Sessions.RevokeProviderToken(id)
}

func (s *testSessions) Revoke(ctx context.Context, sel session.Selector, by string) (int, error) {
	s.sel = sel
	if s.down != nil {
		return 0, s.down
	}
	return s.Admin.Revoke(ctx, sel, by)
}

func (s *testSessions) RevokeToken(ctx context.Context, token secret.Text, by string) (*session.Session, bool, error) {
	if s.down != nil {
		return nil, false, s.down
	}
	return s.Admin.RevokeToken(ctx, token, by)
}

// rightsOf returns what the rules of a policy grant a person.
func rightsOf(rules *policy.Policy) func(*providers.Identity) policy.Rights {
	return func(id *providers.Identity) policy.Rights { return rules.Rights(policyRequest(id)) }
}

// hasRightsOf returns whether they grant a person anything.
func hasRightsOf(rules *policy.Policy) func(*providers.Identity) bool {
	return func(id *providers.Identity) bool { return rules.HasRights(policyRequest(id)) }
}

func policyRequest(id *providers.Identity) policy.Request {
	return policy.Request{User: id.User, Groups: id.Groups, Provider: id.Provider, Method: string(id.Method)}
}

// newTestPages returns pages with two providers and the form, and a browser.
func newTestPages(t testing.TB, origin string) (*Pages, *fakeProviders, *testSessions, *browser) {
	t.Helper()
	parsed, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	chain := &fakeProviders{offered: []providers.BrowserProvider{{Name: "sso", Label: "Corp SSO"}, {Name: "lab", Label: "The Lab"}}, form: true}
	sessions := newTestSessions(t, chain, secret.Text{})
	p, err := New(Options{
		Config: Config{}.WithDefaults(), Origin: parsed, Contact: "the container team",
		Providers: chain, Sessions: sessions, Admin: sessions, Rights: rightsOf(&policy.Policy{}), HasRights: hasRightsOf(&policy.Policy{}),
	})
	if err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, p)
	b.now = sessions.Sessions.Now()
	return p, chain, sessions, b
}
