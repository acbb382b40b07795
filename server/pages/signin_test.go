package pages

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/providers"
	"shorepass/session"
	"shorepass/throttle"
)

// The sign-in page offers each provider and the form; with one provider and no form there
// is nothing to choose.
func TestSignInPage(t *testing.T) {
	_, chain, _, b := newTestPages(t, origin)
	page := b.get("/login?to=evil&hint=alice")
	for _, want := range []string{"Sign in with Corp SSO", "Sign in with The Lab", `action="/login"`, `value="alice"`, `name="to" value="me"`, "/login?hint=alice&amp;provider=lab&amp;to=me"} {
		if !has(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page.Body)
		}
	}
	chain.offered = chain.offered[:1]
	if page := b.get("/login"); page.Status != http.StatusOK {
		t.Errorf("with a form beside the one provider: %d to %s", page.Status, page.Location)
	}
	chain.form = false
	if got := b.startAt("/login?hint=alice").Get("login_hint"); got != "alice" {
		t.Errorf("login_hint %q", got)
	}
	if got := b.get("/login?provider=none"); got.Status != http.StatusNotFound || !has(got, "This sign-in does not exist") {
		t.Errorf("an unknown provider: %d\n%s", got.Status, got.Body)
	}
	chain.down = fmt.Errorf("%w: discovery: 10.0.0.7 refused", providers.ErrUnavailable)
	if got := b.get("/login"); got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" || has(got, "10.0.0.7") {
		t.Errorf("a provider that is down: %d %v\n%s", got.Status, got.Header, got.Body)
	}
	if record := b.visit.Record; record.Action != ActionSignIn || record.Provider != "sso" || record.Err == nil {
		t.Errorf("record %+v", record)
	}
}

// A hint is a login name, or nothing.
func TestHint(t *testing.T) {
	for hint, want := range map[string]string{
		"alice": "alice", " josé@corp.example ": "josé@corp.example", `CORP\bob`: `CORP\bob`, `"><script>`: `"><script>`,
		"a\nb": "", "a\x00": "", "a\u202eb": "", strings.Repeat("a", 255): "", "\xff": "",
	} {
		if got := cleanHint(hint); got != want {
			t.Errorf("cleanHint(%q) = %q, want %q", hint, got, want)
		}
	}
}

// The start of a sign-in is an authorization request and a sealed cookie that has its
// secrets; a browser has at most four, and a fifth evicts the oldest.
func TestStartSignIn(t *testing.T) {
	_, chain, _, b := newTestPages(t, origin)
	var states []string
	for range 5 {
		sent := b.startAt("/login?provider=sso")
		states = append(states, sent.Get("state"))
		b.now = b.now.Add(time.Second)
		if want := origin + "/login/sso/callback"; sent.Get("redirect_uri") != want {
			t.Errorf("redirect_uri %q, want %q", sent.Get("redirect_uri"), want)
		}
	}
	if r := chain.request; r.MaxAge != 10*time.Minute || len(r.Verifier.Reveal()) != 43 || r.State == r.Nonce || r.State == r.Verifier.Reveal() {
		t.Errorf("the authorization request is %+v", r)
	}
	var want []string
	for _, state := range states[1:] {
		want = append(want, "__Host-shorepass-sign-in-"+state[:12])
	}
	if got := b.signIns(); !cmp.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("cookies %q, want %q", got, want)
	}
	for name, value := range b.cookies {
		if strings.Contains(value, chain.request.Nonce) || len(name)+len(value) > 1000 {
			t.Errorf("cookie %s=%s", name, value)
		}
	}
	b.now = b.now.Add(signInTTL + time.Second)
	b.startAt("/login?provider=sso")
	if got := b.signIns(); len(got) != 1 {
		t.Errorf("cookies that are too old stay: %q", got)
	}
}

// Cookies have the prefix __Host- and Secure at https, and plain names on loopback.
func TestCookies(t *testing.T) {
	for _, c := range []struct {
		origin, name string
		secure       bool
	}{{origin, "__Host-shorepass", true}, {"http://127.0.0.1:5001", "shorepass", false}} {
		_, _, _, b := newTestPages(t, c.origin)
		got := b.post("/login", "login", "alice", "password", "right").Cookies
		i := slices.IndexFunc(got, func(one *http.Cookie) bool { return one.Name == c.name })
		if i < 0 {
			t.Fatalf("%s: cookies %v", c.origin, got)
		}
		got[i].Raw, got[i].Value = "", ""
		want := &http.Cookie{Name: c.name, Path: "/", MaxAge: 24 * 3600, Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode}
		if diff := cmp.Diff(want, got[i]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.origin, diff)
		}
	}
}

// The form signs a person in, or says one sentence for every refusal.
func TestSignInByForm(t *testing.T) {
	unavailable := fmt.Errorf("%w: ldap: 10.0.0.7", providers.ErrUnavailable)
	rejected := "User name and password do not match, or the account may not sign in here."
	for _, c := range []struct {
		name, login, password string
		err                   error
		status                int
		want                  string
	}{
		{"right", "alice", "right", nil, http.StatusSeeOther, ""},
		{"wrong", "alice", "wr0ng-secret", nil, http.StatusUnauthorized, rejected},
		{"disabled", "alice", "x-secret", providers.Reject(providers.Disabled, providers.ErrEnded), http.StatusUnauthorized, rejected},
		{"refused by our own rules", "alice", "x-secret", providers.Reject(providers.RefusedByConfig, providers.ErrRejected), http.StatusUnauthorized, rejected},
		{"unknown", "nobody", "x-secret", providers.ErrNotMine, http.StatusUnauthorized, rejected},
		{"gone", "alice", "x-secret", providers.ErrGone, http.StatusUnauthorized, rejected},
		{"malformed name", "a\x00", "x-secret", nil, http.StatusUnauthorized, rejected},
		{"no name", "", "x-secret", nil, http.StatusUnauthorized, rejected},
		{"no password", "alice", "", nil, http.StatusUnauthorized, rejected},
		{"one of our tokens", "alice", "sp_p_secret", nil, http.StatusUnauthorized, rejected},
		{"throttle", "alice", "x-secret", &throttle.RetryAfter{After: 90 * time.Second, Limit: "name"}, http.StatusTooManyRequests, "Wait 2 min"},
		{"directory down", "alice", "x-secret", unavailable, http.StatusServiceUnavailable, "may well be right"},
		{"no answer we know", "alice", "x-secret", context.Canceled, http.StatusInternalServerError, "The fault is on our side"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, chain, sessions, b := newTestPages(t, origin)
			chain.down = c.err
			got := b.post("/login", "login", c.login, "password", c.password, "to", "me")
			if got.Status != c.status || !has(got, c.want) {
				t.Errorf("status %d, want %d and %q\n%s", got.Status, c.status, c.want, got.Body)
			}
			if has(got, "secret") || has(got, "10.0.0.7") {
				t.Errorf("the page shows the password or the provider:\n%s", got.Body)
			}
			record := b.visit.Record
			if record.Action != ActionSignIn || record.Account != c.login || (record.Err == nil) != (c.status == http.StatusSeeOther) {
				t.Errorf("record %+v", record)
			}
			if c.status == http.StatusSeeOther {
				if got.Location != "/login?to=me&accepted" || len(sessions.live()) != 1 || record.Session.LoginName != "alice" || record.Identity.User != "alice" {
					t.Errorf("to %s, record %+v", got.Location, record)
				}
				return
			}
			if len(sessions.live()) != 0 || b.cookies["__Host-shorepass"] != "" {
				t.Error("a session was made")
			}
			if after := got.Header.Get("Retry-After"); (after != "") != (c.status == 429 || c.status == 503) {
				t.Errorf("Retry-After %q", after)
			}
			if c.status != 500 && c.login == "alice" && (!has(got, `value="alice"`) || has(got, "hint=alice")) {
				t.Errorf("the login name is lost, or in the links to providers:\n%s", got.Body)
			}
		})
	}
}

// A visit that needs a session returns to its own page after the sign-in; a POST does
// nothing and says so. What needs a fresh session asks its provider, or the form, again.
func TestSignInNeeded(t *testing.T) {
	p, _, sessions, b := newTestPages(t, origin)
	did := 0
	p.routes["/me"] = route{name: "me", methods: handlers{"GET": func(p *Pages, ctx context.Context, v *Visit) (*Response, error) {
		_, err := p.signedIn(ctx, v)
		return redirect("/seen"), err
	}}}
	p.routes["/me/new-token"] = route{name: "new-token", methods: handlers{
		"GET": func(p *Pages, ctx context.Context, v *Visit) (*Response, error) {
			_, err := p.fresh(ctx, v)
			return redirect("/seen"), err
		},
		"POST": func(p *Pages, ctx context.Context, v *Visit) (*Response, error) {
			_, err := p.fresh(ctx, v)
			if err == nil {
				did++
			}
			return redirect("/done"), err
		},
	}}
	expect := func(got *Response, status int, location string) {
		t.Helper()
		if got.Status != status || got.Location != location {
			t.Errorf("%d to %q, want %d to %q\n%s", got.Status, got.Location, status, location, got.Body)
		}
	}
	expect(b.get("/me"), 303, "/login?to=me")
	expect(b.get("/me/new-token"), 303, "/login?to=new-token")
	expect(b.post("/me/new-token"), 401, "")

	expect(b.post("/login", "login", "alice", "password", "right", "to", "new-token"), 303, "/login?to=new-token&accepted")
	expect(b.get("/login?to=new-token&accepted"), 303, "/me/new-token")
	expect(b.get("/me"), 303, "/seen")
	expect(b.post("/me/new-token"), 303, "/done")
	b.now = b.now.Add(10*time.Minute + time.Second)
	expect(b.get("/me"), 303, "/seen")
	expect(b.get("/me/new-token"), 303, "/login?hint=alice&to=new-token")
	if got := b.post("/me/new-token"); got.Status != 401 || !has(got, "Nothing was done") || !has(got, `href="/login?hint=alice&amp;to=new-token"`) {
		t.Errorf("%d\n%s", got.Status, got.Body)
	}
	b.signIn("lab", "code-alice")
	expect(b.get("/me/new-token"), 303, "/login?provider=lab&to=new-token")

	if _, err := sessions.Revoke(t.Context(), session.Selector{User: "alice"}, "a test"); err != nil {
		t.Fatal(err)
	}
	if got := b.post("/me/new-token"); got.Status != 401 || !has(got, "so nothing was done") || b.cookies["__Host-shorepass"] != "" {
		t.Errorf("%d %v\n%s", got.Status, b.cookies, got.Body)
	}
	if did != 1 {
		t.Errorf("%d POSTs did something, want 1", did)
	}
	b.signIn("lab", "code-alice")
	sessions.down = providers.ErrUnavailable
	if got := b.get("/me"); got.Status != 503 || b.cookies["__Host-shorepass"] == "" {
		t.Errorf("the store is down: %d %v", got.Status, b.cookies)
	}
}

// Pages serve concurrent visits, and each browser finishes its own sign-in.
func TestConcurrentSignIns(t *testing.T) {
	p, _, sessions, first := newTestPages(t, origin)
	p.Providers = &concurrentProviders{fakeProviders: fakeProviders{offered: []providers.BrowserProvider{{Name: "sso", Label: "Corp SSO"}}}}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			b := newBrowser(t, p)
			b.now = first.now
			name := fmt.Sprint("person-", i)
			if got := b.signIn("sso", "code-"+name); got.Location != "/me" || b.visit.Record.Identity.User != name {
				t.Errorf("%s: %d to %s", name, got.Status, got.Location)
			}
		})
	}
	all.Wait()
	if live := sessions.live(); len(live) != 8 {
		t.Errorf("%d sessions, want 8", len(live))
	}
}

// concurrentProviders guards a fakeProviders.
type concurrentProviders struct {
	mu sync.Mutex
	fakeProviders
}

func (c *concurrentProviders) AuthorizationURL(ctx context.Context, provider string, r providers.AuthorizationRequest) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fakeProviders.AuthorizationURL(ctx, provider, r)
}

func (c *concurrentProviders) SignIn(ctx context.Context, provider string, r providers.AuthorizationResponse) (*providers.SignedIn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fakeProviders.SignIn(ctx, provider, r)
}

// A browser that refuses cookies is told so, rather than sent from the form to /me and back
// to the form.
func TestBrowserWithoutCookies(t *testing.T) {
	_, _, _, b := newTestPages(t, origin)
	next := b.post("/login", "login", "alice", "password", "right")
	clear(b.cookies)
	if got := b.get(next.Location); got.Status != http.StatusBadRequest || !has(got, "This browser refuses cookies") || !has(got, `href="/login"`) {
		t.Errorf("GET %s: %d to %q\n%s", next.Location, got.Status, got.Location, got.Body)
	}
}
