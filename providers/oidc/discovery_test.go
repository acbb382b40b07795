package oidc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/internal/tlsconf"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// TestNewTouchesNoNetwork: New makes no request, nor do Lookup and an empty
// password.
func TestNewTouchesNoNetwork(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newProvider(t, i.URL, nil)
	p.TrustsIssuer(i.URL)
	p.Fingerprint()
	if _, err := authenticate(t.Context(), p, password("alice", "")); !errors.Is(err, providers.ErrRejected) {
		t.Errorf("Authenticate with an empty password = %v, want ErrRejected", err)
	}
	if account, err := p.Lookup(t.Context(), "alice"); err != nil || account.Subject != "" {
		t.Errorf("Lookup = %v, %v, want an account without a subject", account, err)
	}
	if n := i.Requests(oidctest.DiscoveryPath) + i.Requests(oidctest.TokenPath); n != 0 {
		t.Errorf("%d requests, want none", n)
	}
}

func TestDiscoveryRefused(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("request to the other host: %s", r.URL)
	}))
	defer elsewhere.Close()
	tests := []struct {
		name    string
		changes map[string]any
		want    string // in the error
	}{
		{"issuer with a slash", map[string]any{"issuer": "SLASH"}, "is that of the issuer"},
		{"issuer of another", map[string]any{"issuer": elsewhere.URL}, "is that of the issuer"},
		{"issuer missing", map[string]any{"issuer": nil}, "is that of the issuer"},
		{"token endpoint elsewhere", map[string]any{"token_endpoint": elsewhere.URL + "/token"}, "add it to hosts"},
		{"token endpoint by another scheme", map[string]any{"token_endpoint": "file:///etc/passwd"}, "is not a URL"},
		{"token endpoint gopher", map[string]any{"token_endpoint": "gopher://127.0.0.1/x"}, "is not https"},
		{"token endpoint with a user", map[string]any{"token_endpoint": "http://user@127.0.0.1/"}, "is not a URL"},
		{"token endpoint missing", map[string]any{"token_endpoint": nil}, "is not in the provider's discovery document"},
		{"token endpoint a number", map[string]any{"token_endpoint": 7}, "is not a URL"},
		{"only strange client authentication", map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}, "set auth_style"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := oidctest.NewIssuer(t)
			if tt.changes["issuer"] == "SLASH" {
				tt.changes["issuer"] = i.URL + "/"
			}
			i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(tt.changes)))
			_, err := authenticate(t.Context(), newProvider(t, i.URL, nil), password("alice", "pw"))
			if !isUnavailable(err) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Authenticate = %v, want unavailable with %q", err, tt.want)
			}
		})
	}
}

// TestDiscoveryWithOddMembers: members that are not needed, and members that are
// spelled in another case, make no provider unusable (D12).
func TestDiscoveryWithOddMembers(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{
		"Issuer": "https://evil.example", "ISSUER": 7, "Token_Endpoint": "https://evil.example/token", "JWKS_URI": nil,
		"authorization_endpoint": 7, "device_authorization_endpoint": []any{}, "claims_supported": "all",
		"scopes_supported": []any{"openid", 7, nil}, "grant_types_supported": "password", "userinfo_endpoint": nil,
		"token_endpoint_auth_methods_supported": nil, "id_token_signing_alg_values_supported": map[string]any{},
		"mtls_endpoint_aliases": []any{}, "revocation_endpoint": 7,
	})))
	i.Replace(oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": i.IDToken(nil)}))
	p := newProvider(t, i.URL, func(c *oidc.Config) { c.Users.Claim, c.Groups.Claim = "sub", "" })
	if id, err := authenticate(t.Context(), p, password("alice", "pw")); err != nil || id.User != "subject-1" {
		t.Errorf("Authenticate = %v, %v, want an identity", id, err)
	}
}

// TestDiscoveryElsewhere: the discovery document at another address than the
// issuer (D9).
func TestDiscoveryElsewhere(t *testing.T) {
	op := start(t, nil)
	inside := strings.Replace(op.Issuer, "127.0.0.1", "localhost", 1)
	p := newProvider(t, op.Issuer, func(c *oidc.Config) { c.Discovery = inside })
	id := login(t, p, offline("alice", "alice's pass"))
	if _, err := p.Revalidate(t.Context(), id); err != nil {
		t.Errorf("Revalidate = %v", err)
	}
	other := newProvider(t, "http://127.0.0.1:1/realms/corp", func(c *oidc.Config) { c.Discovery = inside })
	_, err := authenticate(t.Context(), other, password("alice", "alice's pass"))
	if want := "the document is that of the issuer \"" + op.Issuer + "\": if that is your provider, write it as issuer"; !isUnavailable(err) || !strings.Contains(err.Error(), want) || providers.KeyOf(err) != "issuer" {
		t.Errorf("another issuer: Authenticate = %v (%s), want %q", err, providers.KeyOf(err), want)
	}

	// The endpoints may be on the discovery's host, on the issuer's, and on hosts.
	i := oidctest.NewIssuer(t)
	const issuer = "https://sso.corp.example"
	token := i.IDToken(map[string]any{"iss": issuer})
	for _, tt := range []struct {
		keys  string // jwks_uri
		hosts []string
		want  string // in the error
	}{
		{i.URL + oidctest.KeysPath, nil, ""},
		{"http://sso.corp.example/keys", nil, "is not https"},
		{strings.Replace(i.URL, "127.0.0.1", "127.0.0.2", 1) + "/keys", nil, "is not https"},
		{"https://keys.corp.example/keys", nil, "add it to hosts"},
		{"https://keys.corp.example/keys", []string{"keys.corp.example"}, "the host name cannot be resolved"},
	} {
		i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"issuer": issuer, "jwks_uri": tt.keys})))
		p := newCIProvider(t, issuer, func(c *oidc.Config) { c.Discovery, c.Hosts = i.URL+"/", tt.hosts })
		_, err := present(p, t, token)
		if tt.want == "" && err != nil || tt.want != "" && (!isUnavailable(err) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("jwks_uri %s: VerifyIDToken = %v, want %q", tt.keys, err, tt.want)
		}
	}
}

// TestClientCertificateUsesAliases: a client with a certificate sends its
// requests to mtls_endpoint_aliases (RFC 8705, section 5), which must be on
// trusted hosts too (D5).
func TestClientCertificateUsesAliases(t *testing.T) {
	i := oidctest.NewTLSIssuer(t)
	mutual := httptest.NewUnstartedServer(i)
	mutual.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	mutual.StartTLS()
	t.Cleanup(mutual.Close)
	i.Replace("/mtls"+oidctest.TokenPath, serveJSON(map[string]any{"access_token": "x", "refresh_token": "r", "token_type": "Bearer"}))
	i.Replace("/mtls"+oidctest.UserinfoPath, serveJSON(map[string]any{"sub": "subject-1"}))
	i.Replace("/mtls"+oidctest.RevocationPath, func(http.ResponseWriter, *http.Request) {})
	i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"mtls_endpoint_aliases": map[string]any{
		"token_endpoint":      mutual.URL + "/mtls" + oidctest.TokenPath,
		"userinfo_endpoint":   mutual.URL + "/mtls" + oidctest.UserinfoPath,
		"revocation_endpoint": mutual.URL + "/mtls" + oidctest.RevocationPath,
	}})))
	ca, key := clientCertificate(t, i.Server.Certificate())
	with := func(hosts ...string) *oidc.Provider {
		return newProvider(t, i.URL, func(c *oidc.Config) {
			c.ClientSecret, c.Users.Claim, c.Groups.Claim = secret.Text{}, "sub", ""
			c.TLS, c.Hosts = tlsconf.Config{CA: ca, Certificate: ca, Key: key}, hosts
		})
	}
	if _, err := authenticate(t.Context(), with(), password("alice", "pw")); !isUnavailable(err) || !strings.Contains(err.Error(), "mtls_endpoint_aliases.token_endpoint is on") || providers.KeyOf(err) != "hosts" {
		t.Errorf("an alias on another host: Authenticate = %v, want a hint at hosts", err)
	}
	without := newProvider(t, mutual.URL, func(c *oidc.Config) { c.TLS.CA = ca })
	if _, err := authenticate(t.Context(), without, password("alice", "pw")); !isUnavailable(err) || providers.KeyOf(err) != "tls.certificate" {
		t.Errorf("without the certificate: Authenticate = %v (%s), want tls.certificate", err, providers.KeyOf(err))
	}
	p := with(strings.TrimPrefix(mutual.URL, "https://"))
	id := login(t, p, offline("alice", "pw"))
	if err := p.Revoke(t.Context(), id.RefreshToken); err != nil {
		t.Error(err)
	}
	for path, want := range map[string]int{oidctest.TokenPath: 1, oidctest.UserinfoPath: 1, oidctest.RevocationPath: 1} {
		if n := i.Requests("/mtls" + path); n != want || i.Requests(path) != 0 {
			t.Errorf("%s: %d requests to the alias and %d to the endpoint, want %d and none", path, n, i.Requests(path), want)
		}
	}
}

// clientCertificate writes a PEM file with a new client certificate and the
// server's, and one with its key.
func clientCertificate(t *testing.T, server *x509.Certificate) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var certs []byte
	for _, der := range [][]byte{cert, server.Raw} {
		certs = append(certs, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	dir := t.TempDir()
	for name, text := range map[string][]byte{"cert.pem": certs, "key.pem": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

// TestKeysOnAnotherHost: jwks_uri must be on the issuer's host or one of hosts,
// as the token endpoint.
func TestKeysOnAnotherHost(t *testing.T) {
	i, other := oidctest.NewIssuer(t), oidctest.NewIssuer(t)
	i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"jwks_uri": other.URL + oidctest.KeysPath})))
	token := other.IDToken(map[string]any{"iss": i.URL})
	if _, err := present(newCIProvider(t, i.URL, nil), t, token); !isUnavailable(err) {
		t.Errorf("Authenticate = %v, want unavailable", err)
	}
	if n := other.Requests(oidctest.KeysPath); n != 0 {
		t.Errorf("keys were read from another host %d times", n)
	}
	named := newCIProvider(t, i.URL, func(c *oidc.Config) { c.Hosts = []string{strings.TrimPrefix(other.URL, "http://")} })
	if _, err := present(named, t, token); err != nil {
		t.Errorf("Authenticate with that host in hosts = %v, want an identity", err)
	}
}

// TestFailedDiscoveryIsCached: during an outage logins do not each send a
// request, and after it the provider recovers by itself.
func TestFailedDiscoveryIsCached(t *testing.T) {
	i := oidctest.NewIssuer(t)
	i.Replace(oidctest.DiscoveryPath, func(w http.ResponseWriter, r *http.Request) { http.Error(w, "down", 500) })
	p := newCIProvider(t, i.URL, nil)
	token := i.IDToken(nil)
	begun := time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := present(p, t, token); !isUnavailable(err) {
				t.Errorf("Authenticate = %v, want unavailable", err)
			}
		})
	}
	wg.Wait()
	if n := i.Requests(oidctest.DiscoveryPath); n > 1+int(time.Since(begun)/time.Second) {
		t.Errorf("%d discovery requests for 50 concurrent logins", n)
	}
	i.Replace(oidctest.DiscoveryPath, nil)
	time.Sleep(1100 * time.Millisecond)
	for range 50 {
		wg.Go(func() {
			if _, err := present(p, t, token); err != nil {
				t.Errorf("Authenticate after the provider came back = %v", err)
			}
		})
	}
	wg.Wait()
	if n := i.Requests(oidctest.KeysPath); n != 1 {
		t.Errorf("%d requests for keys for 50 concurrent logins, want one", n)
	}
}

// TestCanceledDiscoveryIsNotCached: a client that disconnects is no failure of
// the provider.
func TestCanceledDiscoveryIsNotCached(t *testing.T) {
	i := oidctest.NewIssuer(t)
	p := newCIProvider(t, i.URL, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	token := secret.New(i.IDToken(nil))
	if _, err := p.VerifyIDToken(ctx, token); !isUnavailable(err) {
		t.Errorf("Authenticate with a canceled context = %v, want unavailable", err)
	}
	if _, err := p.VerifyIDToken(t.Context(), token); err != nil {
		t.Errorf("Authenticate right after = %v, want an identity", err)
	}
}

func TestTLS(t *testing.T) {
	i := oidctest.NewTLSIssuer(t)
	if _, err := present(newCIProvider(t, i.URL, nil), t, i.IDToken(nil)); !isUnavailable(err) {
		t.Errorf("unknown authority: Authenticate = %v, want unavailable", err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.Server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := present(newCIProvider(t, i.URL, func(c *oidc.Config) { c.TLS.CA = file }), t, i.IDToken(nil)); err != nil {
		t.Errorf("authority in tls.ca: Authenticate = %v, want an identity", err)
	}
	wrongName := newCIProvider(t, i.URL, func(c *oidc.Config) { c.TLS.CA, c.TLS.ServerName = file, "sso.corp.test" })
	if _, err := present(wrongName, t, i.IDToken(nil)); !isUnavailable(err) {
		t.Errorf("another name: Authenticate = %v, want unavailable", err)
	}
	// An https issuer must not have a plain endpoint.
	i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(map[string]any{"jwks_uri": "http" + strings.TrimPrefix(i.URL, "https") + oidctest.KeysPath})))
	if _, err := present(newCIProvider(t, i.URL, func(c *oidc.Config) { c.TLS.CA = file }), t, i.IDToken(nil)); !isUnavailable(err) || !strings.Contains(err.Error(), "is not https") {
		t.Errorf("plain keys of an https issuer: Authenticate = %v, want an error that says so", err)
	}
	if _, err := oidc.New(oidc.Config{TLS: tlsconf.Config{CA: file + ".missing"}, Users: oidc.Users{Claim: "sub"}}); err == nil {
		t.Error("New with a missing tls.ca = nil, want an error")
	}
}

func TestStart(t *testing.T) {
	op := start(t, nil)
	p := newProvider(t, op.Issuer, nil)
	p.Start(t.Context())
	deadline := time.Now().Add(30 * time.Second)
	for op.Requests("jwks") == 0 && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
	}
	login(t, p, password("bob", "bobpw"))
	if d, k := op.Requests("discovery"), op.Requests("jwks"); d != 1 || k != 1 {
		t.Errorf("discovery %d and keys %d times, want once each, in the background", d, k)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestFingerprint(t *testing.T) {
	a := newProvider(t, "https://sso.corp.example", nil)
	seen := map[string]bool{a.Fingerprint(): true}
	for _, b := range []*oidc.Provider{
		newProvider(t, "https://sso.corp.example/", nil),
		newProvider(t, "https://sso.corp.example", func(c *oidc.Config) { c.ClientID = "other" }),
		newProvider(t, "https://sso.corp.example", func(c *oidc.Config) { c.Subject = []string{"oid"} }),
	} {
		if seen[b.Fingerprint()] {
			t.Errorf("Fingerprint %q twice", b.Fingerprint())
		}
		seen[b.Fingerprint()] = true
	}
	if b := newProvider(t, "https://sso.corp.example", func(c *oidc.Config) { c.Users.Claim = "email" }); b.Fingerprint() != a.Fingerprint() {
		t.Error("another user claim changed the fingerprint")
	}
}
