package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"

	"shorepass/internal/ctxmutex"
)

const (
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
	fetch func(context.Context) (*keySnapshot, error)
	log   *logger

	// limiter is the rate limit of refreshes caused by tokens that clients sent.
	limiter *rate.Limiter

	mu      ctxmutex.Mutex
	current atomic.Pointer[keySnapshot] // stored with mu held

	failure  error     // guarded by mu
	failedAt time.Time // guarded by mu
}

// keySnapshot is the key set as fetched at one time. It is never changed.
type keySnapshot struct {
	usable    []publicKey
	unusable  []unusableKey
	fetchedAt time.Time
}

func newKeyCache(fetch func(context.Context) (*keySnapshot, error), log *logger) *keyCache {
	return &keyCache{
		fetch:   fetch,
		log:     log,
		limiter: rate.NewLimiter(rate.Every(10*time.Second), 3),
		mu:      ctxmutex.New(),
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
	if err := s.mu.Lock(ctx); err != nil {
		return nil, fmt.Errorf("wait for the provider's keys: %w", err)
	}
	defer s.mu.Unlock()
	if now := s.current.Load(); now != cached {
		return now, nil
	}
	if s.failure != nil && time.Since(s.failedAt) < failureTTL {
		return nil, s.failure
	}
	if rateLimited && !s.limiter.AllowN(time.Now(), 1) {
		return cached, nil
	}
	latest, err := s.fetch(ctx)
	if err != nil {
		if ctx.Err() == nil {
			s.failure, s.failedAt = err, time.Now()
		}
		return nil, err
	}
	s.failure = nil
	s.current.Store(latest)
	s.logUnusable(cached, latest)
	return latest, nil
}

// logUnusable logs the unusable keys of latest that cached did not have.
func (s *keyCache) logUnusable(cached, latest *keySnapshot) {
	for _, key := range latest.unusable[:min(len(latest.unusable), maxNamedKeys)] {
		switch {
		case cached != nil && slices.Contains(cached.unusable, key):
		case key.foreign:
			s.log.get().Info("a published key is not for ID tokens", "key", key.name, "reason", key.reason)
		default:
			s.log.get().Warn("a published key cannot be used", "key", key.name, "reason", key.reason)
		}
	}
}

// maxCandidates is how many keys are tried for one token, so that the time of a
// forged one is bounded. A provider that publishes more of one type gives them a
// kid.
const maxCandidates = 16

// verify returns the payload if a key verifies the token. Of the token's header
// only kid and alg select keys: jwk, jku, x5c and x5u are ignored.
func (k *keySnapshot) verify(jws *jose.JSONWebSignature) ([]byte, bool) {
	if len(jws.Signatures) != 1 {
		return nil, false
	}
	header := jws.Signatures[0].Protected
	for _, key := range k.candidates(header.KeyID, header.Algorithm) {
		if payload, err := jws.Verify(key.key); err == nil {
			return payload, true
		}
	}
	return nil, false
}

// candidates returns the keys that may have signed a token with kid and alg in
// its header: those of that kid, then those without one, and for a token without
// kid all. kid is optional on either side (RFC 7515, section 4.1.4; RFC 7517,
// section 4.5), so that the signature decides.
func (k *keySnapshot) candidates(kid, alg string) []publicKey {
	var named, unnamed []publicKey
	for _, key := range k.usable {
		switch {
		case !key.fits(alg):
		case kid != "" && key.kid == kid:
			named = append(named, key)
		case kid == "" || key.kid == "":
			unnamed = append(unnamed, key)
		}
	}
	all := append(named, unnamed...)
	return all[:min(len(all), maxCandidates)]
}

// String describes the usable keys for people, by their algorithms or else by
// their types.
func (k *keySnapshot) String() string {
	var names []string
	for _, key := range k.usable {
		name := key.alg
		if name == "" {
			name = strings.TrimPrefix(fmt.Sprintf("%T", key.key), "*")
		}
		names = append(names, name)
	}
	return fmt.Sprintf("%d (%s)", len(names), strings.Join(names, ", "))
}
