package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

const (
	maxKeys    = 64   // in one set; the largest known has about ten
	minRSABits = 2048 // RFC 7518, section 3.3

	// keysTTL is the TTL of the cached keys. They are refreshed in the background
	// every refreshInterval, so that they expire only during an outage.
	keysTTL = time.Hour

	// keysMaxStale is how old expired keys may be that are used during an outage:
	// an outage of a day stops no job, and a key that was withdrawn in it is
	// accepted for no longer.
	keysMaxStale = 24 * time.Hour
)

// errNoMatchingKey means that no key of the provider verifies the signature.
var errNoMatchingKey = errors.New("the signature is of none of the provider's keys")

// keyCache is a cache of the provider's JWKS (RFC 7517), with the TTL keysTTL.
// It is also refreshed when no cached key verifies a token. It is safe for
// concurrent use.
//
// We will not use go-oidc's RemoteKeySet: it sends a request for each token
// with an unknown key, so that an attacker with forged tokens could have us
// flood the provider.
type keyCache struct {
	fetch func(context.Context) ([]jose.JSONWebKey, error)

	// limiter is the rate limit of refreshes caused by tokens that clients sent.
	limiter *rate.Limiter

	mu      ctxMutex
	current atomic.Pointer[keySnapshot] // stored with mu held

	failure  error     // guarded by mu
	failedAt time.Time // guarded by mu
}

// keySnapshot is the key set as fetched at one time. It is never changed.
type keySnapshot struct {
	list      []jose.JSONWebKey
	fetchedAt time.Time
}

func newKeyCache(fetch func(context.Context) ([]jose.JSONWebKey, error)) *keyCache {
	return &keyCache{
		fetch:   fetch,
		limiter: rate.NewLimiter(rate.Every(10*time.Second), 3),
		mu:      newCtxMutex(),
	}
}

// verifyWith calls verify with the cached keys and, if its error wraps
// errNoMatchingKey, once more with refreshed ones. rateLimited is for tokens
// that a client sent, rather than the provider. The error is that of verify, or
// of the refresh.
func (s *keyCache) verifyWith(ctx context.Context, rateLimited bool, verify func(*keySnapshot) error) error {
	cached, err := s.get(ctx)
	if err != nil {
		return err
	}
	verifyErr := verify(cached)
	if !errors.Is(verifyErr, errNoMatchingKey) {
		return verifyErr
	}
	latest, err := s.refresh(ctx, cached, rateLimited)
	switch {
	case err != nil:
		return err
	case latest == cached:
		return verifyErr
	}
	return verify(latest)
}

// get returns the cached keys, and refreshes them first if they have expired.
// During an outage it returns expired ones up to keysMaxStale.
func (s *keyCache) get(ctx context.Context) (*keySnapshot, error) {
	cached := s.current.Load()
	if cached != nil && time.Since(cached.fetchedAt) < keysTTL {
		return cached, nil
	}
	latest, err := s.refresh(ctx, cached, false)
	if err != nil && cached != nil && time.Since(cached.fetchedAt) < keysMaxStale {
		return cached, nil
	}
	return latest, err
}

// refresh returns newer keys than cached, and is single-flight: the keys that
// another caller fetched, or its own. If rateLimited and over the limit, it
// returns cached.
func (s *keyCache) refresh(ctx context.Context, cached *keySnapshot, rateLimited bool) (*keySnapshot, error) {
	if err := s.mu.lock(ctx); err != nil {
		return nil, fmt.Errorf("wait for the provider's keys: %w", err)
	}
	defer s.mu.unlock()
	if now := s.current.Load(); now != cached {
		return now, nil
	}
	if s.failure != nil && time.Since(s.failedAt) < failureTTL {
		return nil, s.failure
	}
	if rateLimited && !s.limiter.AllowN(time.Now(), 1) {
		return cached, nil
	}
	list, err := s.fetch(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.failure, s.failedAt = err, time.Now()
		}
		return nil, err
	}
	latest := &keySnapshot{list, time.Now()}
	s.failure = nil
	s.current.Store(latest)
	return latest, nil
}

// verify returns the payload if a key verifies the token. Of the token's header
// only kid and alg select keys: jwk, jku, x5c and x5u are ignored.
func (k *keySnapshot) verify(jws *jose.JSONWebSignature) ([]byte, bool) {
	if len(jws.Signatures) != 1 {
		return nil, false
	}
	header := jws.Signatures[0].Protected
	for _, key := range k.list {
		if header.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := jws.Verify(key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// String describes the keys for people, by their known algorithms or else by
// their types.
func (k *keySnapshot) String() string {
	var names []string
	for _, key := range k.list {
		name := key.Algorithm
		if !slices.Contains(asymmetricAlgorithms, name) {
			name = strings.TrimPrefix(fmt.Sprintf("%T", key.Key), "*")
		}
		names = append(names, name)
	}
	return fmt.Sprintf("%d (%s)", len(names), strings.Join(names, ", "))
}

// parseKeys returns the keys of a set that can verify an ID token. It skips
// others without an error (RFC 7517, section 5): a provider may publish keys
// for encryption, or of future types.
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, errors.New("the answer is not a key set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the set has %d keys, more than %d", len(set.Keys), maxKeys)
	}
	var list []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err == nil && canVerify(key) {
			list = append(list, key)
		}
	}
	return list, nil
}

// canVerify reports whether a key is public, for signatures, and strong enough. A
// private or symmetric key in a published set is no longer secret.
func canVerify(key jose.JSONWebKey) bool {
	if key.Use != "" && key.Use != "sig" {
		return false
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		return key.Valid() && public.N.BitLen() >= minRSABits
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return key.Valid()
	}
	return false
}
