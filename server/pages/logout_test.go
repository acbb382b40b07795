package pages

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/providers"
	"shorepass/session"
)

// A logout ends the session of the cookie; the provider's logout is one button more.
func TestLogout(t *testing.T) {
	const atProvider = "https://idp.sso.example/logout?post_logout_redirect_uri=https%3A%2F%2Fauth.corp.example%2Flogout"
	for _, c := range []struct {
		name     string
		provider string
		down     bool
		post     []string
		has      []string
		hasNot   string
	}{
		{"here", "sso", false, nil, []string{"You are signed out", atProvider, `href="/login"`}, "refresh"},
		{"here and there", "sso", false, []string{"provider", "1"}, []string{`<meta http-equiv="refresh" content="0; url=` + atProvider + `">`, `<a class="button primary" href="` + atProvider + `"`}, ""},
		{"the provider has no logout", "lab", false, nil, []string{"You are signed out"}, "The Lab"},
		{"the provider is down", "sso", true, []string{"provider", "1"}, []string{"You are signed out", "Corp SSO cannot be reached"}, "refresh"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, chain, sessions, b := newTestPages(t, origin)
			b.signIn(c.provider, "code-alice")
			if page := b.get("/logout"); page.Status != 200 || !has(page, "Sign out here") || has(page, "and at Corp SSO") != (c.provider == "sso") || len(sessions.live()) != 1 {
				t.Errorf("GET /logout: %d\n%s", page.Status, page.Body)
			}
			if c.down {
				chain.down = providers.ErrUnavailable
			}
			got := b.post("/logout", c.post...)
			for _, want := range c.has {
				if !has(got, want) {
					t.Errorf("the page lacks %q:\n%s", want, got.Body)
				}
			}
			if c.hasNot != "" && has(got, c.hasNot) {
				t.Errorf("the page has %q:\n%s", c.hasNot, got.Body)
			}
			if got.Status != 200 || got.Location != "" || got.Header.Get("Clear-Site-Data") != `"cache"` {
				t.Errorf("status %d, header %v", got.Status, got.Header)
			}
			if len(sessions.live()) != 0 || b.cookies["__Host-shorepass"] != "" {
				t.Errorf("sessions %v, cookies %v", sessions.live(), b.cookies)
			}
			if record := b.visit.Record; record.Action != ActionSignOut || record.Identity.User != "alice" || *record.Ended != 1 {
				t.Errorf("record %+v", record)
			}
			if back := b.get("/logout"); back.Status != 200 || !has(back, "You are signed out") {
				t.Errorf("back from the provider: %d\n%s", back.Status, back.Body)
			}
			if again := b.post("/logout"); again.Status != 200 || b.visit.Record.Action != "" {
				t.Errorf("a second time: %d %+v", again.Status, b.visit.Record)
			}
		})
	}
}

// Without the store no person is told that they are signed out.
func TestLogoutWithoutStore(t *testing.T) {
	_, _, sessions, b := newTestPages(t, origin)
	b.signIn("sso", "code-alice")
	sessions.down = providers.ErrUnavailable
	if got := b.post("/logout"); got.Status != 503 || b.cookies["__Host-shorepass"] == "" {
		t.Errorf("status %d, cookies %v", got.Status, b.cookies)
	}
}

// A logout token ends what it means, and never more.
func TestBackChannelLogout(t *testing.T) {
	issued := time.Now().Truncate(time.Second).Add(-3 * time.Second)
	before := issued.Add(time.Minute)
	tokens := map[string]*providers.LogoutToken{
		"session":  {SID: "sid-1", IssuedAt: issued},
		"both":     {SID: "sid-1", Subject: "sub-1", IssuedAt: issued},
		"person":   {Subject: "sub-1", IssuedAt: issued},
		"offline":  {SID: "sid-1", IssuedAt: issued, Offline: true},
		"everyone": {SID: "sid-1", Subject: "sub-1", Offline: true}, // without iat
		"nobody":   {IssuedAt: issued},
	}
	unavailable := fmt.Errorf("%w: keys: 10.0.0.7", providers.ErrUnavailable)
	for _, c := range []struct {
		name     string
		provider string
		form     []string
		down     error
		status   int
		code     string
		sel      session.Selector
	}{
		{"a session", "sso", []string{"logout_token", "session"}, nil, 200, "", session.Selector{Provider: "sso", SID: "sid-1", Kind: session.KindBrowser, Before: before}},
		{"a session, and those of the person without one", "sso", []string{"logout_token", "both"}, nil, 200, "", session.Selector{Provider: "sso", Subject: "sub-1", NoSID: true, Kind: session.KindBrowser, Before: before}},
		{"a person", "sso", []string{"logout_token", "person"}, nil, 200, "", session.Selector{Provider: "sso", Subject: "sub-1", Kind: session.KindBrowser, Before: before}},
		{"refresh tokens too", "sso", []string{"logout_token", "offline"}, nil, 200, "", session.Selector{Provider: "sso", SID: "sid-1", Before: before}},
		{"no time", "sso", []string{"logout_token", "everyone"}, nil, 400, "invalid_request", session.Selector{}},
		{"nobody", "sso", []string{"logout_token", "nobody"}, nil, 400, "invalid_request", session.Selector{}},
		{"forged", "sso", []string{"logout_token", "x"}, nil, 400, "invalid_request", session.Selector{}},
		{"none", "sso", nil, nil, 400, "invalid_request", session.Selector{}},
		{"empty", "sso", []string{"logout_token", ""}, nil, 400, "invalid_request", session.Selector{}},
		{"two", "sso", []string{"logout_token", "session", "logout_token", "person"}, nil, 400, "invalid_request", session.Selector{}},
		{"unknown provider", "none", []string{"logout_token", "session"}, nil, 404, "invalid_request", session.Selector{}},
		{"keys cannot be read", "sso", []string{"logout_token", "session"}, unavailable, 503, "temporarily_unavailable", session.Selector{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, chain, sessions, b := newTestPages(t, origin)
			chain.logoutTokens, chain.down = tokens, c.down
			b.header.Set("Sec-Fetch-Site", "cross-site")
			got := b.post("/logout/"+c.provider, c.form...)
			if got.Status != c.status || got.Header.Get("Cache-Control") != "no-store" || (got.Header.Get("Retry-After") != "") != (c.status == http.StatusServiceUnavailable) {
				t.Errorf("status %d, want %d; header %v", got.Status, c.status, got.Header)
			}
			var answer struct{ Error string }
			if c.code != "" {
				if err := json.Unmarshal(got.Body, &answer); err != nil {
					t.Errorf("%s: %v", got.Body, err)
				}
			}
			if answer.Error != c.code || has(got, "10.0.0.7") {
				t.Errorf("answer %s", got.Body)
			}
			if diff := cmp.Diff(c.sel, sessions.sel); diff != "" {
				t.Errorf("revoked (-want +got):\n%s", diff)
			}
			record := b.visit.Record
			if (record.Err == nil) != (c.status == 200) || (record.Ended != nil) != (c.status == 200) || (record.Action == ActionBackChannelLogout) != (c.provider == "sso") {
				t.Errorf("record %+v", record)
			}
		})
	}
	_, chain, sessions, b := newTestPages(t, origin)
	if got := b.do(http.MethodPost, "/logout/sso", nil); got.Status != 400 || string(got.Body) != `{"error":"invalid_request"}` || b.visit.Record.Action != ActionBackChannelLogout {
		t.Errorf("a body that is no form: %d %s, record %+v", got.Status, got.Body, b.visit.Record)
	}
	chain.logoutTokens, sessions.down = tokens, providers.ErrUnavailable
	if got := b.post("/logout/sso", "logout_token", "session"); got.Status != 503 {
		t.Errorf("the store is down: %d", got.Status)
	}
}
