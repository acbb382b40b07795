package oidctest_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"shorepass/providers/oidc/oidctest"
)

const (
	callback = "http://shorepass.test/login/sso/callback"
	verifier = "a-code-verifier-of-at-least-forty-three-characters"
)

// startWithBrowser runs a provider with alice and a client, which sends its logout tokens to
// the channel.
func startWithBrowser(t *testing.T, change func(*oidctest.Options)) (*oidctest.Server, oidctest.Client, chan string) {
	t.Helper()
	logoutTokens := make(chan string, 4)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		logoutTokens <- r.PostFormValue("logout_token")
	}))
	t.Cleanup(app.Close)
	client := oidctest.Client{
		ID: "registry", Secret: "s&cret +/=%",
		Redirects:            []string{callback},
		PostLogoutRedirects:  []string{"http://shorepass.test/logout"},
		BackchannelLogoutURI: app.URL,
	}
	opts := oidctest.Options{
		Clients: []oidctest.Client{client},
		Users:   []oidctest.User{{Name: "alice", Password: "alice's pass", Subject: "u-alice", ACR: "mfa", AMR: []string{"pwd", "otp"}}},
	}
	if change != nil {
		change(&opts)
	}
	return oidctest.Start(t, opts), client, logoutTokens
}

// authorizationURL returns the URL of an authorization request with further parameters.
func authorizationURL(op *oidctest.Server, further ...string) string {
	challenge := sha256.Sum256([]byte(verifier))
	query := url.Values{
		"client_id": {"registry"}, "redirect_uri": {callback}, "response_type": {"code"},
		"scope": {"openid profile offline_access"}, "state": {"st"}, "nonce": {"no"},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(further); i += 2 {
		query.Set(further[i], further[i+1])
	}
	return op.Issuer + "/auth?" + query.Encode()
}

func payload(t *testing.T, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("%q is not a JWT", token)
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// TestBrowser walks a person through the real provider: login, consent, single sign-on,
// logout at the provider with its logout token.
func TestBrowser(t *testing.T) {
	t.Parallel()
	op, client, logoutTokens := startWithBrowser(t, nil)
	alice := oidctest.NewBrowser(t, "alice", "alice's pass")

	back := alice.Cancel(authorizationURL(op))
	if got := back.Query(); back.Host != "shorepass.test" || got.Get("error") != "access_denied" || got.Get("iss") != op.Issuer {
		t.Errorf("cancelled: back at %s", back)
	}
	back = alice.SignIn(authorizationURL(op))
	if got := back.Query(); back.Path != "/login/sso/callback" || got.Get("state") != "st" || got.Get("iss") != op.Issuer {
		t.Errorf("signed in: back at %s", back)
	}
	got := op.Redeem(client, back, callback, verifier)
	if got.Refresh != "" {
		t.Error("a refresh token without prompt=consent")
	}
	got = op.Redeem(client, alice.SignIn(authorizationURL(op, "prompt", "consent")), callback, verifier)
	claims := payload(t, got.ID)
	if got.Refresh == "" || claims["sid"] == nil || claims["acr"] != "mfa" || claims["auth_time"] == nil || claims["nonce"] != "no" {
		t.Errorf("tokens %v with the claims %v, want a refresh token, sid, acr, auth_time and nonce", got, claims)
	}
	if got := op.LastAuthorization()["prompt"]; got != "consent" {
		t.Errorf("the last authorization request had the prompt %v", got)
	}

	back = alice.LogOut(op.Issuer + "/session/end?client_id=registry&post_logout_redirect_uri=" + url.QueryEscape("http://shorepass.test/logout"))
	if back == nil || back.String() != "http://shorepass.test/logout" {
		t.Errorf("logged out: back at %v", back)
	}
	told := payload(t, <-logoutTokens)
	if told["sid"] != claims["sid"] || told["sub"] != "u-alice" || told["events"] == nil {
		t.Errorf("logout token with the claims %v", told)
	}
	if got := op.LiveRefreshTokens("alice"); got != 1 {
		t.Errorf("%d refresh tokens after the logout, want the one with offline_access", got)
	}
	if _, page := alice.Open(authorizationURL(op)); strings.Contains(page, "name=") {
		t.Error("an authorization request answers with a page, want a redirect")
	}
}

// TestSwitches holds the switches that make the provider one of another make.
func TestSwitches(t *testing.T) {
	t.Parallel()
	revoke := func(t *testing.T, op *oidctest.Server, client oidctest.Client, token string) {
		req, err := http.NewRequest(http.MethodPost, op.Issuer+"/token/revocation", strings.NewReader(url.Values{"token": {token}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(url.QueryEscape(client.ID), url.QueryEscape(client.Secret))
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("revoke: %v %v", resp, err)
		}
		resp.Body.Close()
	}
	for _, test := range []struct {
		name            string
		change          func(*oidctest.Options)
		logins, revoked int // refresh tokens after two logins, and after the revocation of the last
		iss             bool
	}{
		{name: "as oidc-provider", change: nil, logins: 2, revoked: 1, iss: true},
		{name: "as Keycloak before 26.1", change: func(o *oidctest.Options) { o.RevokeAll, o.TrustClients, o.OmitIss = true, true, true }, logins: 2, revoked: 0},
		{name: "as Dex", change: func(o *oidctest.Options) { o.OneToken = true }, logins: 1, revoked: 0, iss: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			op, client, logoutTokens := startWithBrowser(t, test.change)
			alice := oidctest.NewBrowser(t, "alice", "alice's pass")
			var last oidctest.Tokens
			for range 2 {
				prompt := []string{"prompt", "consent"}
				if strings.Contains(test.name, "Keycloak") {
					prompt = nil
				}
				back := alice.SignIn(authorizationURL(op, prompt...))
				if back.Query().Has("iss") != test.iss {
					t.Errorf("back at %s, iss wanted: %v", back, test.iss)
				}
				last = op.Redeem(client, back, callback, verifier)
			}
			if got := op.LiveRefreshTokens("alice"); got != test.logins {
				t.Errorf("%d refresh tokens after two logins, want %d", got, test.logins)
			}
			revoke(t, op, client, last.Refresh)
			if got := op.LiveRefreshTokens("alice"); got != test.revoked {
				t.Errorf("%d refresh tokens after a revocation, want %d", got, test.revoked)
			}
			if sent := op.EndSessions("alice"); sent != 1 || payload(t, <-logoutTokens)["sid"] == nil {
				t.Errorf("EndSessions sent %d logout tokens, want 1 with a sid", sent)
			}
		})
	}
}
