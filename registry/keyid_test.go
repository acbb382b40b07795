package registry

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"
)

func unbase64(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// smallKey returns the key whose private scalar is 0x17b. On P-256 its X begins
// with a zero byte.
func smallKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	d := make([]byte, (curve.Params().BitSize+7)/8)
	d[len(d)-2], d[len(d)-1] = 0x01, 0x7b
	key, err := ecdsa.ParseRawPrivateKey(curve, d)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestThumbprint compares thumbprints with those of the RFCs, and for ECDSA
// with those of another program (Python's cryptography and hashlib).
func TestThumbprint(t *testing.T) {
	for _, test := range []struct {
		name string
		key  crypto.PublicKey
		want string
	}{
		{"RFC 7638, section 3.1", &rsa.PublicKey{E: 65537, N: new(big.Int).SetBytes(unbase64(t, "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"))},
			"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"},
		{"RFC 8037, appendix A.3", ed25519.PublicKey(unbase64(t, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"},
		{"P-256, X begins with a zero byte", smallKey(t, elliptic.P256()).Public(), "7Yxe6c_3bAa6kiaK1G-BZmi9EeNsUmlcbdnrtLeuK4E"},
		{"P-384", smallKey(t, elliptic.P384()).Public(), "ZlJdgANqwdjziodcZF0Pk-KpTCBoEdc9yV0Fm_Xy5B8"},
		{"P-521", smallKey(t, elliptic.P521()).Public(), "q_uImMfqEWX8gxwHv9-romXICZ1GMHzInf5CJcWjlvE"},
	} {
		if got, err := thumbprint(test.key); got != test.want || err != nil {
			t.Errorf("%s: thumbprint = %q, %v, want %q", test.name, got, err, test.want)
		}
	}
}

// TestLibtrustKeyID compares a libtrust key id with that of another program (as
// in TestThumbprint).
func TestLibtrustKeyID(t *testing.T) {
	want := "HVHZ:ST6I:F4OR:OPDN:GJXA:LYHY:X76T:LAWQ:RYP2:3CRU:GVAA:4U3A"
	if got, err := libtrustKeyID(smallKey(t, elliptic.P256()).Public()); got != want || err != nil {
		t.Errorf("libtrustKeyID = %q, %v, want %q", got, err, want)
	}
}

// TestStaticKey: with "kid" and "libtrust" the configured key itself signs,
// whatever its type and its certificate.
func TestStaticKey(t *testing.T) {
	expired := &x509.Certificate{NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour)}
	for _, test := range []struct {
		name, alg string
		key       crypto.Signer
		template  *x509.Certificate
	}{
		{"RSA", "RS256", newRSAKey(t), ca("root")},
		{"P-256", "ES256", newECKey(t, elliptic.P256()), ca("root")},
		{"P-384", "ES384", newECKey(t, elliptic.P384()), ca("root")},
		{"P-521", "ES512", newECKey(t, elliptic.P521()), ca("root")},
		{"Ed25519", "EdDSA", newEdKey(t), ca("root")},
		{"a certificate that is no CA", "ES256", newECKey(t, elliptic.P256()), &x509.Certificate{}},
		{"an expired certificate", "ES256", newECKey(t, elliptic.P256()), expired},
	} {
		certFile, keyFile := writeKeyPair(t, issue(t, test.template, test.key, nil))
		for signing, name := range map[string]func(crypto.PublicKey) (string, error){"kid": thumbprint, "libtrust": libtrustKeyID} {
			cfg := testConfig(certFile, keyFile)
			cfg.Signing = signing
			i := newTestIssuer(t, cfg)
			token := mint(t, i, "container_registry", "alice")
			if err := keyVerifies(token, test.key.Public()); err != nil {
				t.Errorf("%s, %s: the key does not verify the token: %v", test.name, signing, err)
			}
			kid, err := name(test.key.Public())
			if err != nil {
				t.Fatal(err)
			}
			header, _ := decode(t, token)
			if header["alg"] != test.alg || header["kid"] != kid || header["typ"] != "JWT" || len(header) != 3 {
				t.Errorf("%s, %s: header = %v, want alg %s, kid %s and typ", test.name, signing, header, test.alg, kid)
			}
			if token.ExpiresIn != 5*time.Minute || len(i.Certificates()) > 0 {
				t.Errorf("%s, %s: announced %v, certificates %v, want neither bounded by the certificate", test.name, signing, token.ExpiresIn, i.Certificates())
			}
		}
	}
}

// TestJWKS: the key set of a service with signing = "kid" verifies its tokens,
// and other services have none.
func TestJWKS(t *testing.T) {
	cfg := testConfig(newRootFiles(t))
	cfg.Services = []string{"x5c", "kid", "libtrust"}
	i := newTestIssuer(t, cfg, Service{Name: "kid", Signing: "kid"}, Service{Name: "libtrust", Signing: "libtrust"})
	text, err := i.JWKS("kid")
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []map[string]string }
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 1 {
		t.Fatalf("JWKS = %s, %v, want one key", text, err)
	}
	key := set.Keys[0]
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append(append([]byte{4}, unbase64(t, key["x"])...), unbase64(t, key["y"])...))
	if err != nil {
		t.Fatal(err)
	}
	token := mint(t, i, "kid", "alice")
	if err := keyVerifies(token, public); err != nil {
		t.Errorf("the key in %s does not verify the token: %v", text, err)
	}
	header, _ := decode(t, token)
	if key["kid"] != header["kid"] || key["alg"] != "ES256" || key["use"] != "sig" || key["kty"] != "EC" || key["crv"] != "P-256" || len(key) != 7 {
		t.Errorf("key = %v, want kid %v, alg, use, kty, crv, x and y", key, header["kid"])
	}
	for service, want := range map[string]error{"x5c": ErrNoKeySet, "libtrust": ErrNoKeySet, "other": ErrUnknownService} {
		if text, err := i.JWKS(service); !errors.Is(err, want) || text != nil {
			t.Errorf("JWKS(%q) = %s, %v, want %v", service, text, err, want)
		}
	}
}

// TestKeySet: the key set has the key behind the tokens of each service, once: a leaf with
// its certificates, and a key that signs itself under its kid.
func TestKeySet(t *testing.T) {
	certFile, keyFile := newRootFiles(t)
	cfg := testConfig(certFile, keyFile)
	cfg.Services = []string{"container_registry", "plain", "own", "old"}
	i := newTestIssuer(t, cfg, Service{Name: "own", Signing: "kid"}, Service{Name: "old", Signing: "libtrust"})
	text, err := i.KeySet(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var set struct{ Keys []jwk }
	if err := json.Unmarshal(text, &set); err != nil || len(set.Keys) != 3 {
		t.Fatalf("KeySet = %s, %v, want three keys", text, err)
	}
	leaf := leafOf(t, mint(t, i, "plain", "alice"))
	if first := set.Keys[0]; len(first.X5C) != 1 || !bytes.Equal(first.X5C[0], leaf.Raw) || first.Alg != "ES256" || first.Use != "sig" {
		t.Errorf("the first key is %+v, want the leaf", first)
	}
	if want, err := thumbprint(leaf.PublicKey); err != nil || set.Keys[0].Kid != want {
		t.Errorf("the kid of the leaf is %q, want its thumbprint %q, %v", set.Keys[0].Kid, want, err)
	}
	for n, service := range []string{"own", "old"} {
		header, _ := decode(t, mint(t, i, service, "alice"))
		if key := set.Keys[n+1]; key.Kid != header["kid"] || key.X5C != nil {
			t.Errorf("the key of %s is %+v, want the kid %v", service, key, header["kid"])
		}
	}
	if strings.Contains(string(text), `"d"`) {
		t.Errorf("the set has a private key: %s", text)
	}
	own, err := i.JWKS("own")
	if err != nil || !strings.Contains(string(own), set.Keys[1].X) {
		t.Errorf("JWKS = %s, %v, want the key of the set", own, err)
	}
}

// TestKeySetOfEndedCertificate: a key that no registry takes is left out.
func TestKeySetOfEndedCertificate(t *testing.T) {
	a := newAuthority(t)
	a.put(t, a.leaf(t, time.Hour))
	text, err := newTestIssuer(t, a.config()).KeySet(time.Now().Add(2 * time.Hour))
	if err != nil || strings.Join(strings.Fields(string(text)), "") != `{"keys":[]}` {
		t.Errorf("KeySet = %s, %v, want none", text, err)
	}
}
