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

	// keysStale is how old keys may be that are used without reading them again.
	// In the background they are read every refreshEvery, so that they get so
	// old only while the provider cannot be reached.
	keysTTL = time.Hour

	// keysUnusable is how long they are good without the provider: a day's
	// outage stops no job, and a key that was withdrawn in it is good no longer.
	keysMaxStale = 24 * time.Hour
)

// errNoKey says that none of the provider's keys made the signature.
var errNoMatchingKey = errors.New("the signature is of none of the provider's keys")

// keySet holds the provider's public keys (RFC 7517): read at first use, again
// when they are old, and again when a token names a key that is not among them.
// It is safe for concurrent use.
//
// We will not use go-oidc's RemoteKeySet here: it asks the provider once for
// each token with an unknown key, so that whoever sends forged ones could have
// us hammer it.
type keyCache struct {
	fetch func(context.Context) ([]jose.JSONWebKey, error)

	// strangers limits how often tokens that came from outside can have the
	// keys read again.
	limiter *rate.Limiter

	mu      ctxMutex
	current atomic.Pointer[keySnapshot] // stored by whoever holds mu

	failure  error     // guarded by mu
	failedAt time.Time // guarded by mu
}

// keys is one reading of the set, never changed.
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

// try has a token verified by the keys that are known and, where verify wraps
// errNoKey, by a later reading of them. presented says that the token came from
// outside, and not from the provider itself. The error is that of verify, or
// says why the keys cannot be read.
func (s *keyCache) verifyWith(ctx context.Context, rateLimited bool, verify func(*keySnapshot) error) error {
	cached, err := s.get(ctx)
	if err != nil {
		return err
	}
	refused := verify(cached)
	if !errors.Is(refused, errNoMatchingKey) {
		return refused
	}
	latest, err := s.refresh(ctx, cached, rateLimited)
	switch {
	case err != nil:
		return err
	case latest == cached:
		return refused
	}
	return verify(latest)
}

// get returns the keys, reading them if there are none or they are old. Old
// ones are good for a day when the provider cannot be reached.
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

// newer returns a later reading than known, by asking unless somebody else did
// meanwhile. A stranger who has asked too often gets what is known.
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

// verify tries the keys that the token's header can mean. Nothing but kid and
// alg of it is looked at: a key, or the address of one, that the token brings
// along (jwk, jku, x5c, x5u) counts for nothing.
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

// String lists the keys for people: their algorithms, where they name one that
// there is, or their kinds.
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

// parseKeys returns those keys of a set that can verify an ID token. Others are
// left out and are not an error (RFC 7517, section 5): a provider may publish keys
// for encryption, or of kinds to come.
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

// verifies reports whether a key is a public one, for signatures, and strong
// enough. A private or a symmetric key in a public set is not secret any more.
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
