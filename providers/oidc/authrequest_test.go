package oidc_test

import (
	"encoding/pem"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

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
