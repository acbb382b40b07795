package oidc_test

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// TestAuthorizationResponse: a response that does not answer the request is refused, and
// nothing is sent for it.
func TestAuthorizationResponse(t *testing.T) {
	t.Parallel()
	op := startForBrowsers(t, nil)
	p := newBrowserProvider(t, op.Issuer, nil)
	request := newRequest()
	good := alice(t).SignIn(authorize(t, p, request)).Query()
	if good.Get("iss") != op.Issuer || good.Get("state") != request.State {
		t.Fatalf("the provider answered %v", good)
	}
	op.Reset()
	for _, tt := range []struct {
		name   string
		change func(url.Values)
		want   string // the code of an AuthorizationError, or the text of a rejection
	}{
		{"no code", func(v url.Values) { v.Del("code") }, "has no code"},
		{"an empty code", func(v url.Values) { v.Set("code", "") }, "has no code"},
		{"two codes", func(v url.Values) { v.Add("code", "other") }, "there twice"},
		{"two states", func(v url.Values) { v.Add("state", request.State) }, "there twice"},
		{"two of another parameter", func(v url.Values) { v["x"] = []string{"1", "2"} }, "there twice"},
		{"another state", func(v url.Values) { v.Set("state", "other") }, "state is not that of the request"},
		{"an empty state", func(v url.Values) { v.Set("state", "") }, "state is not that of the request"},
		{"another issuer", func(v url.Values) { v.Set("iss", "https://evil.example") }, "iss is not the issuer"},
		{"the issuer with a slash", func(v url.Values) { v.Set("iss", op.Issuer+"/") }, "iss is not the issuer"},
		{"an empty issuer", func(v url.Values) { v.Set("iss", "") }, "iss is not the issuer"},
		{"no issuer", func(v url.Values) { v.Del("iss") }, "no iss, which the provider's discovery document promises"},
		{"two issuers", func(v url.Values) { v.Add("iss", op.Issuer) }, "there twice"},
		{"a code and an error", func(v url.Values) { v.Set("error", "access_denied") }, "both a code and an error"},
		{"an error of another issuer", func(v url.Values) {
			v.Del("code")
			v.Set("error", "access_denied")
			v.Set("iss", "https://evil.example")
		}, "iss is not the issuer"},
		{"an error", func(v url.Values) {
			v.Del("code")
			v.Set("error", "access_denied")
			v.Set("error_description", "canary")
		}, "access_denied"},
		{"an error of OpenID Connect", func(v url.Values) { v.Del("code"); v.Set("error", "login_required") }, "login_required"},
		{"an unknown error", func(v url.Values) { v.Del("code"); v.Set("error", "<b>canary</b>") }, "other"},
		{"an empty error", func(v url.Values) { v.Del("code"); v.Set("error", "") }, "other"},
	} {
		params := url.Values{}
		for name, values := range good {
			params[name] = values
		}
		tt.change(params)
		got, err := p.RedeemCode(t.Context(), providers.AuthorizationResponse{Request: request, Params: params})
		if refused, ok := errors.AsType[*providers.AuthorizationError](err); ok && (refused.Code != tt.want || errors.Is(err, providers.ErrRejected)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		} else if got != nil || !ok && (!errors.Is(err, providers.ErrRejected) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want a rejection: %q", tt.name, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error quotes the response: %v", tt.name, err)
		}
	}
	if n := op.Requests("token"); n != 0 {
		t.Errorf("%d token requests for responses that are refused", n)
	}
	if _, err := redeem(t.Context(), p, request, &url.URL{RawQuery: good.Encode()}); err != nil {
		t.Errorf("the response itself: %v", err)
	}
	if _, err := redeem(t.Context(), p, request, &url.URL{RawQuery: good.Encode()}); !errors.Is(err, providers.ErrRejected) || op.Requests("token:authorization_code") != 2 {
		t.Errorf("the response again: %v after %d token requests, want a rejection after 2", err, op.Requests("token:authorization_code"))
	}
}

// TestCodeOfAnother: a code is good for the request and the client that it was issued to,
// and the tokens of a refused sign-in are revoked.
func TestCodeOfAnother(t *testing.T) {
	t.Parallel()
	op := startForBrowsers(t, func(o *oidctest.Options) { o.Clients = append(o.Clients, page("other")) })
	p := newBrowserProvider(t, op.Issuer, nil)
	other := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) { c.ClientID = "other" })
	for _, tt := range []struct {
		name   string
		redeem func(providers.AuthorizationRequest, *url.URL) error
	}{
		{"another client", func(r providers.AuthorizationRequest, back *url.URL) error {
			_, err := redeem(t.Context(), other, r, back)
			return err
		}},
		{"another verifier", func(r providers.AuthorizationRequest, back *url.URL) error {
			r.Verifier = secret.New(strings.Repeat("x", 43))
			_, err := redeem(t.Context(), p, r, back)
			return err
		}},
		{"another redirect URI", func(r providers.AuthorizationRequest, back *url.URL) error {
			r.RedirectURI = "http://shorepass.test/login/other/callback"
			_, err := redeem(t.Context(), p, r, back)
			return err
		}},
		{"another nonce", func(r providers.AuthorizationRequest, back *url.URL) error {
			r.Nonce = "other"
			_, err := redeem(t.Context(), p, r, back)
			return err
		}},
		{"no nonce", func(r providers.AuthorizationRequest, back *url.URL) error {
			r.Nonce = ""
			_, err := redeem(t.Context(), p, r, back)
			return err
		}},
	} {
		request := newRequest()
		request.Consent = true
		if err := tt.redeem(request, alice(t).SignIn(authorize(t, p, request))); !errors.Is(err, providers.ErrRejected) {
			t.Errorf("%s: %v, want a rejection", tt.name, err)
		}
		if n := op.LiveRefreshTokens("alice"); n != 0 {
			t.Errorf("%s: %d refresh tokens are left", tt.name, n)
		}
	}
}

// TestCodeDuringOutage: a provider that is down, or that refuses our client, has refused
// no person, and the code is good afterwards. What cannot come from the code alone says that
// the provider is unavailable: the log names it then, and /readyz.
func TestCodeDuringOutage(t *testing.T) {
	t.Parallel()
	op := startForBrowsers(t, nil)
	p := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) { c.Timeout = time.Second })
	wrong := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) { c.ClientSecret = secret.New("wrong") })
	request := newRequest()
	back := alice(t).SignIn(authorize(t, p, request))
	if _, err := redeem(t.Context(), wrong, request, back); !isUnavailable(err) || providers.KeyOf(err) != "client_secret" {
		t.Errorf("a wrong client secret: %v, key %q, want unavailable for client_secret", err, providers.KeyOf(err))
	} else if providers.MayBeCounted(err) {
		t.Errorf("a wrong client secret says nothing of the provider: %v", err)
	}
	if _, err := redeem(t.Context(), newBrowserProvider(t, "http://127.0.0.1:1", nil), request, back); !isUnavailable(err) {
		t.Errorf("no discovery: %v, want unavailable", err)
	}
	op.Fail("token", http.StatusServiceUnavailable, `{"error":"invalid_grant"}`, 1)
	if _, err := redeem(t.Context(), p, request, back); !isUnavailable(err) || !providers.MayBeCounted(err) {
		t.Errorf("503: %v, want unavailable, of this code perhaps", err)
	}
	op.Fail("token", http.StatusUnauthorized, `{"error":"invalid_client"}`, 1)
	if _, err := redeem(t.Context(), p, request, back); !isUnavailable(err) || !providers.MayBeCounted(err) {
		t.Errorf("our client is blamed for this code: %v, want unavailable, of this code perhaps", err)
	}
	op.Down()
	if _, err := redeem(t.Context(), p, request, back); !isUnavailable(err) || providers.MayBeCounted(err) {
		t.Errorf("down: %v, want unavailable", err)
	}
	op.Up()
	if _, err := redeem(t.Context(), p, request, back); err != nil {
		t.Errorf("up again: %v", err)
	}
	strict := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) { c.Groups.Claim = ""; c.Algorithms = []string{"ES256"} })
	request = newRequest()
	if _, err := redeem(t.Context(), strict, request, alice(t).SignIn(authorize(t, p, request))); !isUnavailable(err) || providers.MayBeCounted(err) {
		t.Errorf("an ID token of another algorithm: %v, want unavailable", err)
	}
}

// TestMixUp: the response of one provider is not good at the callback of another one, with
// and without iss.
func TestMixUp(t *testing.T) {
	t.Parallel()
	for name, omitIss := range map[string]bool{"with iss": false, "without iss": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			honest := startForBrowsers(t, func(o *oidctest.Options) { o.OmitIss = omitIss })
			attacker := startForBrowsers(t, func(o *oidctest.Options) { o.OmitIss = omitIss })
			p, evil := newBrowserProvider(t, honest.Issuer, nil), newBrowserProvider(t, attacker.Issuer, nil)
			request := newRequest()
			// The person chose the attacker's provider, which sent the browser on to the
			// honest one: its code comes to the attacker's callback.
			back := alice(t).SignIn(authorize(t, p, request))
			if _, err := redeem(t.Context(), evil, request, back); !errors.Is(err, providers.ErrRejected) {
				t.Errorf("the attacker's provider: %v, want a rejection", err)
			}
			if got := attacker.Requests("token"); !omitIss && got != 0 {
				t.Errorf("the code was sent to the attacker %d times", got)
			}
			if _, err := redeem(t.Context(), p, request, back); err != nil {
				t.Errorf("the honest provider: %v", err)
			}
		})
	}
}

// TestMaxAgeOfSignIn: the provider asks again after max_age, and an auth_time that is older
// is refused, as where max_age was taken out of the request on its way.
func TestMaxAgeOfSignIn(t *testing.T) {
	t.Parallel()
	op := startForBrowsers(t, func(o *oidctest.Options) { o.Users[0].AuthAge = 3600 })
	p := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) { c.Grants = []string{"browser"} })
	browser := alice(t)
	got := signIn(t, p, newRequest(), browser)
	if age := time.Since(got.Identity.AuthTime); age < time.Hour-2*time.Second || age > time.Hour+time.Minute {
		t.Errorf("auth_time %s ago, want an hour", age)
	}
	for _, tt := range []struct {
		name string
		age  time.Duration
		ago  time.Duration // since the request was made
		good bool
	}{
		{"ten minutes", 10 * time.Minute, 0, false},
		{"just less", 58 * time.Minute, 0, false},
		{"within the skew", 59*time.Minute + 30*time.Second, 0, true},
		{"two hours", 2 * time.Hour, 0, true},
		{"a person who took five minutes to consent", 55 * time.Minute, 5 * time.Minute, true},
		{"longer ago, and five minutes to consent", 50 * time.Minute, 5 * time.Minute, false},
	} {
		request := newRequest()
		request.MaxAge, request.Made = tt.age, time.Now().Add(-tt.ago)
		without := regexp.MustCompile(`&max_age=\d+`).ReplaceAllString(authorize(t, p, request), "")
		if _, err := redeem(t.Context(), p, request, browser.SignIn(without)); tt.good != (err == nil) || err != nil && !errors.Is(err, providers.ErrRejected) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	op.SetUser(oidctest.User{Name: "alice", Password: "alice's pass", Subject: "u-alice", Groups: []string{}})
	request := newRequest()
	request.MaxAge = 10 * time.Minute
	got = signIn(t, p, request, browser) // types the password again
	if age := time.Since(got.Identity.AuthTime); age > time.Minute {
		t.Errorf("auth_time %s ago after a new login", age)
	}
}

// TestSignInWithoutAuthTime: Google and Entra ID send no auth_time, so that its age is not
// known.
func TestSignInWithoutAuthTime(t *testing.T) {
	t.Parallel()
	i := oidctest.NewIssuer(t)
	p := newBrowserProvider(t, i.URL, func(c *oidc.Config) {
		c.Users.Claim, c.Groups.Claim, c.Userinfo, c.Reauthenticate = "sub", "", "never", time.Hour
	})
	for _, tt := range []struct {
		name     string
		authTime any
		told     bool
		want     error
	}{
		{"none", nil, false, nil},
		{"now", time.Now().Unix(), true, nil},
		{"in the future", time.Now().Add(30 * time.Second).Unix(), false, nil},
		{"as text", "1700000000", true, providers.ErrRejected},
		{"longer ago than reauthenticate", time.Now().Add(-2 * time.Hour).Unix(), true, providers.ErrRejected},
	} {
		request := newRequest()
		token := i.IDToken(map[string]any{"aud": "page", "nonce": request.Nonce, "auth_time": tt.authTime, "sid": strings.Repeat("x", 300)})
		i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": token}))
		got, err := p.RedeemCode(t.Context(), providers.AuthorizationResponse{Request: request, Params: url.Values{"code": {"c"}}})
		if !errors.Is(err, tt.want) || err == nil && (got.Identity.AuthTime.IsZero() == tt.told || got.SID != "") {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

// TestRefusedSignIns: a token response that says who signed in, but not so that it can be
// believed, means that the provider is unavailable; a person who may not log in is refused.
func TestRefusedSignIns(t *testing.T) {
	t.Parallel()
	i := oidctest.NewIssuer(t)
	p := newBrowserProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim = "sub" })
	request := newRequest()
	claims := func(change map[string]any) string {
		all := map[string]any{"aud": "page", "nonce": request.Nonce, "groups": []string{"ops"}}
		for name, value := range change {
			all[name] = value
		}
		return i.IDToken(all)
	}
	for _, tt := range []struct {
		name     string
		idToken  string
		rejected bool
	}{
		{"no ID token", "", false},
		{"of another issuer", claims(map[string]any{"iss": "https://evil.example"}), false},
		{"of another client", claims(map[string]any{"aud": "other"}), false},
		{"of another party", claims(map[string]any{"aud": []string{"page", "x"}, "azp": "x"}), false},
		{"expired", claims(map[string]any{"exp": 1}), false},
		{"unsigned", oidctest.SignWith(t, `{"alg":"none"}`, `{}`, nil), false},
		{"without a nonce", claims(map[string]any{"nonce": nil}), true},
		{"with a nonce that is no text", claims(map[string]any{"nonce": []string{request.Nonce}}), true},
		{"without groups", claims(map[string]any{"groups": nil}), true},
	} {
		answer := map[string]any{"access_token": "x", "token_type": "Bearer", "refresh_token": "r", "id_token": tt.idToken}
		if tt.idToken == "" {
			delete(answer, "id_token")
		}
		i.Replace(oidctest.TokenPath, serveJSON(answer))
		i.Replace(oidctest.UserinfoPath, serveJSON(map[string]any{"sub": "subject-1"}))
		i.Replace(oidctest.RevocationPath, func(http.ResponseWriter, *http.Request) {})
		before := i.Requests(oidctest.RevocationPath)
		_, err := p.RedeemCode(t.Context(), providers.AuthorizationResponse{Request: request, Params: url.Values{"code": {"c"}}})
		if err == nil || errors.Is(err, providers.ErrRejected) != tt.rejected || !tt.rejected && !isUnavailable(err) {
			t.Errorf("%s: %v, rejected wanted: %v", tt.name, err, tt.rejected)
		}
		if n := i.Requests(oidctest.RevocationPath) - before; n != 1 {
			t.Errorf("%s: the refresh token was revoked %d times, want once", tt.name, n)
		}
	}
}

// TestLogOutAtProvider: the browser goes to the provider, and comes back.
func TestLogOutAtProvider(t *testing.T) {
	t.Parallel()
	op := startForBrowsers(t, nil)
	p := newBrowserProvider(t, op.Issuer, nil)
	browser := alice(t)
	signIn(t, p, newRequest(), browser)
	address, err := p.LogoutURL(t.Context(), "http://shorepass.test/logout")
	if err != nil {
		t.Fatal(err)
	}
	if back := browser.LogOut(address); back == nil || back.String() != "http://shorepass.test/logout" {
		t.Errorf("back at %v", back)
	}
	if _, page := browser.Open(authorize(t, p, newRequest())); strings.Contains(page, "code=") {
		t.Errorf("the session at the provider lives on: %s", page)
	}
	if got, err := newBrowserProvider(t, startForBrowsers(t, func(o *oidctest.Options) { o.NoLogout = true }).Issuer, nil).LogoutURL(t.Context(), "http://shorepass.test/logout"); got != "" || err != nil {
		t.Errorf("LogoutURL at a provider without one = %q, %v", got, err)
	}
}
