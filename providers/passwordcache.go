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

// maxCachedPasswords is how many right passwords are remembered at most.
const maxCachedPasswords = 10_000

// memory is the cache of right passwords, in this process only, so that a
// directory is not asked at each layer that docker pulls: at most 10,000 of them,
// each for its provider's remember (a minute at most). An entry is an HMAC of
// login and password under a key that lives and dies with the memory; a reload
// makes a new one.
type passwordCache struct {
	hasher *throttle.Hasher

	mu    sync.Mutex
	right *lru.Cache[throttle.MAC, cachedPassword]
	epoch uint64 // grows with each forget, so that what was asked before is not remembered after
}

type cachedPassword struct {
	identity *Identity
	from     netip.Addr // where it was proved
	until    time.Time
}

func newPasswordCache() *passwordCache {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return &passwordCache{hasher: throttle.NewHasher(key), right: lru.New[throttle.MAC, cachedPassword](maxCachedPasswords)}
}

// key is what a right password is kept under.
func (m *passwordCache) key(cred Credential) throttle.MAC {
	return m.hasher.MAC(cred.route.kind.String(), string(cred.Login), cred.Secret.Reveal())
}

// callKey is what equal logins have in common that may share an answer. Where
// one has a proof and the other has not, their limits differ; where one asks for
// an offline token, so do the answers.
func (m *passwordCache) callKey(key throttle.MAC, offline, proof bool) throttle.MAC {
	return m.hasher.MAC(string(key[:]), strconv.FormatBool(offline), strconv.FormatBool(proof))
}

// recall returns who is remembered under key, or nil.
func (m *passwordCache) get(key throttle.MAC) *Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, _ := m.find(key)
	return r.identity
}

// wasProvedAt reports whether what is remembered under key was proved at an address.
func (m *passwordCache) wasProvedAt(key throttle.MAC, from netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.find(key)
	return ok && from.IsValid() && r.from == from
}

// find returns what is remembered under key. m.mu is held.
func (m *passwordCache) find(key throttle.MAC) (cachedPassword, bool) {
	r, ok := m.right.Get(key)
	if ok && !time.Now().Before(r.until) {
		m.right.Delete(key)
		return cachedPassword{}, false
	}
	return r, ok
}

// currentEpoch is to be taken before a provider is asked.
func (m *passwordCache) currentEpoch() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch
}

// remember caches an identity that was proved at an address, unless one was forgotten
// since epoch.
func (m *passwordCache) put(key throttle.MAC, id *Identity, from netip.Addr, keep time.Duration, epoch uint64) {
	if keep <= 0 {
		return
	}
	until := time.Now().Add(keep)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch == epoch {
		m.right.Put(key, cachedPassword{id, from, until})
	}
}

// forget drops everything that is remembered of those whom match picks.
func (m *passwordCache) forget(match func(*Identity) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.right.DeleteFunc(func(_ throttle.MAC, r cachedPassword) bool { return match(r.identity) })
}
