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

// maxRemembered is how many right passwords are remembered at most.
const maxRemembered = 10_000

// memory is the cache of right passwords, in this process only, so that a
// directory is not asked at each layer that docker pulls: at most 10,000 of them,
// each for its provider's remember (a minute at most). An entry is an HMAC of
// login and password under a key that lives and dies with the memory; a reload
// makes a new one.
type memory struct {
	hasher *throttle.Hasher

	mu    sync.Mutex
	right *lru.Cache[throttle.MAC, remembered]
	epoch uint64 // grows with each forget, so that what was asked before is not remembered after
}

type remembered struct {
	identity *Identity
	from     netip.Addr // where it was proved
	until    time.Time
}

func newMemory() *memory {
	key := make([]byte, 32)
	rand.Read(key) // never fails
	return &memory{hasher: throttle.NewHasher(key), right: lru.New[throttle.MAC, remembered](maxRemembered)}
}

// key is what a right password is kept under.
func (m *memory) key(cred Credential) throttle.MAC {
	return m.hasher.MAC(cred.route.kind.String(), string(cred.Login), cred.Secret.Reveal())
}

// flightKey is what equal logins have in common that may share an answer. Where
// one has a proof and the other has not, their limits differ; where one asks for
// an offline token, so do the answers.
func (m *memory) flightKey(key throttle.MAC, offline, proof bool) throttle.MAC {
	return m.hasher.MAC(string(key[:]), strconv.FormatBool(offline), strconv.FormatBool(proof))
}

// recall returns who is remembered under key, or nil.
func (m *memory) recall(key throttle.MAC) *Identity {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, _ := m.find(key)
	return r.identity
}

// wasProvedAt reports whether what is remembered under key was proved at an address.
func (m *memory) wasProvedAt(key throttle.MAC, from netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.find(key)
	return ok && from.IsValid() && r.from == from
}

// find returns what is remembered under key. m.mu is held.
func (m *memory) find(key throttle.MAC) (remembered, bool) {
	r, ok := m.right.Get(key)
	if ok && !time.Now().Before(r.until) {
		m.right.Delete(key)
		return remembered{}, false
	}
	return r, ok
}

// currentEpoch is to be taken before a provider is asked.
func (m *memory) currentEpoch() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.epoch
}

// remember caches an identity that was proved at an address, unless one was forgotten
// since epoch.
func (m *memory) remember(key throttle.MAC, id *Identity, from netip.Addr, keep time.Duration, epoch uint64) {
	if keep <= 0 {
		return
	}
	until := time.Now().Add(keep)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.epoch == epoch {
		m.right.Put(key, remembered{id, from, until})
	}
}

// forget drops everything that is remembered of those whom match picks.
func (m *memory) forget(match func(*Identity) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.right.DeleteFunc(func(_ throttle.MAC, r remembered) bool { return match(r.identity) })
}
