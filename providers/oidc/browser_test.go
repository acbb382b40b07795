package oidc_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// callback is the redirect URI of the provider sso. No test opens it.
const callback = "http://shorepass.test/login/sso/callback"

// page is shorepass's client at the provider, for people with browsers.
func page(id string) oidctest.Client {
	return oidctest.Client{
		ID: id, Secret: "s&cret +/=%",
		Redirects:            []string{callback},
		PostLogoutRedirects:  []string{"http://shorepass.test/logout"},
		BackchannelLogoutURI: "http://127.0.0.1:1/logout/sso", // for the sid claim
	}
}

// startForBrowsers runs the real provider with the client page and people who have
// second factors.
func startForBrowsers(t *testing.T, change func(*oidctest.Options)) *oidctest.Server {
	return start(t, func(o *oidctest.Options) {
		o.Clients = []oidctest.Client{page("page")}
		o.Users[0].ACR, o.Users[0].AMR = "urn:mfa", []string{"pwd", "otp"}
		if change != nil {
			change(o)
		}
	})
}

// newBrowserProvider returns a provider at which people sign in with browsers.
func newBrowserProvider(t *testing.T, issuer string, change func(*oidc.Config)) *oidc.Provider {
	t.Helper()
	return newProvider(t, issuer, func(c *oidc.Config) {
		c.ClientID, c.ClientSecret = "page", secret.New(page("").Secret)
		c.Grants = []string{"browser", "refresh_token"}
		if change != nil {
			change(c)
		}
	})
}

// newRequest returns an authorization request.
func newRequest() providers.AuthorizationRequest {
	return providers.AuthorizationRequest{
		RedirectURI: callback,
		State:       rand.Text(),
		Nonce:       rand.Text(),
		Verifier:    secret.New(rand.Text() + rand.Text()),
	}
}

// authorize returns the URL of a request.
func authorize(t *testing.T, p *oidc.Provider, request providers.AuthorizationRequest) string {
	t.Helper()
	address, err := p.AuthorizationURL(t.Context(), request)
	if err != nil {
		t.Fatalf("AuthorizationURL: %v", err)
	}
	return address
}

// redeem answers a request with the URL to which the browser came back.
func redeem(ctx context.Context, p *oidc.Provider, request providers.AuthorizationRequest, back *url.URL) (*providers.SignedIn, error) {
	return p.RedeemCode(ctx, providers.AuthorizationResponse{Request: request, Params: back.Query()})
}

// signIn signs a person in, and fails the test if that fails.
func signIn(t *testing.T, p *oidc.Provider, request providers.AuthorizationRequest, person *oidctest.Browser) *providers.SignedIn {
	t.Helper()
	signedIn, err := redeem(t.Context(), p, request, person.SignIn(authorize(t, p, request)))
	if err != nil {
		t.Fatalf("RedeemCode: %v", err)
	}
	return signedIn
}

func alice(t *testing.T) *oidctest.Browser { return oidctest.NewBrowser(t, "alice", "alice's pass") }

// keyFile writes a private key as a PEM file, and returns it and the key set that check
// --live prints for it, as it is registered at the provider.
func keyFile(t *testing.T, key crypto.Signer) (string, []map[string]string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := writePEM(t, "PRIVATE KEY", der)
	text, err := oidc.DescribeClientKey(file)
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		t.Fatal(err)
	}
	return file, set.Keys
}

func writePEM(t *testing.T, kind string, der []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "client.pem")
	if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func ecKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestBrowserSignIn: a person signs in at the real provider, whatever way the client
// authenticates; the session is revalidated, and its token revoked, in the same way.
func TestBrowserSignIn(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	byKey := map[string]crypto.Signer{"rsa": rsaKey, "ec": ecKey(t), "ed25519": edKey}
	files := map[string]string{}
	op := startForBrowsers(t, func(o *oidctest.Options) {
		for id, auth := range map[string]string{"basic": "client_secret_basic", "post": "client_secret_post", "public": "none"} {
			client := page(id)
			client.Auth = auth
			if auth == "none" {
				client.Secret = ""
			}
			o.Clients = append(o.Clients, client)
		}
		for id, key := range byKey {
			client := page(id)
			client.Secret, client.Auth = "", "private_key_jwt"
			files[id], client.Keys = keyFile(t, key)
			o.Clients = append(o.Clients, client)
		}
	})
	for _, tt := range []struct{ id, style string }{
		{"basic", ""}, {"post", "client_secret_post"}, {"public", ""}, {"rsa", ""}, {"ec", "private_key_jwt"}, {"ed25519", ""},
	} {
		t.Run(tt.id, func(t *testing.T) {
			t.Parallel()
			p := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) {
				c.ClientID, c.AuthStyle = tt.id, tt.style
				if file, ok := files[tt.id]; ok || tt.id == "public" {
					c.ClientSecret, c.ClientKey = secret.Text{}, file
				}
			})
			request := newRequest()
			request.Consent = true
			before := time.Now().Add(-2 * time.Second)
			got := signIn(t, p, request, alice(t))
			id := got.Identity
			if id.Subject != "u-alice" || id.User != "alice" || !cmp.Equal(id.Groups, []string{"devs", "ops"}) || id.RefreshToken.IsZero() {
				t.Errorf("identity %+v, want alice with her groups and a refresh token", id)
			}
			if id.ACR != "urn:mfa" || !cmp.Equal(id.AMR, []string{"pwd", "otp"}) || got.SID == "" || id.AuthTime.Before(before) || id.AuthTime.After(time.Now()) {
				t.Errorf("acr %q, amr %q, sid %q, auth_time %s, want those of the login", id.ACR, id.AMR, got.SID, id.AuthTime)
			}
			again, err := p.Revalidate(t.Context(), id)
			if err != nil {
				t.Fatalf("Revalidate: %v", err)
			}
			if err := p.Revoke(t.Context(), again.RefreshToken); err != nil {
				t.Fatalf("Revoke: %v", err)
			}
			if _, err := p.Revalidate(t.Context(), again); !errors.Is(err, providers.ErrGone) {
				t.Errorf("Revalidate after Revoke: %v, want ErrGone", err)
			}
		})
	}
}

// TestAuthorizationRequest: what the provider is asked, by configuration and request.
func TestAuthorizationRequest(t *testing.T) {
	t.Parallel()
	i := oidctest.NewIssuer(t)
	const fixed = "client_id=page code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM code_challenge_method=S256 nonce=no redirect_uri=" + callback + " response_type=code "
	for _, tt := range []struct {
		name     string
		metadata map[string]any
		change   func(*oidc.Config)
		request  func(*providers.AuthorizationRequest)
		want     string // parameters after fixed
	}{
		{name: "plain", want: "scope=openid profile email offline_access state=st"},
		{name: "no refresh tokens", change: func(c *oidc.Config) { c.Grants = []string{"browser"} }, request: func(r *providers.AuthorizationRequest) { r.Consent = true }, want: "scope=openid profile email state=st"},
		{name: "a provider without offline_access", metadata: map[string]any{"scopes_supported": []string{"openid"}}, want: "scope=openid profile email state=st"},
		{
			name:   "everything",
			change: func(c *oidc.Config) { c.ACRValues, c.Prompt = []string{"urn:mfa", "phr"}, []string{"login"} },
			request: func(r *providers.AuthorizationRequest) {
				r.LoginHint, r.Consent, r.MaxAge = "alice@corp.example", true, 10*time.Minute
			},
			want: "acr_values=urn:mfa phr login_hint=alice@corp.example max_age=600 prompt=login consent scope=openid profile email offline_access state=st",
		},
		{
			name:    "the shorter max_age: the configured one",
			change:  func(c *oidc.Config) { c.MaxAge = 2 * time.Minute },
			request: func(r *providers.AuthorizationRequest) { r.MaxAge = 10 * time.Minute },
			want:    "max_age=120 scope=openid profile email offline_access state=st",
		},
		{
			name:    "the shorter max_age: that of the request",
			change:  func(c *oidc.Config) { c.MaxAge = time.Hour },
			request: func(r *providers.AuthorizationRequest) { r.MaxAge = 10 * time.Minute },
			want:    "max_age=600 scope=openid profile email offline_access state=st",
		},
		{name: "max_age of the configuration alone", change: func(c *oidc.Config) { c.MaxAge = time.Hour }, want: "max_age=3600 scope=openid profile email offline_access state=st"},
		{name: "consent twice", change: func(c *oidc.Config) { c.Prompt = []string{"consent"} }, request: func(r *providers.AuthorizationRequest) { r.Consent = true }, want: "prompt=consent scope=openid profile email offline_access state=st"},
		{
			name:     "an endpoint with a query",
			metadata: map[string]any{"authorization_endpoint": i.URL + "/authorize?p=b2c_1_signin&state=evil&scope=evil"},
			want:     "p=b2c_1_signin scope=openid profile email offline_access state=st",
		},
	} {
		i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(tt.metadata)))
		p := newBrowserProvider(t, i.URL, tt.change)
		request := providers.AuthorizationRequest{RedirectURI: callback, State: "st", Nonce: "no", Verifier: secret.New("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")} // RFC 7636, appendix B
		if tt.request != nil {
			tt.request(&request)
		}
		address := authorize(t, p, request)
		if got := describeQuery(t, address); got != sorted(fixed+tt.want) || !strings.HasPrefix(address, i.URL+"/authorize?") {
			t.Errorf("%s: %s\n got %s\nwant %s", tt.name, address, got, sorted(fixed+tt.want))
		}
	}
}

// TestAuthorizationRequestAtGoogle: Google has no offline_access.
func TestAuthorizationRequestAtGoogle(t *testing.T) {
	t.Parallel()
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{
		"issuer": "https://accounts.google.com", "scopes_supported": []string{"openid", "email", "profile"},
	})))
	p := newBrowserProvider(t, "https://accounts.google.com", func(c *oidc.Config) {
		c.Discovery, c.SignIns = i.URL, "one"
	})
	got := describeQuery(t, authorize(t, p, newRequest()))
	if !strings.Contains(got, "access_type=offline") || !strings.Contains(got, "scope=openid profile email ") {
		t.Errorf("asked for %s, want access_type=offline and no offline_access", got)
	}
}

// describeQuery returns the parameters of a URL in their order by name.
func describeQuery(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	text, err := url.QueryUnescape(strings.ReplaceAll(u.RawQuery, "&", " "))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sorted sorts "name=value with blanks" by name, as url.Values.Encode does.
func sorted(params string) string {
	query := url.Values{}
	var name string
	for _, field := range strings.Fields(params) {
		if before, after, ok := strings.Cut(field, "="); ok {
			name, field = before, after
		}
		query.Set(name, strings.TrimSpace(query.Get(name)+" "+field))
	}
	text, _ := url.QueryUnescape(strings.ReplaceAll(query.Encode(), "&", " "))
	return text
}

// TestAuthorizationEndpoint: people are sent to no host that the configuration does not
// name, and to none over plain http.
func TestAuthorizationEndpoint(t *testing.T) {
	t.Parallel()
	i := oidctest.NewTLSIssuer(t)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[any]string{
		"https://evil.example/auth":     `authorization_endpoint is on "evil.example", another host`,
		"http://127.0.0.1:1/auth":       `authorization_endpoint "http://127.0.0.1:1/auth" is not https`,
		"javascript:alert(1)":           "authorization_endpoint is not a URL",
		"https://a@" + i.URL[8:] + "/a": "authorization_endpoint is not a URL",
		nil:                             "authorization_endpoint is not in the provider's discovery document",
	} {
		i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"authorization_endpoint": address, "end_session_endpoint": address})))
		p := newBrowserProvider(t, i.URL, func(c *oidc.Config) { c.TLS.CA = ca })
		if got, err := p.AuthorizationURL(t.Context(), newRequest()); got != "" || !isUnavailable(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("authorization_endpoint %v: %q, %v, want %q", address, got, err, want)
		}
		got, err := p.LogoutURL(t.Context(), "https://shorepass.test/logout")
		if got != "" || (err == nil) != (address == nil) {
			t.Errorf("end_session_endpoint %v: LogoutURL = %q, %v", address, got, err)
		}
	}
}

// TestConsent: the real provider gives a refresh token only after a consent, and people
// may refuse it.
func TestConsent(t *testing.T) {
	t.Parallel()
	op := startForBrowsers(t, nil)
	p := newBrowserProvider(t, op.Issuer, nil)
	browser := alice(t)
	request := newRequest()
	_, err := redeem(t.Context(), p, request, browser.Cancel(authorize(t, p, request)))
	if refused, ok := errors.AsType[*providers.AuthorizationError](err); !ok || refused.Code != "access_denied" {
		t.Errorf("a refused login: %v, want access_denied", err)
	}
	first := signIn(t, p, newRequest(), browser)
	request = newRequest()
	request.Consent = true
	_, err = redeem(t.Context(), p, request, browser.Cancel(authorize(t, p, request)))
	if refused, ok := errors.AsType[*providers.AuthorizationError](err); !ok || refused.Code != "access_denied" {
		t.Errorf("a refused consent: %v, want access_denied", err)
	}
	second := signIn(t, p, request, browser)
	if !first.Identity.RefreshToken.IsZero() || second.Identity.RefreshToken.IsZero() {
		t.Error("a refresh token without consent, or none with it")
	}
	if !first.NeedsConsent || second.NeedsConsent {
		t.Errorf("NeedsConsent is %t and %t, want true and false", first.NeedsConsent, second.NeedsConsent)
	}
	if first.SID != second.SID {
		t.Errorf("two sign-ins of one session at the provider have the sids %q and %q", first.SID, second.SID)
	}
}

// TestSignInAtOtherMakes: a provider that gives a refresh token without a consent
// (Keycloak), one that keeps the newest one of a person (Dex), and one that has groups at
// userinfo alone (Okta).
func TestSignInAtOtherMakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		change  func(*oidctest.Options)
		consent bool
		first   error // of the first token after the second sign-in
	}{
		{"as Keycloak", func(o *oidctest.Options) { o.TrustClients = true }, false, nil},
		{"as Dex", func(o *oidctest.Options) { o.OneToken = true }, true, providers.ErrGone},
		{"as Okta", func(o *oidctest.Options) { o.ThinIDToken = true }, true, nil},
	} {
		op := startForBrowsers(t, tt.change)
		p := newBrowserProvider(t, op.Issuer, nil)
		browser, request := alice(t), newRequest()
		request.Consent = tt.consent
		first := signIn(t, p, request, browser).Identity
		second := signIn(t, p, request, browser).Identity
		if !cmp.Equal(second.Groups, []string{"devs", "ops"}) {
			t.Errorf("%s: groups %q", tt.name, second.Groups)
		}
		if _, err := p.Revalidate(t.Context(), first); !errors.Is(err, tt.first) {
			t.Errorf("%s: the first sign-in: %v, want %v", tt.name, err, tt.first)
		}
		if _, err := p.Revalidate(t.Context(), second); err != nil {
			t.Errorf("%s: the second sign-in: %v", tt.name, err)
		}
	}
}

// TestNeedsConsent: a second request is made only where consent can bring a refresh token.
func TestNeedsConsent(t *testing.T) {
	t.Parallel()
	i := oidctest.NewIssuer(t)
	for _, tt := range []struct {
		name   string
		change func(*oidc.Config)
		scopes []string
		want   bool
	}{
		{"offline_access is requested", func(*oidc.Config) {}, []string{"openid", "offline_access"}, true},
		{"the provider has no such scope", func(*oidc.Config) {}, []string{"openid"}, false},
		{"no refresh token is wanted", func(c *oidc.Config) { c.Grants = []string{"browser"} }, []string{"openid", "offline_access"}, false},
		{"consent was asked for", func(c *oidc.Config) { c.Prompt = []string{"consent"} }, []string{"openid", "offline_access"}, false},
	} {
		i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"scopes_supported": tt.scopes})))
		p := newBrowserProvider(t, i.URL, func(c *oidc.Config) {
			c.Users.Claim, c.Groups.Claim, c.Userinfo = "sub", "", "never"
			tt.change(c)
		})
		request := newRequest()
		token := i.IDToken(map[string]any{"aud": "page", "nonce": request.Nonce})
		i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": token}))
		got, err := p.RedeemCode(t.Context(), providers.AuthorizationResponse{Request: request, Params: url.Values{"code": {"c"}}})
		if err != nil || got.NeedsConsent != tt.want {
			t.Errorf("%s: NeedsConsent = %+v, %v, want %t", tt.name, got, err, tt.want)
		}
	}
}

// TestPushedAuthorizationRequest: where the provider demands it, the parameters of the
// request go there, with client authentication, and not through the browser.
func TestPushedAuthorizationRequest(t *testing.T) {
	t.Parallel()
	file, keys := keyFile(t, ecKey(t))
	op := startForBrowsers(t, func(o *oidctest.Options) {
		o.RequirePAR = true
		byKey := page("key")
		byKey.Secret, byKey.Auth, byKey.Keys = "", "private_key_jwt", keys
		o.Clients = append(o.Clients, byKey)
	})
	for _, tt := range []struct {
		id     string
		change func(*oidc.Config)
	}{
		{"page", nil},
		{"key", func(c *oidc.Config) { c.ClientID, c.ClientSecret, c.ClientKey = "key", secret.Text{}, file }},
	} {
		p := newBrowserProvider(t, op.Issuer, tt.change)
		op.Reset()
		request := newRequest()
		request.LoginHint = "alice"
		address := authorize(t, p, request)
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if query := u.Query(); len(query) != 2 || query.Get("client_id") != tt.id || !strings.HasPrefix(query.Get("request_uri"), "urn:") || op.Requests("par") != 1 {
			t.Errorf("%s: the browser is sent to %s", tt.id, address)
		}
		got, err := redeem(t.Context(), p, request, alice(t).SignIn(address))
		if err != nil || got.Identity.User != "alice" {
			t.Errorf("%s: %v", tt.id, err)
		}
		if seen := op.LastAuthorization(); seen["login_hint"] != "alice" || seen["nonce"] != request.Nonce {
			t.Errorf("%s: the provider saw %v", tt.id, seen)
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*oidc.Config)
		do     func(*providers.AuthorizationRequest)
		want   string
		key    string
	}{
		{"wrong secret", func(c *oidc.Config) { c.ClientSecret = secret.New("wrong") }, nil, "pushed authorization requests answered 401 invalid_client", "client_secret"},
		{"unknown redirect URI", nil, func(r *providers.AuthorizationRequest) { r.RedirectURI = "http://shorepass.test/other" }, "pushed authorization requests answered 400 invalid_request: is the redirect URI registered for the client there?", ""},
		{"no answer", nil, func(*providers.AuthorizationRequest) { op.Hang("par") }, "timeout: no answer", ""},
	} {
		p := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) {
			c.Timeout = time.Second
			if tt.change != nil {
				tt.change(c)
			}
		})
		request := newRequest()
		if tt.do != nil {
			tt.do(&request)
		}
		_, err := p.AuthorizationURL(t.Context(), request)
		if !isUnavailable(err) || !strings.Contains(err.Error(), tt.want) || providers.KeyOf(err) != tt.key {
			t.Errorf("%s: %v, key %q, want %q, key %q", tt.name, err, providers.KeyOf(err), tt.want, tt.key)
		}
		op.Release()
	}
}

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
// no person, and the code is good afterwards.
func TestCodeDuringOutage(t *testing.T) {
	t.Parallel()
	op := startForBrowsers(t, nil)
	p := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) { c.Timeout = time.Second })
	wrong := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) { c.ClientSecret = secret.New("wrong") })
	request := newRequest()
	back := alice(t).SignIn(authorize(t, p, request))
	if _, err := redeem(t.Context(), wrong, request, back); !isUnavailable(err) || providers.KeyOf(err) != "client_secret" {
		t.Errorf("a wrong client secret: %v, key %q, want unavailable for client_secret", err, providers.KeyOf(err))
	}
	if _, err := redeem(t.Context(), newBrowserProvider(t, "http://127.0.0.1:1", nil), request, back); !isUnavailable(err) {
		t.Errorf("no discovery: %v, want unavailable", err)
	}
	op.Fail("token", http.StatusServiceUnavailable, `{"error":"invalid_grant"}`, 1)
	if _, err := redeem(t.Context(), p, request, back); !isUnavailable(err) {
		t.Errorf("503: %v, want unavailable", err)
	}
	op.Down()
	if _, err := redeem(t.Context(), p, request, back); !isUnavailable(err) {
		t.Errorf("down: %v, want unavailable", err)
	}
	op.Up()
	if _, err := redeem(t.Context(), p, request, back); err != nil {
		t.Errorf("up again: %v", err)
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
