package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// fakeKeys is a published JWKS, which counts its requests.
type fakeKeys struct {
	list  []publicKey
	reads int
	err   error
}

func (f *fakeKeys) fetch(context.Context) (*keySnapshot, error) {
	f.reads++
	return &keySnapshot{usable: f.list, fetchedAt: time.Now()}, f.err
}

func newKey(t *testing.T, kid string) (*ecdsa.PrivateKey, publicKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, publicKey{key: key.Public(), kid: kid}
}

func sign(t *testing.T, key *ecdsa.PrivateKey, kid string) *jose.JSONWebSignature {
	t.Helper()
	options := new(jose.SignerOptions)
	if kid != "" {
		options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// try verifies a signature with a key cache. rateLimited is for a token that a
// client sent.
func try(ctx context.Context, set *keyCache, jws *jose.JSONWebSignature, rateLimited bool) error {
	return set.verifyWith(ctx, rateLimited, func(k *keySnapshot) error {
		if _, ok := k.verify(jws); !ok {
			return errNoMatchingKey
		}
		return nil
	})
}

func TestKeyCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		first, published := newKey(t, "1")
		fake := &fakeKeys{list: []publicKey{published}}
		set := newKeyCache(fake.fetch, new(logger))
		verify := func(key *ecdsa.PrivateKey, kid string, rateLimited bool) error {
			return try(ctx, set, sign(t, key, kid), rateLimited)
		}
		for range 3 {
			if err := verify(first, "1", true); err != nil {
				t.Fatal(err)
			}
		}
		if fake.reads != 1 {
			t.Errorf("%d requests for keys, want one", fake.reads)
		}

		// Tokens of clients cause at most one refresh in ten seconds, after a
		// burst.
		forged, _ := newKey(t, "forged")
		for range 100 {
			if err := verify(forged, "forged", true); !errors.Is(err, errNoMatchingKey) {
				t.Fatalf("verify of a forged token = %v, want errNoKey", err)
			}
		}
		if fake.reads != 4 {
			t.Errorf("after 100 forged tokens there were %d requests for keys, want 4", fake.reads)
		}

		// Tokens of the provider itself are not limited.
		second, published := newKey(t, "2")
		fake.list = append(fake.list, published)
		if err := verify(second, "2", false); err != nil {
			t.Errorf("verify with a rotated key = %v", err)
		}
		// A client's token with a rotated key waits at most ten seconds.
		third, published := newKey(t, "3")
		fake.list = append(fake.list, published)
		if err := verify(third, "3", true); !errors.Is(err, errNoMatchingKey) {
			t.Errorf("verify = %v, want errNoKey", err)
		}
		time.Sleep(10 * time.Second)
		if err := verify(third, "3", true); err != nil {
			t.Errorf("verify ten seconds later = %v", err)
		}

		// A withdrawn key is refused after the TTL.
		fake.list = fake.list[1:]
		time.Sleep(keysTTL)
		if err := verify(first, "1", true); !errors.Is(err, errNoMatchingKey) {
			t.Errorf("verify with a withdrawn key = %v, want errNoKey", err)
		}

		// During an outage expired keys are used for a day.
		fake.err = errors.New("down")
		time.Sleep(keysMaxStale / 2)
		if err := verify(third, "3", true); err != nil {
			t.Errorf("verify while the provider is down = %v", err)
		}
		time.Sleep(keysMaxStale)
		if err := verify(third, "3", true); !errors.Is(err, fake.err) {
			t.Errorf("verify with keys beyond keysMaxStale = %v, want %v", err, fake.err)
		}
	})
}

// TestUnknownKeyDuringOutage: a token with an unknown key is not rejected while
// the keys cannot be refreshed.
func TestUnknownKeyDuringOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, published := newKey(t, "1")
		fake := &fakeKeys{list: []publicKey{published}}
		set := newKeyCache(fake.fetch, new(logger))
		if _, err := set.get(t.Context()); err != nil {
			t.Fatal(err)
		}
		fake.err = errors.New("down")
		rotated, _ := newKey(t, "2")
		for range 10 {
			if err := try(t.Context(), set, sign(t, rotated, "2"), false); !errors.Is(err, fake.err) {
				t.Errorf("verify = %v, want %v", err, fake.err)
			}
		}
		if fake.reads != 2 {
			t.Errorf("%d requests for keys, want 2: a failure is cached for a second", fake.reads)
		}
	})
}

// TestParseKeys: the members that count make a key, whatever the others are (D2),
// and each key that is left out has a reason.
func TestParseKeys(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	with := func(key any, changes map[string]any) any {
		text, err := json.Marshal(jose.JSONWebKey{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		var jwk map[string]any
		if err := json.Unmarshal(text, &jwk); err != nil {
			t.Fatal(err)
		}
		maps.Copy(jwk, changes)
		return jwk
	}
	for _, tt := range []struct {
		jwk    any
		reason string // "": usable
	}{
		{with(strong.Public(), nil), ""},
		{with(ec.Public(), map[string]any{"use": "sig", "alg": "ES256"}), ""},
		{with(ed.Public(), map[string]any{"alg": "EdDSA"}), ""},
		{with(ed.Public(), map[string]any{"alg": "Ed25519"}), ""},
		{with(ec.Public(), map[string]any{"x5c": []string{""}}), ""},
		{with(ec.Public(), map[string]any{"x5c": "MIIC", "x5t": 7, "x5t#S256": "%", "x5u": "://"}), ""},
		{with(ec.Public(), map[string]any{"KTY": "oct", "Crv": 7, "D": "x", "Use": "enc", "nbf": "never"}), ""},
		{with(ec.Public(), map[string]any{"n": 7, "e": []any{}}), ""},
		{with(ec.Public(), map[string]any{"use": nil, "alg": nil, "kid": nil, "key_ops": nil}), ""},
		{with(ec.Public(), map[string]any{"use": 7, "alg": false, "kid": 7, "key_ops": "verify"}), ""},
		{with(ec.Public(), map[string]any{"key_ops": []any{"verify", 7, nil}}), ""},
		{with(ec.Public(), map[string]any{"key_ops": []string{"sign"}}), ""},

		{with(ec.Public(), map[string]any{"kid": "e1", "use": "enc"}), "the key e1 is not for signatures: its use is enc"},
		{with(ec.Public(), map[string]any{"key_ops": []string{"encrypt", "wrapKey"}}), "is not for signatures: its key_ops are encrypt, wrapKey"},
		{with(strong.Public(), map[string]any{"alg": "RSA-OAEP"}), "is for another algorithm: its alg is RSA-OAEP"},
		{with(ec, nil), "is private, so it should not be published"},
		{with([]byte("symmetric symmetric symmetric sy"), nil), "is symmetric, so it should not be published"},
		{with(weak.Public(), nil), "is too short: RSA of 1024 bits, less than 2048"},
		{with(ec.Public(), map[string]any{"crv": "secp256k1"}), "is malformed: its crv, x and y do not make a key"},
		{with(ec.Public(), map[string]any{"x": "AA"}), "is malformed: its crv, x and y do not make a key"},
		{with(ec.Public(), map[string]any{"x": nil}), "is malformed: its crv, x and y do not make a key"},
		{with(strong.Public(), map[string]any{"e": 65537}), "is malformed: its n and e do not make a key"},
		{with(ed.Public(), map[string]any{"crv": "X25519"}), `is of the unknown type "OKP X25519"`},
		{map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}, "is for another algorithm: its alg is ML-DSA-44"},
		{map[string]any{"kty": "AKP", "pub": "AA"}, "is of the unknown type AKP"},
		{map[string]any{"kty": 7}, "has no kty"},
		{map[string]any{"kid": "line\nbreak"}, `the key "line\nbreak" has no kty`},
		{"nonsense", "the key at index 0, without a kid, is not a JSON object"},
		{nil, "the key at index 0, without a kid, is not a JSON object"},
	} {
		body, err := json.Marshal(map[string]any{"keys": []any{tt.jwk}, "Keys": 7})
		if err != nil {
			t.Fatal(err)
		}
		usable, unusable, err := parseKeys(body)
		got := fmt.Sprint(unusable)
		if err != nil || tt.reason == "" && len(usable) != 1 || tt.reason != "" && (len(unusable) != 1 || !strings.HasSuffix(got, tt.reason+"]")) {
			t.Errorf("parseKeys(%s) = %d keys, %s, %v, want %q", body, len(usable), got, err, tt.reason)
		}
	}
	for _, bad := range []string{"", "[]", "{", `{"keys":7}`, `"x"`, "null", `{"Keys":[]}`} {
		if usable, unusable, err := parseKeys([]byte(bad)); err == nil {
			t.Errorf("parseKeys(%q) = %v, %v, want an error", bad, usable, unusable)
		}
	}
	many, err := json.Marshal(map[string]any{"keys": make([]any, maxKeys+1)})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := parseKeys(many); err == nil {
		t.Errorf("parseKeys of %d keys = nil, want an error", maxKeys+1)
	}
}

// TestKeyOfToken: which keys are tried for a token. kid is optional in both (D8).
func TestKeyOfToken(t *testing.T) {
	private, plain := newKey(t, "")
	key := func(kid, alg string) publicKey { return publicKey{plain.key, kid, alg} }
	_, other := newKey(t, "1")
	_, unnamed := newKey(t, "")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		keys []publicKey
		kid  string // of the token
		want bool
	}{
		{"the same kid", []publicKey{key("1", "")}, "1", true},
		{"another kid", []publicKey{key("1", "")}, "2", false},
		{"a key without kid", []publicKey{key("", "")}, "1", true},
		{"a token without kid", []publicKey{key("1", "")}, "", true},
		{"neither has one", []publicKey{key("", "")}, "", true},
		{"a key without kid, beside one of the kid", []publicKey{other, key("", "")}, "1", true},
		{"the second of one kid", []publicKey{other, key("1", "")}, "1", true},
		{"a key without kid, after one of another type", []publicKey{{rsaKey.Public(), "", ""}, key("", "")}, "1", true},
		{"several keys without kid", []publicKey{unnamed, unnamed, key("", "")}, "1", true},
		{"the last candidate", append(slices.Repeat([]publicKey{unnamed}, maxCandidates-1), key("", "")), "1", true},
		{"too many candidates", append(slices.Repeat([]publicKey{unnamed}, maxCandidates), key("", "")), "1", false},
		{"the kid comes before keys without one", append(slices.Repeat([]publicKey{unnamed}, maxCandidates), key("1", "")), "1", true},
		{"for this algorithm", []publicKey{key("1", "ES256")}, "1", true},
		{"for another algorithm", []publicKey{key("1", "ES384")}, "1", false},
	} {
		known := &keySnapshot{usable: tt.keys}
		if _, ok := known.verify(sign(t, private, tt.kid)); ok != tt.want {
			t.Errorf("%s: verify = %v, want %v", tt.name, ok, tt.want)
		}
	}
}
