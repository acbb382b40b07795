package providers

import (
	"crypto/rand"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"shorepass/internal/lru"
	"shorepass/throttle"
)

// maxCachedPasswords is the bound of the cache.
const maxCachedPasswords = 10_000

// passwordCache is the cache of right passwords in this process, so that a directory is
// not asked at each layer that docker pulls. Its bound is 10,000 entries, evicted LRU;
// the TTL is the provider's remember, a minute at most. The key is an HMAC of login name
// and password under a random key of the cache; a reload makes a new cache.
type passwordCache struct {
	hasher *throttle.Hasher

	mu    sync.Mutex
	right *lru.Cache[throttle.MAC, cachedPassword]
	epoch uint64 // grows with each forget, so that a login that began before it is not cached after it
}

type cachedPassword struct {
	identity *Identity
	from     netip.Addr // of the login that proved it
	until    time.Time
}

func (c cachedPassword) isValid() bool { return time.Now().Before(c.until) }

func newPasswordCache() *passwordCache {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return &passwordCache{hasher: throttle.NewHasher(key), right: lru.New[throttle.MAC, cachedPassword](maxCachedPasswords)}
}

// key returns the key of a credential.
func (p *passwordCache) key(cred Credential) throttle.MAC {
	return p.hasher.MAC(cred.route.kind.String(), string(cred.Login), cred.Secret.Reveal())
}

// callKey returns the key under which equal logins share an answer. It differs where one
// has a proof, since then the limits differ; where one asks for an offline token, since
// then the answers do; and where one comes from the form, since then other providers are
// asked.
func (p *passwordCache) callKey(key throttle.MAC, cred Credential, proof bool) throttle.MAC {
	return p.hasher.MAC(string(key[:]), strconv.FormatBool(cred.Offline), strconv.FormatBool(cred.form), strconv.FormatBool(proof))
}

// get returns the identity that is cached under key, or nil.
func (p *passwordCache) get(key throttle.MAC) *Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.right.GetIf(key, cachedPassword.isValid)
	if !ok {
		p.right.Delete(key) // if it has expired
	}
	return r.identity
}

// wasProvedAt reports whether the password under key is cached and was proved at an
// address.
func (p *passwordCache) wasProvedAt(key throttle.MAC, from netip.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.right.Peek(key)
	return ok && r.isValid() && from.IsValid() && r.from == from
}

// stats returns the number of entries, expired ones included, and the counters.
func (p *passwordCache) stats() lru.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.right.Stats()
}

// currentEpoch returns the epoch for put. Call it before a provider is asked.
func (p *passwordCache) currentEpoch() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch
}

// put caches an identity that was proved at an address, unless forget was called since
// epoch.
func (p *passwordCache) put(key throttle.MAC, id *Identity, from netip.Addr, ttl time.Duration, epoch uint64) {
	if ttl <= 0 {
		return
	}
	until := time.Now().Add(ttl)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.epoch == epoch {
		p.right.Put(key, cachedPassword{id, from, until})
	}
}

// forget deletes the entries of the identities that match.
func (p *passwordCache) forget(match func(*Identity) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.epoch++
	p.right.DeleteFunc(func(_ throttle.MAC, r cachedPassword) bool { return match(r.identity) })
}
