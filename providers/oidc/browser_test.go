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
	"net/url"
	"os"
	"path/filepath"
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
	const entra, google = "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0", "https://accounts.google.com"
	at := func(issuer string) func(*oidc.Config) {
		return func(c *oidc.Config) { c.Issuer, c.Discovery = issuer, i.URL }
	}
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
		{"Google has no such scope, and gives one with consent", at(google), []string{"openid"}, true},
		{"Entra ID asks for a missing consent by itself", at(entra), []string{"openid", "offline_access"}, false},
	} {
		issuer := i.URL
		p := newBrowserProvider(t, issuer, func(c *oidc.Config) {
			c.Users.Claim, c.Groups.Claim, c.Userinfo = "sub", "", "never"
			tt.change(c)
			issuer = c.Issuer
		})
		i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"issuer": issuer, "scopes_supported": tt.scopes})))
		request := newRequest()
		token := i.IDToken(map[string]any{"iss": issuer, "aud": "page", "nonce": request.Nonce})
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
