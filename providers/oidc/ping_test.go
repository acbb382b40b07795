package oidc_test

import (
	"net/http"

	"slices"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
	"shorepass/providers/providertest"
)

func TestPing(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, nil)
	found, err := p.Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := found.String()
	for _, want := range []string{"discovery in", "keys: 1 (RS256)", "grant password: advertised", "grant refresh_token: advertised",
		"client registry: accepted (a made-up refresh token was refused: the token endpoint answered 400 invalid_grant)",
		"scope offline_access: requested", "revocation endpoint: " + op.Issuer, "write wrong_passwords = T-1"} {
		if !strings.Contains(text, want) {
			t.Errorf("Ping does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "warning") || len(found.Faults()) > 0 {
		t.Errorf("Ping warns:\n%s", text)
	}
}

func TestPingWarns(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{
		"grant_types_supported":                 []string{"authorization_code"},
		"id_token_signing_alg_values_supported": []string{"HS256"},
		"scopes_supported":                      []string{"openid", "email"},
	})))
	found, err := newProvider(t, i.URL, nil).Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := found.String()
	for _, want := range []string{
		"warning (grants): grant password is not advertised", "warning (grants): grant refresh_token is not advertised",
		`warning (scopes): the provider's scopes_supported lacks "profile"`,
		"fault (algorithms): the provider signs with", "warning (scopes): the session of a docker login may end after session.unchecked_lifetime: the provider's scopes_supported lacks",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("Ping does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, `lacks "email"`) {
		t.Errorf("Ping warns of a scope that is listed:\n%s", text)
	}
}

// TestPingIsBounded: texts of the metadata are truncated and quoted for the
// terminal and the log.
func TestPingIsBounded(t *testing.T) {
	i := oidctest.NewIssuer(t)
	long := "\x1b[31m\u202e" + strings.Repeat("x", 10_000)
	i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{
		"id_token_signing_alg_values_supported": slices.Repeat([]string{long}, 40),
		"userinfo_endpoint":                     i.URL + "/" + strings.Repeat("x", 10_000),
		"revocation_endpoint":                   "https://\u202eelsewhere.example/",
	})))
	i.AddKey("another")
	found, err := newProvider(t, i.URL, nil).Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := found.String()
	if len(text) > 10_000 || strings.ContainsAny(text, "\x1b\u202e") || !strings.Contains(text, "and 24 more") {
		t.Errorf("Ping says, in %d bytes, %.2000s", len(text), text)
	}
	for _, status := range []int{http.StatusOK, http.StatusTeapot} {
		for _, body := range []string{long, `{"issuer":"` + long[5:] + `"}`, `{"issuer":"https://evil.example"}`} {
			i.Replace(oidctest.DiscoveryPath, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				_, _ = w.Write([]byte(body))
			})
			found, err := newProvider(t, i.URL, nil).Ping(t.Context())
			if text := found.String(); err != nil || len(found.Faults()) != 1 || len(text) > 700 || strings.ContainsAny(text, "\x1b\u202e\n") {
				t.Errorf("%d %.100s: Ping = %v, %s", status, body, err, text)
			}
		}
	}
}

// TestPingChecksClient: a made-up refresh token shows whether the real provider
// accepts our client (D18). Ping in a loop sends it once.
func TestPingChecksClient(t *testing.T) {
	op := start(t, func(o *oidctest.Options) {
		o.Clients = append(o.Clients, oidctest.Client{ID: "public", Auth: "none"})
	})
	for _, tt := range []struct {
		name   string
		change func(*oidc.Config)
		want   string
	}{
		{"right", nil, "client registry: accepted"},
		{"password grant alone", func(c *oidc.Config) { c.Grants = []string{"password"} }, "client registry: accepted"},
		{"public", func(c *oidc.Config) { c.ClientID, c.ClientSecret = "public", secret.Text{} }, "client public: accepted"},
		{"wrong secret", func(c *oidc.Config) { c.ClientSecret = secret.New("wrong") }, "fault (client_secret): client registry: the provider refuses it: the token endpoint answered 401 invalid_client"},
		{"wrong secret in the form", func(c *oidc.Config) { c.ClientSecret, c.AuthStyle = secret.New("wrong"), "client_secret_post" }, "fault (client_secret): client registry: the provider refuses it"},
		{"unknown client", func(c *oidc.Config) { c.ClientID = "nowhere" }, "fault (client_secret): client nowhere: the provider refuses it"},
		{"unknown public client", func(c *oidc.Config) { c.ClientID, c.ClientSecret = "nowhere", secret.Text{} }, "fault (client_id): client nowhere: the provider refuses it"},
		{"without its secret", func(c *oidc.Config) { c.ClientSecret = secret.Text{} }, "fault (client_id): client registry: the provider refuses it"},
	} {
		p := newProvider(t, op.Issuer, tt.change)
		op.Reset()
		var text string
		for range 3 {
			found, err := p.Ping(t.Context())
			if err != nil {
				t.Fatalf("%s: Ping = %v", tt.name, err)
			}
			text = found.String()
		}
		if !strings.Contains(text, tt.want) {
			t.Errorf("%s: Ping does not say %q:\n%s", tt.name, tt.want, text)
		}
		if n := op.Requests("token"); n != 1 {
			t.Errorf("%s: %d token requests, want 1", tt.name, n)
		}
	}
	jobs := newCIProvider(t, op.Issuer, nil)
	op.Reset()
	if _, err := jobs.Ping(t.Context()); err != nil || op.Requests("token") != 0 {
		t.Errorf("with the grant id_token alone: Ping = %v, %d token requests, want none", err, op.Requests("token"))
	}
}

// TestClientCheckAnswers: what other providers answer to a made-up refresh token.
func TestClientCheckAnswers(t *testing.T) {
	i := oidctest.NewIssuer(t)
	both, passwords := []string{"password", "refresh_token"}, []string{"password"}
	for _, tt := range []struct {
		status    int
		challenge string // WWW-Authenticate
		body      string
		grants    []string
		want      string
	}{
		{400, "", `{"error":"invalid_request"}`, both, "client registry: accepted"}, // Dex
		{401, "", `{"error":"invalid_token"}`, both, "client registry: accepted"},   // the UAA
		{403, "", `{"error":"invalid_grant"}`, both, "client registry: accepted"},   // Auth0
		{400, "", ``, both, "client registry: accepted"},
		{401, `Basic realm="UAA/client"`, `{"error":"unauthorized"}`, both, "fault (client_secret): client registry: the provider refuses it"},
		{401, "", `{"error":"unauthorized_client"}`, both, "fault (client_secret): client registry: the provider refuses it"}, // Keycloak: a wrong secret
		{400, "", `{"error":"unauthorized_client"}`, both, "fault (client_id): client registry: the provider refuses it"},
		{400, "", `{"error":"unsupported_grant_type"}`, both, "fault (grants): client registry: the provider refuses it"},
		{400, "", `{"error":"unauthorized_client"}`, passwords, "client registry: not checked, since it may not use the grant refresh_token"},
		{400, "", `{"error":"unsupported_grant_type"}`, passwords, "client registry: not checked, since it may not use the grant refresh_token"},
		{401, "", `{"error":"unauthorized_client"}`, passwords, "fault (client_secret): client registry: the provider refuses it"},
		{401, "", `{"error":"access_denied"}`, both, "warning (client_secret): client registry: the provider seems to refuse it"}, // Auth0: a wrong secret
		{401, "", ``, both, "warning (client_secret): client registry: the provider seems to refuse it"},
		{429, "", `{"error":"invalid_client"}`, both, "warning: client registry: not checked"},
		{500, "", `{"error":"server_error"}`, both, "warning: client registry: not checked"},
		{200, "", `{"access_token":"x"}`, both, "warning: client registry: the provider accepted a refresh token that it never issued"},
	} {
		i.Replace(oidctest.TokenPath, func(w http.ResponseWriter, r *http.Request) {
			if tt.challenge != "" {
				w.Header().Set("WWW-Authenticate", tt.challenge)
			}
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		})
		found, err := newProvider(t, i.URL, func(c *oidc.Config) { c.Grants = tt.grants }).Ping(t.Context())
		if err != nil || !strings.Contains("\n"+found.String(), "\n"+tt.want) {
			t.Errorf("%d %s %s: Ping = %v, want %q:\n%s", tt.status, tt.challenge, tt.body, err, tt.want, found)
		}
	}
}

// TestPingNamesTheKey: each mistake is a fault with the key to change (D18).
func TestPingNamesTheKey(t *testing.T) {
	plain, https := oidctest.NewIssuer(t), oidctest.NewTLSIssuer(t)
	changed := func(changes map[string]any) string {
		i := oidctest.NewIssuer(t)
		i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(changes)))
		return i.URL
	}
	keys := func(h http.HandlerFunc) string {
		i := oidctest.NewIssuer(t)
		i.Replace(oidctest.KeysPath, h)
		return i.URL
	}
	clock := func(offset time.Duration) string {
		i := oidctest.NewIssuer(t)
		i.Replace(oidctest.DiscoveryPath, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", time.Now().Add(offset).UTC().Format(http.TimeFormat))
			serveJSON(i.Metadata(nil))(w, r)
		})
		return i.URL
	}
	for _, tt := range []struct {
		name, issuer string
		change       func(*oidc.Config)
		key, want    string
	}{
		{"untrusted certificate", https.URL, nil, "tls.ca", "signed by an unknown authority: name it in tls.ca"},
		{"wrong host", "https://sso.invalid", nil, "issuer", "https://sso.invalid/.well-known/openid-configuration: the host name cannot be resolved"},
		{"wrong port", "http://127.0.0.1:1", nil, "issuer", "connection refused"},
		{"http port by https", "https" + strings.TrimPrefix(plain.URL, "http"), nil, "issuer", "does not speak TLS there"},
		{"https port by http", "http" + strings.TrimPrefix(https.URL, "https"), nil, "issuer", "answered 400"},
		{"wrong path", plain.URL + "/realms/corp", nil, "issuer", "/realms/corp/.well-known/openid-configuration: the provider answered 404"},
		{"wrong discovery", plain.URL, func(c *oidc.Config) { c.Discovery = plain.URL + "/elsewhere" }, "discovery", "/elsewhere/.well-known/openid-configuration: the provider answered 404"},
		{"a slash too many", plain.URL + "/", nil, "issuer", "the document is that of the issuer \"" + plain.URL + "\": if that is your provider, write it as issuer, byte for byte"},
		{"not a discovery document", "", nil, "issuer", "is not a discovery document"},
		{"keys on another host", changed(map[string]any{"jwks_uri": "https://keys.corp.example/keys"}), nil, "hosts", `is on "keys.corp.example", another host than the issuer's: if that is right, add it to hosts`},
		{"keys missing", keys(http.NotFound), nil, "", "/keys: the provider answered 404"},
		{"keys empty", keys(serveJSON(map[string]any{"keys": []any{}})), nil, "", "the set is empty"},
		{"no key for algorithms", keys(serveJSON(map[string]any{"keys": []any{plain.JWK(oidctest.EC)}})), func(c *oidc.Config) { c.Algorithms = []string{"RS256"} }, "algorithms", `none of the provider's keys is for one of "RS256"`},
		{"token endpoint on another host", changed(map[string]any{"token_endpoint": "https://login.corp.example/token"}), nil, "hosts", "token_endpoint is on"},
		{"client authentication", changed(map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}), nil, "auth_style", "set auth_style"},
		{"algorithms", plain.URL, func(c *oidc.Config) { c.Algorithms = []string{"ES512"} }, "algorithms", "algorithms accepts none of these"},
		{"the provider's clock is ahead", clock(5 * time.Minute), nil, "", "the provider's clock is "},
		{"the provider's clock is behind", clock(-5 * time.Minute), nil, "", "the provider's clock is "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.issuer == "" {
				i := oidctest.NewIssuer(t)
				i.Replace(oidctest.DiscoveryPath, func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("<html>")) })
				tt.issuer = i.URL
			}
			chain, err := providers.NewChain([]providers.Member{{Provider: newProvider(t, tt.issuer, tt.change), Config: providers.Config{Name: "sso", Kind: "oidc"}.WithDefaults()}}, providertest.NewThrottle(), providers.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer chain.Close()
			found := chain.Ping(t.Context())[0].Findings
			ok := slices.ContainsFunc(found, func(f providers.Finding) bool {
				return f.Severity != providers.SeverityInfo && f.Key == tt.key && strings.Contains(f.Text, tt.want)
			})
			if !ok {
				t.Errorf("Ping does not name %q with %q:\n%s", tt.key, tt.want, found)
			}
		})
	}
}

// TestPingOfBrowser: what an operator reads before people sign in with browsers.
func TestPingOfBrowser(t *testing.T) {
	t.Parallel()
	file, keys := keyFile(t, ecKey(t))
	op := startForBrowsers(t, func(o *oidctest.Options) {
		o.RequirePAR = true
		byKey := page("key")
		byKey.Secret, byKey.Auth, byKey.Keys = "", "private_key_jwt", keys
		o.Clients = append(o.Clients, byKey)
	})
	found, err := newBrowserProvider(t, op.Issuer, func(c *oidc.Config) {
		c.ClientID, c.ClientSecret, c.ClientKey = "key", secret.Text{}, file
	}).Ping(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := found.String()
	for _, want := range []string{
		"grant browser: advertised", "client key: accepted (a made-up", `client key: to be registered at the provider: {"keys":[{"use":"sig","kty":"EC","kid":"` + keys[0]["kid"],
		"authorization endpoint: " + op.Issuer + "/auth", "the redirect URI /login/sso/callback", "the back-channel logout URI /logout/sso",
		"pushed to " + op.Issuer + "/request", "iss in its authorization responses: promised", "logout endpoint: " + op.Issuer + "/session/end",
		"back-channel logout: advertised", "scope offline_access: requested",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("Ping does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "warning") || len(found.Faults()) > 0 || strings.Contains(text, "wrong_passwords") {
		t.Errorf("Ping warns:\n%s", text)
	}

	i := oidctest.NewIssuer(t)
	for _, tt := range []struct {
		metadata map[string]any
		want     string
	}{
		{map[string]any{"authorization_endpoint": "https://evil.example/auth"}, `fault (hosts): the provider's authorization_endpoint is on "evil.example"`},
		{map[string]any{"authorization_endpoint": nil}, "fault: authorization_endpoint is not in the provider's discovery document"},
		{map[string]any{"response_types_supported": []string{"id_token"}}, "warning (grants): the provider's response_types_supported lacks"},
		{map[string]any{"code_challenge_methods_supported": []string{"plain"}}, "warning: PKCE: the provider's code_challenge_methods_supported lacks S256"},
		{nil, "PKCE: sent, and the provider does not say whether it checks it"},
		{map[string]any{"require_pushed_authorization_requests": true}, "fault: the provider demands pushed authorization requests: pushed_authorization_request_endpoint is not in"},
		{map[string]any{"end_session_endpoint": "https://evil.example/logout"}, "warning (hosts): logout endpoint: none"},
		{map[string]any{"grant_types_supported": []string{"implicit"}}, "warning (grants): grant browser is not advertised"},
		{nil, "back-channel logout: not advertised"},
		{map[string]any{"scopes_supported": []string{"openid"}}, `warning (scopes): the provider's scopes_supported lacks "profile"`},
	} {
		i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(tt.metadata)))
		found, err := newBrowserProvider(t, i.URL, nil).Ping(t.Context())
		if text := found.String(); err != nil || !strings.Contains(text, tt.want) {
			t.Errorf("%v: Ping = %v, want %q:\n%s", tt.metadata, err, tt.want, text)
		}
	}
}
