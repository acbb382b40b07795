package registry

import (
	"crypto"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// forgedToken is a token made without the Issuer.
type forgedToken struct {
	method jwt.SigningMethod
	key    any
	header map[string]any
	claims map[string]any
}

func (f forgedToken) sign(t testing.TB) string {
	t.Helper()
	token := jwt.NewWithClaims(f.method, jwt.MapClaims(f.claims))
	for name, value := range f.header {
		token.Header[name] = value
	}
	raw, err := token.SignedString(f.key)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// goodClaims are the claims of a valid token of testConfig, with changes: nil
// deletes a claim.
func goodClaims(changes map[string]any) map[string]any {
	now := time.Now().Unix()
	claims := map[string]any{
		"iss": "gitlab-issuer", "aud": "container_registry", "sub": "alice", "jti": "x",
		"iat": now - 10, "nbf": now - 10, "exp": now + 360, "access": []any{},
	}
	for name, value := range changes {
		if value == nil {
			delete(claims, name)
			continue
		}
		claims[name] = value
	}
	return claims
}

// x5c returns a header with that member.
func x5c(certificates ...*x509.Certificate) map[string]any {
	var sent []string
	for _, c := range certificates {
		sent = append(sent, base64.StdEncoding.EncodeToString(c.Raw))
	}
	return map[string]any{"x5c": sent}
}

// TestVerify: the tokens of each way of signing are valid here and at a replica
// of the same configuration, and nowhere else.
func TestVerify(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	a := newAuthority(t)
	a.put(t, a.leaf(t, time.Hour))
	rootless := a.config()
	rootless.RootCertificate = ""
	rsaCert, rsaKey := writeKeyPair(t, issue(t, ca("root"), newRSAKey(t), nil))
	ended := &x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	endedCert, endedKey := writeKeyPair(t, issue(t, ended, newEdKey(t), nil))
	signing := func(certFile, keyFile, how string) Config {
		cfg := testConfig(certFile, keyFile)
		cfg.Signing = how
		return cfg
	}
	stranger := newTestIssuer(t, testConfig(newRootFiles(t)))
	for name, cfg := range map[string]Config{
		"x5c":                    testConfig(certFile, keyFile),
		"x5c, RSA root":          testConfig(rsaCert, rsaKey),
		"given leaf":             a.config(),
		"given leaf, no root":    rootless,
		"kid":                    signing(certFile, keyFile, SigningKID),
		"kid, RSA":               signing(rsaCert, rsaKey, SigningKID),
		"libtrust":               signing(certFile, keyFile, SigningLibtrust),
		"libtrust, RSA":          signing(rsaCert, rsaKey, SigningLibtrust),
		"kid, certificate ended": signing(endedCert, endedKey, SigningKID),
	} {
		i, replica := newTestIssuer(t, cfg), newTestIssuer(t, cfg)
		for _, subject := range []string{"josé", ""} {
			token := mint(t, i, "container_registry", subject, Access{Type: "repository", Name: "a", Actions: []string{"pull"}})
			for who, i := range map[string]*Issuer{"itself": i, "a replica": replica} {
				claims, err := i.Verify(token.Reveal(), time.Now())
				want := Claims{Service: "container_registry", Issuer: "gitlab-issuer", Subject: subject, ID: token.ID}
				if lives := claims.Expires.Sub(claims.IssuedAt); lives != backdate+token.ExpiresIn+expiryMargin {
					t.Errorf("%s, %s: the token lives for %v by its claims", name, who, lives)
				}
				claims.IssuedAt, claims.Expires = time.Time{}, time.Time{}
				if claims != want || err != nil {
					t.Errorf("%s, %s: Verify = %+v, %v, want %+v", name, who, claims, err, want)
				}
			}
			if claims, err := stranger.Verify(token.Reveal(), time.Now()); claims != (Claims{}) || !errors.Is(err, ErrNotOurToken) {
				t.Errorf("%s, another root: Verify = %+v, %v, want ErrNotOurToken", name, claims, err)
			}
		}
	}
}

// TestVerifyServices: each service's tokens are verified in its own way of
// signing, and those of a disabled service are refused.
func TestVerifyServices(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	otherCert, otherKey := newRootFiles(t)
	cfg := testConfig(certFile, keyFile)
	cfg.Services = []string{"off", "x5c", "kid", "libtrust", "other"}
	services := []Service{
		{Name: "kid", Signing: SigningKID},
		{Name: "libtrust", Signing: SigningLibtrust, Issuer: "another-issuer"},
		{Name: "other", RootCertificate: otherCert, RootKey: otherKey},
	}
	before := newTestIssuer(t, cfg, services...)
	i := newTestIssuer(t, cfg, append(services, Service{Name: "off", Disabled: true})...)
	for _, name := range cfg.Services {
		claims, err := i.Verify(mint(t, before, name, "alice").Reveal(), time.Now())
		if name == "off" {
			if !errors.Is(err, ErrNotOurToken) {
				t.Errorf("Verify of a token for a disabled service: %v, want ErrNotOurToken", err)
			}
		} else if claims.Service != name || err != nil {
			t.Errorf("Verify of a token for %s = %+v, %v", name, claims, err)
		}
	}
	if before.FirstService() != "off" || i.FirstService() != "x5c" {
		t.Errorf("FirstService = %q, and %q after off was disabled; want off and x5c", before.FirstService(), i.FirstService())
	}
}

// TestVerifyForged: a token is refused unless a key of ours signed it, with the
// algorithm of that key, for one of our services and for now.
func TestVerifyForged(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	root, err := readKeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	kidCfg := testConfig(certFile, keyFile)
	kidCfg.Signing = SigningKID
	byLeaf, byKID := newTestIssuer(t, testConfig(certFile, keyFile)), newTestIssuer(t, kidCfg)
	real := mint(t, byLeaf, "container_registry", "alice")
	realLeaf := leafOf(t, real)
	kid, err := thumbprint(root.key.Public())
	if err != nil {
		t.Fatal(err)
	}

	leaf := issue(t, &x509.Certificate{}, newECKey(t, elliptic.P256()), root) // certified by our root: valid
	ended := issue(t, &x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Second)}, leaf.key, root)
	toCome := issue(t, &x509.Certificate{NotBefore: time.Now().Add(30 * time.Second)}, leaf.key, root)
	thief := newECKey(t, elliptic.P256())
	self := issue(t, ca("shorepass token root"), thief, nil)
	strange := issue(t, &x509.Certificate{}, thief, self)
	subject := *root.certificate // for a root of the same name, key identifier and serial number
	namesake := issue(t, &x509.Certificate{RawSubject: subject.RawSubject, SubjectKeyId: subject.SubjectKeyId, SerialNumber: subject.SerialNumber, BasicConstraintsValid: true, IsCA: true}, thief, nil)
	below := issue(t, &x509.Certificate{}, thief, &keyPair{certificate: leaf.certificate, key: leaf.key}) // a leaf is not a CA
	es := jwt.SigningMethodES256
	now := time.Now().Unix()
	publicDER, err := x509.MarshalPKIXPublicKey(root.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	jwkOf := func(key crypto.Signer) map[string]any {
		k, err := newJWK(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		return map[string]any{"kty": k.Kty, "crv": k.Crv, "x": k.X, "y": k.Y}
	}

	type row struct {
		name  string
		at    *Issuer
		token string
	}
	forged := func(name string, at *Issuer, method jwt.SigningMethod, key any, header, changes map[string]any) row {
		return row{name, at, forgedToken{method, key, header, goodClaims(changes)}.sign(t)}
	}
	claims := func(name string, changes map[string]any) row {
		return forged(name, byLeaf, es, leaf.key, x5c(leaf.certificate), changes)
	}
	parts := strings.Split(real.Reveal(), ".")
	last := parts[2][len(parts[2])-1]

	// The same without a fault is valid, or the rows below would show nothing.
	for _, good := range []row{
		claims("a leaf of our root", nil),
		claims("within the leeway", map[string]any{"exp": now - 30, "nbf": now + 30}),
		forged("a leaf with its root", byLeaf, es, leaf.key, x5c(leaf.certificate, root.certificate), nil),
		forged("our own key", byKID, es, root.key, map[string]any{"kid": kid}, nil),
		forged("our own key without a kid", byKID, es, root.key, nil, nil),
	} {
		if _, err := good.at.Verify(good.token, time.Now()); err != nil {
			t.Errorf("%s: Verify: %v, want no error", good.name, err)
		}
	}

	for _, test := range []row{
		forged("self-signed", byLeaf, es, thief, x5c(self.certificate), nil),
		forged("under another root", byLeaf, es, thief, x5c(strange.certificate, self.certificate), nil),
		forged("under a root of our root's name", byLeaf, es, thief, x5c(namesake.certificate), nil),
		forged("under a leaf", byLeaf, es, thief, x5c(below.certificate, leaf.certificate), nil),
		forged("our leaf, another key", byLeaf, es, thief, x5c(realLeaf), nil),
		forged("two certificates, a stranger's first", byLeaf, es, thief, x5c(strange.certificate, realLeaf), nil),
		forged("two certificates, ours first", byLeaf, es, thief, x5c(realLeaf, strange.certificate), nil),
		forged("our root, another key", byLeaf, es, thief, x5c(root.certificate), nil),
		forged("an expired leaf", byLeaf, es, leaf.key, x5c(ended.certificate), nil),
		forged("a leaf that is not valid yet", byLeaf, es, leaf.key, x5c(toCome.certificate), nil),
		forged("no x5c", byLeaf, es, leaf.key, nil, nil),
		forged("the root's key without x5c", byLeaf, es, root.key, map[string]any{"kid": kid}, nil),
		forged("an empty x5c", byLeaf, es, leaf.key, map[string]any{"x5c": []string{}}, nil),
		forged("x5c is null", byLeaf, es, leaf.key, map[string]any{"x5c": nil}, nil),
		forged("x5c is a string", byLeaf, es, leaf.key, map[string]any{"x5c": base64.StdEncoding.EncodeToString(leaf.certificate.Raw)}, nil),
		forged("x5c holds a number", byLeaf, es, leaf.key, map[string]any{"x5c": []int{1}}, nil),
		forged("x5c holds no base64", byLeaf, es, leaf.key, map[string]any{"x5c": []string{"!"}}, nil),
		forged("x5c holds no certificate", byLeaf, es, leaf.key, map[string]any{"x5c": []string{"AAAA"}}, nil),

		forged("embedded jwk", byLeaf, es, thief, map[string]any{"jwk": jwkOf(thief)}, nil),
		forged("embedded jwk with our leaf", byLeaf, es, thief, map[string]any{"jwk": jwkOf(thief), "x5c": x5c(realLeaf)["x5c"]}, nil),
		forged("embedded jwk with our kid", byKID, es, thief, map[string]any{"jwk": jwkOf(thief), "kid": kid}, nil),
		forged("jku, x5u and a kid that is a path", byKID, es, thief, map[string]any{"jku": "https://thief.example/", "x5u": "https://thief.example/", "kid": "../../dev/null"}, nil),
		forged("a stranger's certificate, signing = kid", byKID, es, thief, x5c(self.certificate), nil),
		forged("a leaf of our root, signing = kid", byKID, es, leaf.key, x5c(leaf.certificate), nil),

		forged("alg none", byKID, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, map[string]any{"kid": kid}, nil),
		forged("alg none with our leaf", byLeaf, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, x5c(realLeaf), nil),
		forged("HS256 with the public key", byKID, jwt.SigningMethodHS256, publicDER, map[string]any{"kid": kid}, nil),
		forged("HS256 with the certificate", byLeaf, jwt.SigningMethodHS256, realLeaf.Raw, x5c(realLeaf), nil),
		forged("HS256 with an empty key", byLeaf, jwt.SigningMethodHS256, []byte{}, x5c(realLeaf), nil),
		forged("an alg other than the signature's", byLeaf, es, leaf.key, map[string]any{"alg": "ES384", "x5c": x5c(leaf.certificate)["x5c"]}, nil),
		forged("no alg", byLeaf, es, leaf.key, map[string]any{"alg": "", "x5c": x5c(leaf.certificate)["x5c"]}, nil),

		claims("another aud", map[string]any{"aud": "other"}),
		claims("no aud", map[string]any{"aud": nil}),
		claims("an empty aud", map[string]any{"aud": ""}),
		claims("several aud", map[string]any{"aud": []string{"container_registry", "other"}}),
		claims("aud is a number", map[string]any{"aud": 1}),
		claims("another iss", map[string]any{"iss": "gitlab-issuer/"}),
		claims("no iss", map[string]any{"iss": nil}),
		claims("expired", map[string]any{"exp": now - 61}),
		claims("no exp", map[string]any{"exp": nil}),
		claims("nbf in the future", map[string]any{"nbf": now + 120}),
		claims("no nbf", map[string]any{"nbf": nil}),

		{"an empty text", byLeaf, ""},
		{"a refresh token", byLeaf, "sp_r_AAAA"},
		{"dots alone", byLeaf, strings.Repeat(".", maxToken)},
		{"too long", byLeaf, real.Reveal() + strings.Repeat("A", maxToken)},
		{"truncated", byLeaf, real.Reveal()[:len(real.Reveal())-1]},
		{"without a signature", byLeaf, parts[0] + "." + parts[1] + "."},
		{"without the last part", byLeaf, parts[0] + "." + parts[1]},
		{"with a fourth part", byLeaf, real.Reveal() + ".x"},
		{"other claims under a valid signature", byLeaf, parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"gitlab-issuer","aud":"container_registry","exp":9999999999,"nbf":1}`)) + "." + parts[2]},
		{"a changed padding bit of the signature", byLeaf, parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + string(last+1)},
		{"padded", byLeaf, real.Reveal() + "="},
		{"with a blank", byLeaf, " " + real.Reveal()},
	} {
		claims, err := test.at.Verify(test.token, time.Now())
		if claims != (Claims{}) || !errors.Is(err, ErrNotOurToken) {
			t.Errorf("%s: Verify = %+v, %v, want ErrNotOurToken", test.name, claims, err)
			continue
		}
		if len(test.token) > 20 && strings.Contains(err.Error(), test.token[:20]) {
			t.Errorf("%s: the error quotes the token: %v", test.name, err)
		}
	}
}

// TestVerifyRefusesHMACAsES256: an HMAC with the header as its key, under the name of an
// algorithm in use, is refused.
func TestVerifyRefusesHMACAsES256(t *testing.T) {
	i := newTestIssuer(t, testConfig(newRootFiles(t)))
	parts := strings.Split(mint(t, i, "container_registry", "alice").Reveal(), ".")
	mac := hmac.New(sha256.New, []byte(parts[0]))
	mac.Write([]byte(parts[0] + "." + parts[1]))
	token := parts[0] + "." + parts[1] + "." + base64.RawURLEncoding.EncodeToString(append(mac.Sum(nil), mac.Sum(nil)...))
	if _, err := i.Verify(token, time.Now()); !errors.Is(err, ErrNotOurToken) {
		t.Errorf("Verify: %v, want ErrNotOurToken", err)
	}
}

// TestVerifyIgnoresSentIntermediates: the intermediates between a leaf and its
// root are those known here. A registry takes them from x5c; but a stranger
// could send an RSA key so long that one verification takes seconds (1.2 s with
// 100,000 bits).
func TestVerifyIgnoresSentIntermediates(t *testing.T) {
	a := newAuthority(t)
	a.put(t, a.leaf(t, time.Hour))
	i := newTestIssuer(t, a.config())
	other := *a
	other.middle = issue(t, ca("other"), newECKey(t, elliptic.P256()), a.root)
	for name, test := range map[string]struct {
		by   *testAuthority
		good bool
	}{"known": {a, true}, "sent in x5c": {&other, false}} {
		leaf := test.by.leaf(t, time.Hour)
		token := forgedToken{jwt.SigningMethodES256, leaf.key, x5c(leaf.certificate, test.by.middle.certificate), goodClaims(nil)}.sign(t)
		if _, err := i.Verify(token, time.Now()); (err == nil) != test.good {
			t.Errorf("%s: Verify: %v, want an error: %v", name, err, !test.good)
		}
	}
}

// TestVerifyReloadingLeaf: tokens of a replaced leaf are valid if the root is
// configured, and until the leaf expires.
func TestVerifyReloadingLeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAuthority(t)
		first, second := a.leaf(t, time.Hour), a.leaf(t, 2*time.Hour)
		a.put(t, first)
		rootless := a.config()
		rootless.RootCertificate = ""
		i, alone := newTestIssuer(t, a.config()), newTestIssuer(t, rootless)
		token := mint(t, i, "container_registry", "alice")
		a.put(t, second)
		time.Sleep(pollInterval)
		if _, err := i.Verify(token.Reveal(), time.Now()); err != nil {
			t.Errorf("a replaced leaf, its root configured: Verify: %v", err)
		}
		if _, err := alone.Verify(token.Reveal(), time.Now()); !errors.Is(err, ErrNotOurToken) {
			t.Errorf("a replaced leaf, no root configured: Verify: %v, want ErrNotOurToken", err)
		}
		if _, err := alone.Verify(mint(t, i, "container_registry", "alice").Reveal(), time.Now()); err != nil {
			t.Errorf("the current leaf, no root configured: Verify: %v", err)
		}
		time.Sleep(2 * time.Hour)
		late := forgedToken{jwt.SigningMethodES256, second.key, x5c(second.certificate), goodClaims(nil)}.sign(t)
		for name, i := range map[string]*Issuer{"root configured": i, "no root configured": alone} {
			if _, err := i.Verify(late, time.Now()); !errors.Is(err, ErrNotOurToken) {
				t.Errorf("an expired leaf, %s: Verify: %v, want ErrNotOurToken", name, err)
			}
		}
	})
}

// TestVerifyUntilExpiry: a token is valid until it expires, with the leeway of
// distribution, and across the rotation of leaves.
func TestVerifyUntilExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newTestIssuer(t, testConfig(newRootFiles(t)))
		time.Sleep(leafRotation - time.Minute)
		token := mint(t, i, "container_registry", "alice")
		time.Sleep(2 * time.Minute)
		mint(t, i, "container_registry", "alice") // by the next leaf
		if _, err := i.Verify(token.Reveal(), time.Now()); err != nil {
			t.Errorf("after the rotation: Verify: %v", err)
		}
		time.Sleep(token.ExpiresIn + expiryMargin + leeway - 2*time.Minute - time.Second)
		if _, err := i.Verify(token.Reveal(), time.Now()); err != nil {
			t.Errorf("a second before expiry: Verify: %v", err)
		}
		time.Sleep(2 * time.Second)
		if _, err := i.Verify(token.Reveal(), time.Now()); !errors.Is(err, ErrNotOurToken) {
			t.Errorf("after expiry: Verify: %v, want ErrNotOurToken", err)
		}
	})
}

// FuzzVerify: a token that we did not sign is refused.
func FuzzVerify(f *testing.F) {
	cfg := testConfig(newRootFiles(f))
	cfg.Services = append(cfg.Services, "zot")
	i := newTestIssuer(f, cfg, Service{Name: "zot", Signing: SigningKID})
	f.Add(`{"alg":"none"}`, `{"iss":"gitlab-issuer","aud":"zot","exp":9999999999,"nbf":1}`, "")
	f.Add(`{"alg":"ES256","x5c":["MII="]}`, `{"iss":"gitlab-issuer","aud":["container_registry"],"exp":9e9,"nbf":0}`, "x")
	f.Fuzz(func(t *testing.T, header, claims, signature string) {
		encode := base64.RawURLEncoding.EncodeToString
		token := encode([]byte(header)) + "." + encode([]byte(claims)) + "." + encode([]byte(signature))
		if claims, err := i.Verify(token, time.Now()); claims != (Claims{}) || !errors.Is(err, ErrNotOurToken) {
			t.Errorf("Verify(%q) = %+v, %v, want ErrNotOurToken", token, claims, err)
		}
	})
}
