package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/session"
)

// A person signs in at a provider and is sent to the page that they wanted. The choice is
// remembered and comes first, but nothing is skipped.
func TestCallback(t *testing.T) {
	p, _, sessions, b := newTestPages(t, origin)
	p.routes["/me/new-token"] = route{name: "new-token"}
	sent := b.startAt("/login?provider=lab&to=new-token")
	got := b.get("/login/lab/callback?code=code-alice&iss=x&state=" + sent.Get("state"))
	if got.Status != http.StatusSeeOther || got.Location != "/me/new-token" {
		t.Fatalf("%d to %q\n%s", got.Status, got.Location, got.Body)
	}
	if record := b.visit.Record; record.Action != ActionSignIn || record.Provider != "lab" || record.Identity.User != "alice" || record.Session == nil || record.Err != nil {
		t.Errorf("record %+v", record)
	}
	if live := sessions.live(); len(live) != 1 || live[0].ID != b.visit.Record.Session.ID || len(b.signIns()) != 0 {
		t.Errorf("sessions %v, cookies %v", live, b.cookies)
	}
	if page := string(b.get("/login").Body); strings.Index(page, "The Lab") > strings.Index(page, "Corp SSO") || !strings.Contains(page, english.get("sign_in.last")) {
		t.Errorf("the last choice does not come first:\n%s", page)
	}
}

// Two tabs finish their sign-ins in any order, each once.
func TestTwoTabs(t *testing.T) {
	_, _, sessions, b := newTestPages(t, origin)
	one, two := b.startAt("/login?provider=sso"), b.startAt("/login?provider=lab")
	for _, target := range []string{"/login/lab/callback?code=code-bob&state=" + two.Get("state"), "/login/sso/callback?code=code-alice&state=" + one.Get("state")} {
		if got := b.get(target); got.Status != http.StatusSeeOther {
			t.Errorf("%s: %d\n%s", target, got.Status, got.Body)
		}
		if got := b.get(target); got.Status != http.StatusBadRequest || !has(got, "after the back button") || !has(got, `href="/me"`) {
			t.Errorf("the back button: %d\n%s", got.Status, got.Body)
		}
	}
	if live := sessions.live(); len(live) != 1 || live[0].Identity.User != "alice" {
		t.Errorf("live sessions %v, want that of the last sign-in", live)
	}
}

// A provider that gives no refresh token is asked once more, with consent, and no more.
func TestConsent(t *testing.T) {
	without := func(r providers.AuthorizationResponse) (*providers.SignedIn, error) {
		id := person("sso", "alice")
		id.RefreshToken = secret.Text{}
		return &providers.SignedIn{Identity: id, NeedsConsent: true}, nil
	}
	finish := func(b *browser, sent url.Values) *Response {
		return b.get("/login/sso/callback?code=x&state=" + sent.Get("state"))
	}
	_, chain, sessions, b := newTestPages(t, origin)
	chain.answer = without
	first := b.startAt("/login?provider=sso&to=me&hint=alice")
	again, err := url.Parse(finish(b, first).Location)
	if err != nil {
		t.Fatal(err)
	}
	second := again.Query()
	if second.Get("prompt") != "consent" || second.Get("login_hint") != "alice" || second.Get("state") == first.Get("state") || len(sessions.live()) != 1 || b.visit.Record.Session == nil {
		t.Fatalf("the second request is %v; %d sessions; record %+v", second, len(sessions.live()), b.visit.Record)
	}
	if got := finish(b, second); got.Location != "/me" || len(sessions.live()) != 1 || len(b.signIns()) != 0 {
		t.Errorf("without a refresh token after consent: %d to %s, %d sessions", got.Status, got.Location, len(sessions.live()))
	}
	chain.answer = nil
	b.signIn("sso", "code-alice") // with a refresh token, which the person's sign-in has from then on
	chain.answer = without
	if got := finish(b, b.startAt("/login?provider=sso")); got.Location != "/me" {
		t.Errorf("with a token that is held: %d to %s", got.Status, got.Location)
	}
}

// A person who refuses the consent, or whom the provider does not let consent, is signed in by
// the first response; so is one who stays at a page of the provider (Entra ID: "Need admin
// approval"), and one whose provider is down at the second request.
func TestRefusedConsent(t *testing.T) {
	for _, c := range []struct {
		name   string
		second func(b *browser, chain *fakeProviders, sent url.Values) *Response // nil where the browser never comes back
	}{
		{"refused", func(b *browser, chain *fakeProviders, sent url.Values) *Response {
			chain.answer = func(providers.AuthorizationResponse) (*providers.SignedIn, error) {
				return nil, &providers.AuthorizationError{Code: "access_denied"}
			}
			return b.get("/login/sso/callback?error=access_denied&state=" + sent.Get("state"))
		}},
		{"not allowed", func(b *browser, chain *fakeProviders, sent url.Values) *Response {
			chain.answer = func(providers.AuthorizationResponse) (*providers.SignedIn, error) {
				return nil, &providers.AuthorizationError{Code: "consent_required"}
			}
			return b.get("/login/sso/callback?error=consent_required&state=" + sent.Get("state"))
		}},
		{"stays at the provider", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, chain, sessions, b := newTestPages(t, origin)
			p.Session = session.Config{}.WithDefaults()
			chain.answer = func(providers.AuthorizationResponse) (*providers.SignedIn, error) {
				id := person("sso", "alice")
				id.RefreshToken = secret.Text{}
				return &providers.SignedIn{Identity: id, NeedsConsent: true}, nil
			}
			sent := b.startAt("/login?provider=sso&to=new-token")
			again, err := url.Parse(b.get("/login/sso/callback?code=x&state=" + sent.Get("state")).Location)
			if err != nil || again.Query().Get("prompt") != "consent" {
				t.Fatalf("the second request is %v, %v", again, err)
			}
			if c.second != nil {
				got := c.second(b, chain, again.Query())
				if record := b.visit.Record; got.Status != http.StatusSeeOther || got.Location != "/me/new-token" || record.Err == nil || record.Identity == nil {
					t.Errorf("%d to %q, record %+v\n%s", got.Status, got.Location, record, got.Body)
				}
			}
			if live, page := sessions.live(), b.get("/me"); page.Status != http.StatusOK || len(live) != 1 || p.unchecked(english, &live[0]) == "" {
				t.Errorf("sessions %v, GET /me: %d\n%s", live, page.Status, page.Body)
			}
		})
	}
	_, chain, sessions, b := newTestPages(t, origin)
	sent := b.startAt("/login?provider=sso")
	chain.answer = func(providers.AuthorizationResponse) (*providers.SignedIn, error) {
		chain.down = providers.ErrUnavailable
		id := person("sso", "alice")
		id.RefreshToken = secret.Text{}
		return &providers.SignedIn{Identity: id, NeedsConsent: true}, nil
	}
	if got := b.get("/login/sso/callback?code=x&state=" + sent.Get("state")); got.Location != "/me" || len(sessions.live()) != 1 || b.visit.Record.Err == nil {
		t.Errorf("the provider is down at the second request: %d to %q, %d sessions", got.Status, got.Location, len(sessions.live()))
	}
}

// Refused consent of a sign-in whose session is gone is an error page, and no sign-in.
func TestRefusedConsentWithoutSession(t *testing.T) {
	_, chain, sessions, b := newTestPages(t, origin)
	chain.answer = func(providers.AuthorizationResponse) (*providers.SignedIn, error) {
		id := person("sso", "alice")
		id.RefreshToken = secret.Text{}
		return &providers.SignedIn{Identity: id, NeedsConsent: true}, nil
	}
	sent := b.startAt("/login?provider=sso")
	again, err := url.Parse(b.get("/login/sso/callback?code=x&state=" + sent.Get("state")).Location)
	if err != nil {
		t.Fatal(err)
	}
	b.post("/logout")
	chain.answer = func(providers.AuthorizationResponse) (*providers.SignedIn, error) {
		return nil, &providers.AuthorizationError{Code: "access_denied"}
	}
	if got := b.get("/login/sso/callback?error=access_denied&state=" + again.Query().Get("state")); got.Status != http.StatusForbidden || len(sessions.live()) != 0 {
		t.Errorf("%d to %q, %d sessions", got.Status, got.Location, len(sessions.live()))
	}
}

// Whatever a provider answers is a page of our own words, or a sign-in.
func TestCallbackProblems(t *testing.T) {
	rejected := fmt.Errorf("%w: canary-10.0.0.7", providers.ErrRejected)
	for _, c := range []struct {
		name   string
		err    error
		status int
		title  string
	}{
		{"refused consent", &providers.AuthorizationError{Code: "access_denied"}, 403, "You were not signed in"},
		{"an error of the provider", &providers.AuthorizationError{Code: "other"}, 400, "You were not signed in"},
		{"the provider says that it is down", &providers.AuthorizationError{Code: "temporarily_unavailable"}, 503, "does not work right now"},
		{"unknown, used or expired code", rejected, 401, "You were not signed in"},
		{"refused by our configuration", providers.Reject(providers.RefusedByConfig, rejected), 403, "This account may not sign in here"},
		{"disabled", providers.Reject(providers.Disabled, rejected), 401, "You were not signed in"},
		{"the provider is down", fmt.Errorf("%w: canary-10.0.0.7", providers.ErrUnavailable), 503, "does not work right now"},
		{"a bug", errors.New("canary-10.0.0.7"), 500, "Something went wrong"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, chain, sessions, b := newTestPages(t, origin)
			chain.answer = func(providers.AuthorizationResponse) (*providers.SignedIn, error) { return nil, c.err }
			got := b.signIn("sso", "canary-code")
			if got.Status != c.status || !has(got, c.title) || has(got, "canary") || !has(got, "R1") || !has(got, "the container team") {
				t.Errorf("status %d, want %d with %q\n%s", got.Status, c.status, c.title, got.Body)
			}
			if (got.Header.Get("Retry-After") != "") != (c.status == 503) {
				t.Errorf("Retry-After %q", got.Header.Get("Retry-After"))
			}
			if len(sessions.live()) != 0 || len(b.signIns()) != 0 {
				t.Errorf("%d sessions; cookies %v", len(sessions.live()), b.cookies)
			}
			if record := b.visit.Record; record.Action != ActionSignIn || record.Err != c.err {
				t.Errorf("record %+v", record)
			}
		})
	}
}

// The store is down in the middle: the token that the provider gave is revoked.
func TestCallbackWithoutStore(t *testing.T) {
	_, chain, sessions, b := newTestPages(t, origin)
	chain.answer = func(providers.AuthorizationResponse) (*providers.SignedIn, error) {
		sessions.down = providers.ErrUnavailable
		return &providers.SignedIn{Identity: person("sso", "alice")}, nil
	}
	if got := b.signIn("sso", "x"); got.Status != 503 || sessions.revoked != 1 {
		t.Errorf("status %d, %d revoked", got.Status, sessions.revoked)
	}
}

// A sign-in cookie that is too old, of another key or version, or damaged ends in a page.
func TestSignInCookie(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(b *browser, p *Pages, s *testSessions, cookie string)
		title string
	}{
		{"eleven minutes later", func(b *browser, _ *Pages, _ *testSessions, _ string) { b.now = b.now.Add(11 * time.Minute) }, "took too long"},
		{"no cookie", func(b *browser, _ *Pages, _ *testSessions, name string) { delete(b.cookies, name) }, "cannot be finished"},
		{"of a key no longer in the ring", func(_ *browser, p *Pages, s *testSessions, _ string) {
			p.Sessions = newTestSessions(s.t, &fakeProviders{}, session.NewSealKey())
		}, "cannot be finished"},
		{"damaged", func(b *browser, _ *Pages, _ *testSessions, name string) { b.cookies[name] = b.cookies[name][1:] }, "cannot be finished"},
		{"not base64", func(b *browser, _ *Pages, _ *testSessions, name string) { b.cookies[name] = "%%%" }, "cannot be finished"},
		{"too large", func(b *browser, _ *Pages, _ *testSessions, name string) { b.cookies[name] = strings.Repeat("a", 5000) }, "cannot be finished"},
		{"of a future version", func(b *browser, p *Pages, _ *testSessions, name string) {
			s := p.openSignIn(b.cookies[name])
			s.Version++
			b.cookies[name], _ = p.sealSignIn(s)
		}, "cannot be finished"},
		{"of another sign-in", func(b *browser, p *Pages, _ *testSessions, name string) {
			s := p.openSignIn(b.cookies[name])
			s.State = s.State[:12] + randomText()[12:]
			b.cookies[name], _ = p.sealSignIn(s)
		}, "cannot be finished"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, _, sessions, b := newTestPages(t, origin)
			sent := b.startAt("/login?provider=sso")
			c.spoil(b, p, sessions, b.signIns()[0])
			got := b.get("/login/sso/callback?code=code-alice&state=" + sent.Get("state"))
			if got.Status != http.StatusBadRequest || !has(got, c.title) || len(sessions.live()) != 0 {
				t.Errorf("status %d, %d sessions\n%s", got.Status, len(sessions.live()), got.Body)
			}
		})
	}
}
