package oidctest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// Issuer is a fake OpenID provider in the process. It signs any claims, and
// each of its endpoints can be replaced.
type Issuer struct {
	URL    string
	Server *httptest.Server
	tb     testing.TB

	mu       sync.Mutex
	replaced map[string]http.HandlerFunc // by path
	requests map[string]int              // by path
	keys     map[string]crypto.Signer    // by kid; all are published
}

// Paths of an Issuer.
const (
	DiscoveryPath  = "/.well-known/openid-configuration"
	KeysPath       = "/keys"
	TokenPath      = "/token"
	UserinfoPath   = "/userinfo"
	RevocationPath = "/revoke"
)

// Key IDs of an Issuer.
const (
	RSA = "rsa-1" // RS256
	EC  = "ec-1"  // ES256
	Ed  = "ed-1"  // EdDSA
)

// NewIssuer starts an issuer on plain HTTP until the test ends.
func NewIssuer(tb testing.TB) *Issuer { return newIssuer(tb, (*httptest.Server).Start) }

// NewTLSIssuer starts an issuer with a self-signed certificate until the test
// ends.
func NewTLSIssuer(tb testing.TB) *Issuer { return newIssuer(tb, (*httptest.Server).StartTLS) }

func newIssuer(tb testing.TB, start func(*httptest.Server)) *Issuer {
	tb.Helper()
	i := &Issuer{tb: tb, replaced: map[string]http.HandlerFunc{}, requests: map[string]int{}, keys: map[string]crypto.Signer{}}
	var err error
	if i.keys[RSA], err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		tb.Fatal(err)
	}
	if i.keys[EC], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		tb.Fatal(err)
	}
	if _, i.keys[Ed], err = ed25519.GenerateKey(rand.Reader); err != nil {
		tb.Fatal(err)
	}
	i.Server = httptest.NewUnstartedServer(i)
	start(i.Server)
	i.URL = i.Server.URL
	tb.Cleanup(i.Server.Close)
	return i
}

// Replace replaces the handler of a path; nil restores the original.
func (i *Issuer) Replace(path string, h http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.replaced[path] = h
}

// Requests returns the number of requests for a path.
func (i *Issuer) Requests(path string) int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[path]
}

// AddKey creates and publishes another ES256 key.
func (i *Issuer) AddKey(kid string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.tb.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys[kid] = key
}

// ServeHTTP implements [http.Handler].
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests[r.URL.Path]++
	replaced := i.replaced[r.URL.Path]
	i.mu.Unlock()
	switch {
	case replaced != nil:
		replaced(w, r)
	case r.URL.Path == DiscoveryPath:
		writeJSON(w, i.Metadata(nil))
	case r.URL.Path == KeysPath:
		writeJSON(w, i.keySet())
	default:
		http.NotFound(w, r)
	}
}

// Metadata returns the discovery document with some members changed.
func (i *Issuer) Metadata(changes map[string]any) map[string]any {
	doc := map[string]any{
		"issuer":                                i.URL,
		"authorization_endpoint":                i.URL + "/authorize",
		"token_endpoint":                        i.URL + TokenPath,
		"userinfo_endpoint":                     i.URL + UserinfoPath,
		"revocation_endpoint":                   i.URL + RevocationPath,
		"jwks_uri":                              i.URL + KeysPath,
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256", "EdDSA"},
	}
	maps.Copy(doc, changes)
	return doc
}

func (i *Issuer) keySet() map[string]any {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := []map[string]string{}
	for kid, key := range i.keys {
		published := JWK(i.tb, key.Public())
		published["kid"], published["use"] = kid, "sig"
		list = append(list, published)
	}
	return map[string]any{"keys": list}
}

// JWK returns the members of the published key of that kid, without the kid.
func (i *Issuer) JWK(kid string) map[string]string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return JWK(i.tb, i.keys[kid].Public())
}

// JWK returns the JWK members of an RSA, ECDSA P-256 or Ed25519 public key (RFC
// 7518, section 6, and RFC 8037). It uses no library, which a module that uses
// this package would have to require.
func JWK(tb testing.TB, key crypto.PublicKey) map[string]string {
	encode := base64.RawURLEncoding.EncodeToString
	switch key := key.(type) {
	case *rsa.PublicKey:
		return map[string]string{"kty": "RSA", "n": encode(key.N.Bytes()), "e": encode(big.NewInt(int64(key.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4, X, Y
		if err != nil || len(point) != 65 {
			tb.Fatalf("not a P-256 key: %v", err)
		}
		return map[string]string{"kty": "EC", "crv": "P-256", "x": encode(point[1:33]), "y": encode(point[33:])}
	case ed25519.PublicKey:
		return map[string]string{"kty": "OKP", "crv": "Ed25519", "x": encode(key)}
	}
	tb.Fatalf("a %T is not a key of this issuer", key)
	return nil
}

// IDToken returns an ID token signed with ES256. It has the required claims;
// claims adds to them, replaces them or, with a nil value, removes them.
func (i *Issuer) IDToken(claims map[string]any) string {
	now := time.Now()
	all := map[string]any{
		"iss": i.URL,
		"sub": "subject-1",
		"aud": "registry",
		"iat": now.Unix(),
		"exp": now.Add(5 * time.Minute).Unix(),
	}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	payload, err := json.Marshal(all)
	if err != nil {
		i.tb.Fatal(err)
	}
	return i.Sign(`{"alg":"ES256","typ":"JWT","kid":"`+EC+`"}`, string(payload), EC)
}

// Sign returns a compact JWS of exactly these bytes, signed with the key of
// that kid, which the header need not name.
func (i *Issuer) Sign(header, payload, kid string) string {
	i.mu.Lock()
	key := i.keys[kid]
	i.mu.Unlock()
	return SignWith(i.tb, header, payload, key)
}

// HMACKey returns the RSA public key as an attacker would use it as an HS256 key.
func (i *Issuer) HMACKey() []byte {
	i.mu.Lock()
	defer i.mu.Unlock()
	text, err := json.Marshal(JWK(i.tb, i.keys[RSA].Public()))
	if err != nil {
		i.tb.Fatal(err)
	}
	return text
}

// SignWith returns a compact JWS of exactly these bytes. key is an RSA, ECDSA
// P-256 or Ed25519 private key, a []byte for HS256, or nil for no signature.
func SignWith(tb testing.TB, header, payload string, key any) string {
	encode := base64.RawURLEncoding.EncodeToString
	input := encode([]byte(header)) + "." + encode([]byte(payload))
	digest := sha256.Sum256([]byte(input))
	var signature []byte
	var err error
	switch key := key.(type) {
	case nil:
	case []byte:
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(input))
		signature = mac.Sum(nil)
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest[:])
	case *ecdsa.PrivateKey:
		r, s, e := ecdsa.Sign(rand.Reader, key, digest[:])
		if err = e; err == nil {
			signature = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(key, []byte(input))
	default:
		err = fmt.Errorf("a %T cannot sign a token", key)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return input + "." + encode(signature)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}
