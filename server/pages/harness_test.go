package pages

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// origin is the https URL of the pages in tests; origin2 is their second name.
const origin, origin2 = "https://auth.corp.example", "https://auth-old.corp.example"

// began is the time at which tests begin.
var began = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

// browser is a browser in a test: it keeps cookies as RFC 6265 says, for one origin.
type browser struct {
	t       *testing.T
	pages   *Pages
	now     time.Time
	cookies map[string]string
	header  http.Header // of each request; Sec-Fetch-Site is same-origin unless set
	visit   *Visit      // the last one
}

func newBrowser(t *testing.T, p *Pages) *browser {
	return &browser{t: t, pages: p, now: began, cookies: map[string]string{}, header: http.Header{}}
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
	r.Header = b.header.Clone()
	if r.Header.Get("Sec-Fetch-Site") == "" {
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
	answer  func(providers.AuthorizationResponse) (*providers.SignedIn, error)

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

// fakeSessions keeps sessions in memory.
type fakeSessions struct {
	now     func() time.Time
	all     map[string]*session.Session // by token
	made    int
	revoked int              // tokens of providers
	held    bool             // a token of the provider is stored
	sel     session.Selector // of the last revocation
	down    error
	aead    cipher.AEAD
}

func newFakeSessions(now func() time.Time) *fakeSessions { return newFakeSessionsWithKey(now, 1) }

func newFakeSessionsWithKey(now func() time.Time, key byte) *fakeSessions {
	block, err := aes.NewCipher(append(make([]byte, 31), key))
	if err != nil {
		panic(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return &fakeSessions{now: now, all: map[string]*session.Session{}, aead: aead}
}

func (f *fakeSessions) Seal(purpose string, plain []byte) ([]byte, error) {
	return f.aead.Seal(nil, nil, plain, []byte(purpose)), nil
}

func (f *fakeSessions) Open(purpose string, sealed []byte) ([]byte, error) {
	return f.aead.Open(nil, nil, sealed, []byte(purpose))
}

func (f *fakeSessions) Redeem(_ context.Context, token secret.Text, _ string, _ session.Client, _ ...session.Kind) (*session.Session, error) {
	if f.down != nil {
		return nil, f.down
	}
	if found := f.all[token.Reveal()]; found != nil {
		return found, nil
	}
	return nil, session.ErrRefused
}

func (f *fakeSessions) IssueBrowser(_ context.Context, id *providers.Identity, _ string, replaced secret.Text, client session.Client) (*session.Session, error) {
	if f.down != nil {
		return nil, f.down
	}
	delete(f.all, replaced.Reveal())
	f.made++
	copied := *id
	if copied.AuthTime.IsZero() {
		copied.AuthTime = f.now()
	}
	made := &session.Session{
		ID: fmt.Sprint("s", f.made), Kind: session.KindBrowser, Identity: &copied, LoginName: client.LoginName,
		Created: f.now(), Expires: f.now().Add(24 * time.Hour), Token: secret.New(fmt.Sprint("sp_w_", f.made)),
	}
	f.all[made.Token.Reveal()] = made
	return made, nil
}

func (f *fakeSessions) HoldsProviderToken(context.Context, *providers.Identity) (bool, error) {
	return f.held, f.down
}

func (f *fakeSessions) List(context.Context, session.Selector) ([]session.Session, error) {
	return nil, f.down
}

func (f *fakeSessions) Inspect(ctx context.Context, token secret.Text) (*session.Session, error) {
	return f.Redeem(ctx, token, "", session.Client{})
}

func (f *fakeSessions) Revoke(_ context.Context, sel session.Selector, _ string) (int, error) {
	f.sel = sel
	return 1, f.down
}

func (f *fakeSessions) RevokeToken(ctx context.Context, token secret.Text, _ string) (*session.Session, bool, error) {
	was, err := f.Redeem(ctx, token, "", session.Client{})
	delete(f.all, token.Reveal())
	return was, err == nil, err
}

func (f *fakeSessions) RevokeProviderToken(*providers.Identity) { f.revoked++ }
func (f *fakeSessions) IssueOneTimePassword(context.Context, *session.Session, string) (secret.Text, error) {
	return secret.Text{}, nil
}
func (f *fakeSessions) IssuePAT(context.Context, *session.Session, session.PAT, session.Client) (*session.Session, error) {
	return nil, nil
}

// newTestPages returns pages with two providers and the form, and a browser.
func newTestPages(t *testing.T, origin string) (*Pages, *fakeProviders, *fakeSessions, *browser) {
	t.Helper()
	parsed, err := url.Parse(origin)
	if err != nil {
		t.Fatal(err)
	}
	chain := &fakeProviders{offered: []providers.BrowserProvider{{Name: "sso", Label: "Corp SSO"}, {Name: "lab", Label: "The Lab"}}, form: true}
	var b *browser
	sessions := newFakeSessions(func() time.Time { return b.now })
	p, err := New(Options{
		Config: Config{}.WithDefaults(), Origin: parsed, Origins: []string{origin, origin2}, Contact: "the container team",
		Providers: chain, Sessions: sessions, Admin: sessions,
	})
	if err != nil {
		t.Fatal(err)
	}
	b = newBrowser(t, p)
	return p, chain, sessions, b
}
