package registry

import (
	"crypto"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
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

// forger makes tokens by hand: valid ones with a leaf that the root certified, and
// forged ones with a stranger's key.
type forger struct {
	t        *testing.T
	byLeaf   *Issuer // with signing = "x5c"
	byKID    *Issuer // with signing = "kid", by the root's key
	root     *keyPair
	kid      string            // of the root's key
	leaf     *keyPair          // certified by the root
	real     Token             // of byLeaf
	sentLeaf *x509.Certificate // of real
	stranger crypto.Signer     // a key that nothing of ours certifies
}

func newForger(t *testing.T) *forger {
	t.Helper()
	certFile, keyFile := newRootFiles(t)
	root, err := readKeyPair("root", certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	kid, err := thumbprint(root.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	kidCfg := testConfig(certFile, keyFile)
	kidCfg.Signing = SigningKID
	byLeaf := newTestIssuer(t, testConfig(certFile, keyFile))
	real := mint(t, byLeaf, "container_registry", "alice")
	return &forger{
		t: t, byLeaf: byLeaf, byKID: newTestIssuer(t, kidCfg), root: root, kid: kid,
		leaf: issue(t, &x509.Certificate{}, newECKey(t, elliptic.P256()), root),
		real: real, sentLeaf: leafOf(t, real), stranger: newECKey(t, elliptic.P256()),
	}
}

// forgery is a token for an issuer to refuse.
type forgery struct {
	name  string
	at    *Issuer
	token string
}

// token signs good claims, with changes, under a header.
func (f *forger) token(name string, at *Issuer, method jwt.SigningMethod, key any, header, changes map[string]any) forgery {
	return forgery{name, at, forgedToken{method, key, header, goodClaims(changes)}.sign(f.t)}
}

// withClaims is token with the leaf of the root.
func (f *forger) withClaims(name string, changes map[string]any) forgery {
	return f.token(name, f.byLeaf, jwt.SigningMethodES256, f.leaf.key, x5c(f.leaf.certificate), changes)
}

// valid are tokens without a fault. If they were refused, the refusal of the
// others would show nothing.
func (f *forger) valid() []forgery {
	es, now := jwt.SigningMethodES256, time.Now().Unix()
	return []forgery{
		f.withClaims("a leaf of our root", nil),
		f.withClaims("within the leeway", map[string]any{"exp": now - 30, "nbf": now + 30}),
		f.token("a leaf with its root", f.byLeaf, es, f.leaf.key, x5c(f.leaf.certificate, f.root.certificate), nil),
		f.token("our own key", f.byKID, es, f.root.key, map[string]any{"kid": f.kid}, nil),
		f.token("our own key without a kid", f.byKID, es, f.root.key, nil, nil),
	}
}

// certificates are tokens with a certificate that is not ours, or not for the
// key that signed.
func (f *forger) certificates() []forgery {
	t, es := f.t, jwt.SigningMethodES256
	expired := issue(t, &x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Second)}, f.leaf.key, f.root)
	future := issue(t, &x509.Certificate{NotBefore: time.Now().Add(30 * time.Second)}, f.leaf.key, f.root)
	self := issue(t, ca("shorepass token root"), f.stranger, nil)
	strange := issue(t, &x509.Certificate{}, f.stranger, self)
	subject := *f.root.certificate // for a root of the same name, key identifier and serial number
	namesake := issue(t, &x509.Certificate{RawSubject: subject.RawSubject, SubjectKeyId: subject.SubjectKeyId, SerialNumber: subject.SerialNumber, BasicConstraintsValid: true, IsCA: true}, f.stranger, nil)
	below := issue(t, &x509.Certificate{}, f.stranger, &keyPair{certificate: f.leaf.certificate, key: f.leaf.key}) // a leaf is not a CA
	return []forgery{
		f.token("self-signed", f.byLeaf, es, f.stranger, x5c(self.certificate), nil),
		f.token("under another root", f.byLeaf, es, f.stranger, x5c(strange.certificate, self.certificate), nil),
		f.token("under a root of our root's name", f.byLeaf, es, f.stranger, x5c(namesake.certificate), nil),
		f.token("under a leaf", f.byLeaf, es, f.stranger, x5c(below.certificate, f.leaf.certificate), nil),
		f.token("our leaf, another key", f.byLeaf, es, f.stranger, x5c(f.sentLeaf), nil),
		f.token("two certificates, a stranger's first", f.byLeaf, es, f.stranger, x5c(strange.certificate, f.sentLeaf), nil),
		f.token("two certificates, ours first", f.byLeaf, es, f.stranger, x5c(f.sentLeaf, strange.certificate), nil),
		f.token("our root, another key", f.byLeaf, es, f.stranger, x5c(f.root.certificate), nil),
		f.token("an expired leaf", f.byLeaf, es, f.leaf.key, x5c(expired.certificate), nil),
		f.token("a leaf that is not valid yet", f.byLeaf, es, f.leaf.key, x5c(future.certificate), nil),
		f.token("no x5c", f.byLeaf, es, f.leaf.key, nil, nil),
		f.token("the root's key without x5c", f.byLeaf, es, f.root.key, map[string]any{"kid": f.kid}, nil),
		f.token("an empty x5c", f.byLeaf, es, f.leaf.key, map[string]any{"x5c": []string{}}, nil),
		f.token("x5c is null", f.byLeaf, es, f.leaf.key, map[string]any{"x5c": nil}, nil),
		f.token("x5c is a string", f.byLeaf, es, f.leaf.key, map[string]any{"x5c": base64.StdEncoding.EncodeToString(f.leaf.certificate.Raw)}, nil),
		f.token("x5c holds a number", f.byLeaf, es, f.leaf.key, map[string]any{"x5c": []int{1}}, nil),
		f.token("x5c holds no base64", f.byLeaf, es, f.leaf.key, map[string]any{"x5c": []string{"!"}}, nil),
		f.token("x5c holds no certificate", f.byLeaf, es, f.leaf.key, map[string]any{"x5c": []string{"AAAA"}}, nil),
	}
}

// headers are tokens whose header names another key or algorithm.
func (f *forger) headers() []forgery {
	es, self := jwt.SigningMethodES256, issue(f.t, ca("shorepass token root"), f.stranger, nil)
	publicDER, err := x509.MarshalPKIXPublicKey(f.root.key.Public())
	if err != nil {
		f.t.Fatal(err)
	}
	k, err := newJWK(f.stranger.Public())
	if err != nil {
		f.t.Fatal(err)
	}
	embedded := map[string]any{"kty": k.Kty, "crv": k.Crv, "x": k.X, "y": k.Y}
	return []forgery{
		f.token("embedded jwk", f.byLeaf, es, f.stranger, map[string]any{"jwk": embedded}, nil),
		f.token("embedded jwk with our leaf", f.byLeaf, es, f.stranger, map[string]any{"jwk": embedded, "x5c": x5c(f.sentLeaf)["x5c"]}, nil),
		f.token("embedded jwk with our kid", f.byKID, es, f.stranger, map[string]any{"jwk": embedded, "kid": f.kid}, nil),
		f.token("jku, x5u and a kid that is a path", f.byKID, es, f.stranger, map[string]any{"jku": "https://thief.example/", "x5u": "https://thief.example/", "kid": "../../dev/null"}, nil),
		f.token("a stranger's certificate, signing = kid", f.byKID, es, f.stranger, x5c(self.certificate), nil),
		f.token("a leaf of our root, signing = kid", f.byKID, es, f.leaf.key, x5c(f.leaf.certificate), nil),

		f.token("alg none", f.byKID, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, map[string]any{"kid": f.kid}, nil),
		f.token("alg none with our leaf", f.byLeaf, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, x5c(f.sentLeaf), nil),
		f.token("HS256 with the public key", f.byKID, jwt.SigningMethodHS256, publicDER, map[string]any{"kid": f.kid}, nil),
		f.token("HS256 with the certificate", f.byLeaf, jwt.SigningMethodHS256, f.sentLeaf.Raw, x5c(f.sentLeaf), nil),
		f.token("HS256 with an empty key", f.byLeaf, jwt.SigningMethodHS256, []byte{}, x5c(f.sentLeaf), nil),
		f.token("an alg other than the signature's", f.byLeaf, es, f.leaf.key, map[string]any{"alg": "ES384", "x5c": x5c(f.leaf.certificate)["x5c"]}, nil),
		f.token("no alg", f.byLeaf, es, f.leaf.key, map[string]any{"alg": "", "x5c": x5c(f.leaf.certificate)["x5c"]}, nil),
	}
}

// claims are tokens that are not for us, not from us, or not for now.
func (f *forger) claims() []forgery {
	now := time.Now().Unix()
	return []forgery{
		f.withClaims("another aud", map[string]any{"aud": "other"}),
		f.withClaims("no aud", map[string]any{"aud": nil}),
		f.withClaims("an empty aud", map[string]any{"aud": ""}),
		f.withClaims("several aud", map[string]any{"aud": []string{"container_registry", "other"}}),
		f.withClaims("aud is a number", map[string]any{"aud": 1}),
		f.withClaims("another iss", map[string]any{"iss": "gitlab-issuer/"}),
		f.withClaims("no iss", map[string]any{"iss": nil}),
		f.withClaims("expired", map[string]any{"exp": now - 61}),
		f.withClaims("no exp", map[string]any{"exp": nil}),
		f.withClaims("nbf in the future", map[string]any{"nbf": now + 120}),
		f.withClaims("no nbf", map[string]any{"nbf": nil}),
	}
}

// texts are texts that are no token, or not the whole of one.
func (f *forger) texts() []forgery {
	parts := strings.Split(f.real.Reveal(), ".")
	last := parts[2][len(parts[2])-1]
	return []forgery{
		{"an empty text", f.byLeaf, ""},
		{"a refresh token", f.byLeaf, "sp_r_AAAA"},
		{"dots alone", f.byLeaf, strings.Repeat(".", maxToken)},
		{"too long", f.byLeaf, f.real.Reveal() + strings.Repeat("A", maxToken)},
		{"truncated", f.byLeaf, f.real.Reveal()[:len(f.real.Reveal())-1]},
		{"without a signature", f.byLeaf, parts[0] + "." + parts[1] + "."},
		{"without the last part", f.byLeaf, parts[0] + "." + parts[1]},
		{"with a fourth part", f.byLeaf, f.real.Reveal() + ".x"},
		{"other claims under a valid signature", f.byLeaf, parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(`{"iss":"gitlab-issuer","aud":"container_registry","exp":9999999999,"nbf":1}`)) + "." + parts[2]},
		{"a changed padding bit of the signature", f.byLeaf, parts[0] + "." + parts[1] + "." + parts[2][:len(parts[2])-1] + string(last+1)},
		{"padded", f.byLeaf, f.real.Reveal() + "="},
		{"with a blank", f.byLeaf, " " + f.real.Reveal()},
	}
}

// TestVerifyForged: a token is refused unless a key of ours signed it, with the
// algorithm of that key, for one of our services and for now.
func TestVerifyForged(t *testing.T) {
	f := newForger(t)
	for _, good := range f.valid() {
		if _, err := good.at.Verify(good.token, time.Now()); err != nil {
			t.Errorf("%s: Verify: %v, want no error", good.name, err)
		}
	}
	for _, test := range slices.Concat(f.certificates(), f.headers(), f.claims(), f.texts()) {
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
