package oidc_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"shorepass/internal/secret"
	"shorepass/providers"
	"shorepass/providers/oidc"
	"shorepass/providers/oidc/oidctest"
)

// certificateOf returns a self-signed certificate of a key.
func certificateOf(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shorepass"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func pemOf(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// TestClientAssertion: the JWT that authenticates the client names the issuer as its only
// audience, and is another one for each request (RFC 7523, section 3).
func TestClientAssertion(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	certificate := certificateOf(t, rsaKey)
	sum := sha256.Sum256(certificate)
	certificatePEM := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
	const entra = "https://login.microsoftonline.com/7f3a1c5e-0000-4000-8000-000000000001/v2.0"
	i := oidctest.NewIssuer(t)
	for _, tt := range []struct {
		name       string
		key        crypto.Signer
		beside     string // PEM blocks after the key
		issuer     string // Default: that of the test issuer
		algorithms []string
		alg        string
		x5t        string
		audience   string
	}{
		{name: "RSA", key: rsaKey, alg: "RS256", audience: i.URL},
		{name: "RSA at a FAPI provider", key: rsaKey, algorithms: []string{"PS256", "ES256"}, alg: "PS256", audience: i.URL},
		{name: "RSA, listed", key: rsaKey, algorithms: []string{"PS256", "RS256"}, alg: "RS256", audience: i.URL},
		{name: "EC", key: ecKey(t), alg: "ES256", audience: i.URL},
		{name: "EC, P-384", key: p384, alg: "ES384", audience: i.URL},
		{name: "Ed25519", key: edKey, alg: "EdDSA", audience: i.URL},
		{name: "a certificate", key: rsaKey, beside: certificatePEM, alg: "RS256", x5t: base64.RawURLEncoding.EncodeToString(sum[:]), audience: i.URL},
		{name: "Entra ID", key: rsaKey, beside: certificatePEM, issuer: entra, alg: "PS256", x5t: base64.RawURLEncoding.EncodeToString(sum[:]), audience: i.URL + oidctest.TokenPath},
	} {
		file := filepath.Join(t.TempDir(), "client.pem")
		if err := os.WriteFile(file, append(pemOf(t, tt.key), tt.beside...), 0o600); err != nil {
			t.Fatal(err)
		}
		metadata := map[string]any{"token_endpoint_auth_signing_alg_values_supported": tt.algorithms}
		if tt.issuer != "" {
			metadata["issuer"] = tt.issuer
		}
		i.Replace(oidctest.DiscoveryPath, serveJSON(i.Metadata(metadata)))
		forms := make(chan url.Values, 8)
		record := func(w http.ResponseWriter, r *http.Request) {
			if err := r.ParseForm(); err != nil || r.Header.Get("Authorization") != "" {
				t.Errorf("%s: a request with Authorization %q, %v", tt.name, r.Header.Get("Authorization"), err)
			}
			forms <- r.PostForm
			w.WriteHeader(http.StatusBadRequest)
		}
		i.Replace(oidctest.TokenPath, record)
		i.Replace(oidctest.RevocationPath, record)
		p := newBrowserProvider(t, i.URL, func(c *oidc.Config) {
			c.ClientSecret, c.ClientKey, c.Grants = secret.Text{}, file, append(c.Grants, "password")
			if tt.issuer != "" {
				c.Issuer, c.Discovery = tt.issuer, i.URL
			}
		})
		_, _ = redeem(t.Context(), p, newRequest(), &url.URL{RawQuery: "code=c"})
		_, _ = p.Revalidate(t.Context(), &providers.Identity{RefreshToken: secret.New("r")})
		_, _ = authenticate(t.Context(), p, password("alice", "pw"))
		_ = p.Revoke(t.Context(), secret.New("r"))
		close(forms)
		seen := map[string]bool{}
		for form := range forms {
			if form.Get("client_id") != "page" || form.Has("client_secret") || form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
				t.Errorf("%s: form %v", tt.name, form)
			}
			jws, err := jose.ParseSignedCompact(form.Get("client_assertion"), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(tt.alg)})
			if err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			payload, err := jws.Verify(tt.key.Public())
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			header := jws.Signatures[0].Protected
			x5t, _ := header.ExtraHeaders["x5t#S256"].(string)
			if x5t != tt.x5t || (header.KeyID == "") != (tt.x5t != "") || header.ExtraHeaders["typ"] != "JWT" {
				t.Errorf("%s: header %+v", tt.name, header)
			}
			var claims struct {
				Iss, Sub, Jti, Aud string
				Iat, Exp           int64
			}
			if err := json.Unmarshal(payload, &claims); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
			if claims.Iss != "page" || claims.Sub != "page" || claims.Aud != tt.audience || seen[claims.Jti] || claims.Exp-claims.Iat != 60 {
				t.Errorf("%s: claims %s, want the audience %s", tt.name, payload, tt.audience)
			}
			seen[claims.Jti] = true
		}
		if len(seen) != 4 {
			t.Errorf("%s: %d assertions, want one in each of 4 requests", tt.name, len(seen))
		}
	}
}

// TestClientKeyFile: what a file of client_key must be, and that errors quote nothing of it.
func TestClientKeyFile(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key := ecKey(t)
	sec1, err := x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	for _, tt := range []struct {
		name, content string
		mode          os.FileMode
		want          string // "" for a good one
	}{
		{"PKCS#8", string(pemOf(t, key)), 0o600, ""},
		{"SEC1, after its parameters", block("EC PARAMETERS", []byte{6, 0}) + block("EC PRIVATE KEY", sec1), 0o600, ""},
		{"before its certificate and another one", string(pemOf(t, key)) + block("CERTIFICATE", certificateOf(t, key)) + block("CERTIFICATE", certificateOf(t, ecKey(t))), 0o600, ""},
		{"world-readable", string(pemOf(t, key)), 0o644, "chmod 600 it"},
		{"short", string(pemOf(t, short)), 0o600, "make an RSA key of 2048 bits or more"},
		{"another curve", string(pemOf(t, p224)), 0o600, "an EC key on P-256, P-384 or P-521"},
		{"encrypted", block("ENCRYPTED PRIVATE KEY", []byte("canary")), 0o600, "the key is encrypted"},
		{"malformed", block("PRIVATE KEY", []byte("canary")), 0o600, "the key cannot be read"},
		{"no key", block("CERTIFICATE", certificateOf(t, key)), 0o600, "holds no PEM private key"},
		{"another certificate", string(pemOf(t, key)) + block("CERTIFICATE", certificateOf(t, ecKey(t))), 0o600, "no certificate in it is that of its key"},
		{"a malformed certificate", string(pemOf(t, key)) + block("CERTIFICATE", []byte("canary")), 0o600, "a certificate cannot be read"},
		{"empty", "", 0o600, "holds no PEM private key"},
	} {
		file := filepath.Join(t.TempDir(), "client.pem")
		if err := os.WriteFile(file, []byte(tt.content), tt.mode); err != nil {
			t.Fatal(err)
		}
		cfg := oidc.Config{Issuer: "https://sso.corp.example", ClientID: "page", ClientKey: file, Grants: []string{"browser"}}.WithDefaults()
		switch _, err := oidc.New(cfg); {
		case (err == nil) != (tt.want == ""):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		case err != nil && (!strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "read client_key: ") || strings.Contains(err.Error(), "canary")):
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if _, err := oidc.New(oidc.Config{ClientKey: "/nowhere/client.pem"}.WithDefaults()); err == nil {
		t.Error("a missing file: no error")
	}
}

// TestClientKeyCommands: the commands of docs/providers.md make keys that are accepted.
func TestClientKeyCommands(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "**A key instead of a secret**")
	section, _, _ = strings.Cut(section, "\n## ")
	folder := t.TempDir()
	for _, m := range regexp.MustCompile(`(?m)^    (.*)$`).FindAllStringSubmatch(section, -1) {
		command := exec.Command("sh", "-c", m[1])
		command.Dir = folder
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", m[1], err, out)
		}
	}
	for name, want := range map[string]string{"sso.key": `{"keys":[{"use":"sig","kty":"EC","kid":"`, "sso-client.key": "of the certificate with the SHA-256 fingerprint "} {
		if got, err := oidc.DescribeClientKey(filepath.Join(folder, name)); err != nil || !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, want)
		}
	}
}
