package oidc

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// fakeKeys is a published JWKS, which counts its requests.
type fakeKeys struct {
	list  []jose.JSONWebKey
	reads int
	err   error
}

func (f *fakeKeys) fetch(context.Context) ([]jose.JSONWebKey, error) {
	f.reads++
	return f.list, f.err
}

func newKey(t *testing.T, kid string) (*ecdsa.PrivateKey, jose.JSONWebKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key, jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"}
}

func sign(t *testing.T, key *ecdsa.PrivateKey, kid string) *jose.JSONWebSignature {
	t.Helper()
	options := (&jose.SignerOptions{}).WithHeader("kid", kid)
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
		fake := &fakeKeys{list: []jose.JSONWebKey{published}}
		set := newKeyCache(fake.fetch)
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
		fake := &fakeKeys{list: []jose.JSONWebKey{published}}
		set := newKeyCache(fake.fetch)
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

func TestParseKeys(t *testing.T) {
	_, good := newKey(t, "good")
	encryption := good
	encryption.Use = "enc"
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	strong, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]any{"keys": []any{
		good,
		encryption,
		jose.JSONWebKey{Key: crypto.PublicKey(&weak.PublicKey), KeyID: "weak"},
		jose.JSONWebKey{Key: private, KeyID: "private"},
		jose.JSONWebKey{Key: []byte("symmetric symmetric symmetric sy"), KeyID: "symmetric"},
		map[string]any{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "unknown curve"},
		map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA", "kid": "unknown kind"},
		map[string]any{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA", "kid": "not on the curve"},
		"nonsense", nil, 7,
		jose.JSONWebKey{Key: strong.Public(), KeyID: "strong"},
	}}
	body, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseKeys(body)
	if err != nil {
		t.Fatal(err)
	}
	var kids []string
	for _, key := range list {
		kids = append(kids, key.KeyID)
	}
	if len(kids) != 2 || kids[0] != "good" || kids[1] != "strong" {
		t.Errorf("parseKeys returned %q, want good and strong", kids)
	}
	for _, bad := range []string{"", "[]", "{", `{"keys":7}`, `"x"`} {
		if list, err := parseKeys([]byte(bad)); err == nil {
			t.Errorf("parseKeys(%q) = %v, want an error", bad, list)
		}
	}
	many := map[string]any{"keys": make([]any, maxKeys+1)}
	if body, err = json.Marshal(many); err != nil {
		t.Fatal(err)
	}
	if _, err := parseKeys(body); err == nil {
		t.Errorf("parseKeys of %d keys = nil, want an error", maxKeys+1)
	}
}

// TestKeyForAnotherAlgorithm: a key verifies only the algorithm that it names.
func TestKeyForAnotherAlgorithm(t *testing.T) {
	private, published := newKey(t, "1")
	published.Algorithm = "ES384"
	known := &keySnapshot{list: []jose.JSONWebKey{published}}
	if _, ok := known.verify(sign(t, private, "1")); ok {
		t.Error("a key for ES384 verified an ES256 signature")
	}
}
