package registry

import (
	"crypto"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/quick"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

// newRootFiles makes a root in a temporary folder.
func newRootFiles(t testing.TB) (certFile, keyFile string) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "RootCA.crt"), filepath.Join(dir, "RootCA.key")
	if err := CreateRoot(certFile, keyFile); err != nil {
		t.Fatal(err)
	}
	return certFile, keyFile
}

// testConfig returns a configuration with one service and those files.
func testConfig(certFile, keyFile string) Config {
	return Config{Issuer: "gitlab-issuer", Services: []string{"container_registry"}, RootCertificate: certFile, RootKey: keyFile}.WithDefaults()
}

func newTestIssuer(t testing.TB, cfg Config, services ...Service) *Issuer {
	t.Helper()
	i, err := NewIssuer(cfg, services, func(err error) { t.Errorf("reported: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func mint(t testing.TB, i *Issuer, service, subject string, access ...Access) Token {
	t.Helper()
	token, err := i.Mint(service, subject, access, At(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// wireClaims are the claims as distribution 2.8 decodes them: one string for
// aud, whole numbers for times.
type wireClaims struct {
	Issuer     string    `json:"iss"`
	Subject    *string   `json:"sub"`
	Audience   string    `json:"aud"`
	Expiration int64     `json:"exp"`
	NotBefore  int64     `json:"nbf"`
	IssuedAt   int64     `json:"iat"`
	JWTID      string    `json:"jti"`
	Access     []*Access `json:"access"`
}

// decode returns the header and the claims, unverified.
func decode(t testing.TB, token Token) (header map[string]any, claims wireClaims) {
	t.Helper()
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 {
		t.Fatalf("token %q has %d parts", token.Reveal(), len(parts))
	}
	for i, into := range []any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		d := json.NewDecoder(strings.NewReader(string(text)))
		d.DisallowUnknownFields()
		if err := d.Decode(into); err != nil {
			t.Fatalf("decode %s: %v", text, err)
		}
	}
	return header, claims
}

// registryVerifies verifies a token as a distribution that trusts the
// certificates in bundle: the key comes from x5c, whose chain must end in the
// bundle, now and without leeway; golang-jwt verifies the signature.
func registryVerifies(token Token, bundle string) (*jwt.Token, error) {
	roots, err := readCertificates(bundle)
	if err != nil {
		return nil, err
	}
	return jwt.Parse(token.Reveal(), func(parsed *jwt.Token) (any, error) {
		sent, ok := parsed.Header["x5c"].([]any)
		if !ok || len(sent) == 0 {
			return nil, errors.New("no x5c")
		}
		var chain []*x509.Certificate
		for _, text := range sent {
			der, err := base64.StdEncoding.DecodeString(text.(string))
			if err != nil {
				return nil, err
			}
			c, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, err
			}
			chain = append(chain, c)
		}
		if _, err := verifyChain(chain, roots, time.Now()); err != nil {
			return nil, err
		}
		return chain[0].PublicKey, nil
	}, jwt.WithIssuer("gitlab-issuer"), jwt.WithAudience("container_registry"), jwt.WithExpirationRequired(), jwt.WithIssuedAt())
}

// keyVerifies verifies a token as zot does: with one key and no certificate.
func keyVerifies(token Token, key crypto.PublicKey) error {
	_, err := jwt.Parse(token.Reveal(), func(*jwt.Token) (any, error) { return key, nil }, jwt.WithIssuedAt())
	return err
}

// TestMint: a token has the header, the claims and the times that registries
// verify.
func TestMint(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	i := newTestIssuer(t, testConfig(certFile, keyFile))
	access := []Access{
		{Type: "repository", Name: "team-a/app", Actions: []string{"pull", "push"}},
		{Type: "repository", Class: "plugin", Name: "p", Actions: []string{"pull"}},
		{Type: "registry", Name: "catalog", Actions: []string{"*"}},
		{Type: "repository", Actions: []string{"pull"}}, // zot's catalog (E2)
	}
	before := time.Now()
	token := mint(t, i, "container_registry", "josé", access...)
	if _, err := registryVerifies(token, certFile); err != nil {
		t.Fatalf("a registry refuses the token: %v", err)
	}
	header, claims := decode(t, token)
	if len(header) != 3 || header["alg"] != "ES256" || header["typ"] != "JWT" || len(header["x5c"].([]any)) != 1 {
		t.Errorf("header = %v, want alg ES256, typ JWT and x5c with one certificate", header)
	}
	if claims.Issuer != "gitlab-issuer" || claims.Audience != "container_registry" || *claims.Subject != "josé" {
		t.Errorf("claims = %+v, want iss gitlab-issuer, aud container_registry, sub josé", claims)
	}
	for a, want := range access {
		if diff := cmp.Diff(want, *claims.Access[a]); diff != "" {
			t.Errorf("access[%d] (-want +got)\n%s", a, diff)
		}
	}
	if claims.JWTID == "" || claims.JWTID != token.ID {
		t.Errorf("jti = %q, Token.ID = %q, want the same", claims.JWTID, token.ID)
	}
	if begin := before.Add(-10 * time.Second).Unix(); claims.IssuedAt != claims.NotBefore || claims.IssuedAt < begin || claims.IssuedAt > begin+2 {
		t.Errorf("iat = %d, nbf = %d, want both backdated by ten seconds, %d", claims.IssuedAt, claims.NotBefore, begin)
	}
	if token.ExpiresIn != 5*time.Minute || claims.Expiration-claims.IssuedAt != 370 {
		t.Errorf("ExpiresIn = %v, exp = iat+%d, want 5m and iat+370", token.ExpiresIn, claims.Expiration-claims.IssuedAt)
	}
	if size := len(mint(t, i, "container_registry", "alice", access[:1]...).Reveal()); size > 1200 {
		t.Errorf("a token has %d bytes, want about 1,100", size)
	}
}

// TestMintWithoutAccessOrSubject: an empty access claim is a list and never
// null, on which a registry in Go panics, and an anonymous token has an empty
// sub.
func TestMintWithoutAccessOrSubject(t *testing.T) {
	i := newTestIssuer(t, testConfig(newRootFiles(t)))
	for _, access := range [][]Access{nil, {}, {{Type: "repository", Name: "a"}}} {
		token := mint(t, i, "container_registry", "", access...)
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(token.Reveal(), ".")[1])
		if err != nil || strings.Contains(string(text), "null") || !strings.Contains(string(text), `"sub":""`) {
			t.Errorf("claims for %v = %s, %v, want no null and an empty sub", access, text, err)
		}
	}
}

// TestTokenIDsAreUnique: no two tokens have the same jti.
func TestTokenIDsAreUnique(t *testing.T) {
	i := newTestIssuer(t, testConfig(newRootFiles(t)))
	seen := make(map[string]bool)
	for range 100 {
		seen[mint(t, i, "container_registry", "").ID] = true
	}
	if len(seen) != 100 {
		t.Errorf("100 tokens have %d IDs", len(seen))
	}
}

// TestClaimsAreJSON: encoding/json reads from the claims what it would read
// from its own encoding, whatever characters the names have.
func TestClaimsAreJSON(t *testing.T) {
	same := func(subject, id, kind, class, name string, actions []string) bool {
		s := newService(Config{Issuer: name}, Service{Name: kind})
		access := []Access{{Type: kind, Class: class, Name: name, Actions: append([]string{}, actions...)}}
		text := s.appendClaims(nil, tokenClaims{subject, time.Unix(1, 0), time.Unix(2, 0), id, access})
		std, err := json.Marshal(map[string]any{"iss": name, "aud": kind, "sub": subject, "jti": id, "iat": 1, "nbf": 1, "exp": 2, "access": access})
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Errorf("%s: %v", text, err)
			return false
		}
		if err := json.Unmarshal(std, &want); err != nil {
			t.Fatal(err)
		}
		diff := cmp.Diff(want, got)
		if diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
		return diff == ""
	}
	for _, name := range []string{"", "josé", "o(brien", `CN=Doe\, J`, `"`, `\`, "a\x00b", "\x7f", "\xff", "\u2028", "<a>&", "日本", "\n\t\r\b\f"} {
		same(name, name, name, name, name, []string{name, name})
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
}

// TestTokenIsNotPrinted: neither fmt nor JSON shows the token.
func TestTokenIsNotPrinted(t *testing.T) {
	token := mint(t, newTestIssuer(t, testConfig(newRootFiles(t))), "container_registry", "alice")
	asJSON, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(asJSON), fmt.Sprint(token), fmt.Sprintf("%v %+v %#v %s %q %x", token, token, token, token, token, token),
		fmt.Sprintf("%+v", struct{ Token Token }{token})} {
		if strings.Contains(text, token.Reveal()) || strings.Contains(text, strings.Split(token.Reveal(), ".")[2]) {
			t.Errorf("the token is in %q", text)
		}
	}
}

// TestClockSkew: a fresh token is valid for a registry whose clock is ten
// seconds behind (zot allows no leeway), and until the second that was
// announced.
func TestClockSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certFile, keyFile := newRootFiles(t)
		token := mint(t, newTestIssuer(t, testConfig(certFile, keyFile)), "container_registry", "alice")
		verifies := func(at time.Duration) bool {
			_, err := jwt.Parse(token.Reveal(), func(parsed *jwt.Token) (any, error) {
				der, err := base64.StdEncoding.DecodeString(parsed.Header["x5c"].([]any)[0].(string))
				if err != nil {
					return nil, err
				}
				c, err := x509.ParseCertificate(der)
				return c.PublicKey, err
			}, jwt.WithIssuedAt(), jwt.WithTimeFunc(func() time.Time { return time.Now().Add(at) }))
			return err == nil
		}
		for at, want := range map[time.Duration]bool{-11 * time.Second: false, -10 * time.Second: true, 0: true,
			token.ExpiresIn: true, token.ExpiresIn + 59*time.Second: true, token.ExpiresIn + time.Minute: false} {
			if got := verifies(at); got != want {
				t.Errorf("after %v the token is valid: %v, want %v", at, got, want)
			}
		}
	})
}
