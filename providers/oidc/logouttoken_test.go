package oidc_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// TestLogoutToken: the token that the real provider sends at a logout names the session
// and the person of the sign-in.
func TestLogoutToken(t *testing.T) {
	t.Parallel()
	tokens := make(chan string, 1)
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { tokens <- r.PostFormValue("logout_token") }))
	t.Cleanup(here.Close)
	op := startForBrowsers(t, func(o *oidctest.Options) { o.Clients[0].BackchannelLogoutURI = here.URL })
	p := newBrowserProvider(t, op.Issuer, nil)
	browser := alice(t)
	got := signIn(t, p, newRequest(), browser)
	for name, logOut := range map[string]func(){
		"by the person": func() {
			address, err := p.LogoutURL(t.Context(), "http://shorepass.test/logout")
			if err != nil {
				t.Fatal(err)
			}
			browser.LogOut(address)
		},
		"by an administrator": func() {
			got = signIn(t, p, newRequest(), browser)
			op.EndSessions("alice")
		},
	} {
		logOut()
		told, err := p.VerifyLogoutToken(t.Context(), secret.New(<-tokens))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if told.SID != got.SID || told.Subject != "u-alice" || told.Offline || time.Since(told.IssuedAt) > time.Minute {
			t.Errorf("%s: %+v, want the sid %q of u-alice", name, told, got.SID)
		}
		got = signIn(t, p, newRequest(), browser)
	}
}

// TestLogoutTokens: what a logout token must have. The provider's key signs each of them.
func TestLogoutTokens(t *testing.T) {
	t.Parallel()
	op := startForBrowsers(t, nil)
	p := newBrowserProvider(t, op.Issuer, nil)
	now := time.Now()
	event := func(value any) map[string]any { return map[string]any{logoutEvent: value} }
	usual := map[string]any{"sub": "u-alice", "sid": "s-1"}
	for _, tt := range []struct {
		name   string
		change map[string]any
		header map[string]any
		want   string // of the token that is accepted, or of the rejection
	}{
		{name: "usual", want: "u-alice s-1"},
		{name: "sub alone", change: map[string]any{"sid": nil}, want: "u-alice "},
		{name: "sid alone", change: map[string]any{"sub": nil}, want: " s-1"},
		{name: "of Keycloak, offline too", change: map[string]any{"typ": "Logout", "events": map[string]any{logoutEvent: map[string]any{}, "revoke_offline_access": true}}, header: map[string]any{"typ": "JWT"}, want: "u-alice s-1 offline"},
		{name: "of Keycloak, not offline", change: map[string]any{"events": map[string]any{logoutEvent: map[string]any{}, "revoke_offline_access": "true"}}, want: "u-alice s-1"},
		{name: "no type", header: map[string]any{"typ": nil}, want: "u-alice s-1"},
		{name: "the long type", header: map[string]any{"typ": "application/Logout+JWT"}, want: "u-alice s-1"},
		{name: "several audiences", change: map[string]any{"aud": []string{"x", "page"}}, want: "u-alice s-1"},
		{name: "no exp", change: map[string]any{"exp": nil}, want: "u-alice s-1"},
		{name: "an exp far away", change: map[string]any{"exp": now.Add(24 * time.Hour).Unix()}, want: "u-alice s-1"},
		{name: "another member in the event", change: map[string]any{"events": event(map[string]any{"x": 1})}, want: "u-alice s-1"},

		{name: "an access token's type", header: map[string]any{"typ": "at+jwt"}, want: "typ in its header is not logout+jwt"},
		{name: "a type that is no text", header: map[string]any{"typ": []string{"JWT"}}, want: "typ in its header is not logout+jwt"},
		{name: "another issuer", change: map[string]any{"iss": "https://evil.example"}, want: "its iss is not"},
		{name: "another audience", change: map[string]any{"aud": "other"}, want: "its aud is not"},
		{name: "no audience", change: map[string]any{"aud": nil}, want: "its aud is not"},
		{name: "another party", change: map[string]any{"azp": "other"}, want: "its azp is not"},
		{name: "expired", change: map[string]any{"exp": now.Add(-2 * time.Minute).Unix()}, want: "it has expired"},
		{name: "an exp that is no number", change: map[string]any{"exp": "later"}, want: "it has expired"},
		{name: "issued long ago", change: map[string]any{"iat": now.Add(-10 * time.Minute).Unix()}, want: "it was issued more than 5m0s ago"},
		{name: "issued in the future", change: map[string]any{"iat": now.Add(5 * time.Minute).Unix()}, want: "its iat is in the future"},
		{name: "no iat", change: map[string]any{"iat": nil}, want: "it has no iat"},
		{name: "no jti", change: map[string]any{"jti": nil}, want: "it has no jti"},
		{name: "no events", change: map[string]any{"events": nil}, want: "so it is not a logout token"},
		{name: "another event", change: map[string]any{"events": map[string]any{"https://schemas.openid.net/secevent/caep/event-type/session-revoked": map[string]any{}}}, want: "so it is not a logout token"},
		{name: "an event that is no object", change: map[string]any{"events": event(true)}, want: "so it is not a logout token"},
		{name: "events that are a list", change: map[string]any{"events": []string{logoutEvent}}, want: "so it is not a logout token"},
		{name: "a nonce", change: map[string]any{"nonce": "n"}, want: "it has a nonce, so it is an ID token"},
		{name: "neither sub nor sid", change: map[string]any{"sub": nil, "sid": nil}, want: "it has neither sub nor sid"},
		{name: "a sub that is no text", change: map[string]any{"sub": []string{"u-alice"}}, want: "its sub is missing, too long or not a text"},
		{name: "an empty sub", change: map[string]any{"sub": ""}, want: "its sub is missing, too long or not a text"},
		{name: "a long sid", change: map[string]any{"sid": strings.Repeat("s", 300)}, want: "its sid is too long or not a text"},
		{name: "a lookalike", change: map[string]any{"SUB": "u-bob"}, want: `only looks like "sub"`},
	} {
		claims := maps.Clone(usual)
		maps.Copy(claims, tt.change)
		token := op.LogoutToken(page("page"), tt.header, claims)
		checkLogoutToken(t, p, tt.name, token, tt.want)
	}
	all := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) { c.BackchannelLogout = "all" })
	checkLogoutToken(t, all, `backchannel_logout = "all"`, op.LogoutToken(page("page"), nil, usual), "u-alice s-1 offline")
	// An ID token of the same provider for the same client.
	request := newRequest()
	back := alice(t).SignIn(authorize(t, p, request))
	idToken := op.Redeem(page("page"), back, callback, request.Verifier.Reveal()).ID
	checkLogoutToken(t, p, "an ID token", idToken, "so it is not a logout token")
	good := op.LogoutToken(page("page"), nil, usual)
	header, rest, _ := strings.Cut(good, ".")
	payload, _, _ := strings.Cut(rest, ".")
	for name, token := range map[string]string{
		"no signature":      "eyJhbGciOiJub25lIn0." + payload + ".",
		"another signature": good[:len(good)-8] + "AAAAAAAA",
		"a signature alone": header + "." + payload,
		"nothing":           "",
		"much":              strings.Repeat("x", 20<<10),
	} {
		checkLogoutToken(t, p, name, token, "token not accepted")
	}
	hostile := oidctest.NewIssuer(t)
	checkLogoutToken(t, p, "an HMAC", oidctest.SignWith(t, `{"alg":"HS256","typ":"logout+jwt"}`, `{}`, hostile.HMACKey()), "token not accepted")
}

// checkLogoutToken compares "SUBJECT SID", with "offline", or the text of a rejection.
func checkLogoutToken(t *testing.T, p *oidc.Provider, name, token, want string) {
	t.Helper()
	told, err := p.VerifyLogoutToken(t.Context(), secret.New(token))
	if err != nil {
		if !errors.Is(err, providers.ErrRejected) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
		return
	}
	got := told.Subject + " " + told.SID
	if told.Offline {
		got += " offline"
	}
	if got != want {
		t.Errorf("%s: %q, want %q", name, got, want)
	}
}

// TestLogoutTokenSubject: a person is named as in identities, or not at all.
func TestLogoutTokenSubject(t *testing.T) {
	t.Parallel()
	i := oidctest.NewIssuer(t)
	token := func(claims map[string]any) string {
		all := map[string]any{"aud": "page", "sub": "s", "jti": "j", "events": map[string]any{logoutEvent: map[string]any{}}}
		maps.Copy(all, claims)
		return i.IDToken(all)
	}
	p := newBrowserProvider(t, i.URL, func(c *oidc.Config) { c.Subject = []string{"tid", "oid"} })
	checkLogoutToken(t, p, "both claims", token(map[string]any{"tid": "t", "oid": "o:1"}), "t:o%3A1 ")
	checkLogoutToken(t, p, "one claim and a session", token(map[string]any{"tid": "t", "sid": "s-1"}), " s-1")
	checkLogoutToken(t, p, "one claim", token(map[string]any{"tid": "t"}), `the logout token has no sid, and lacks "tid", "oid"`)
	i.Server.Close()
	if _, err := newBrowserProvider(t, i.URL, nil).VerifyLogoutToken(t.Context(), secret.New(token(nil))); !isUnavailable(err) {
		t.Errorf("without keys: %v, want unavailable", err)
	}
}
