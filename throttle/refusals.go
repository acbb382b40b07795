package throttle

import (
	"sync"
	"time"

	"shorepass/internal/lru"
)

const (
	// refusalTTL is how long a refusal is cached in the process.
	refusalTTL = 30 * time.Second

	maxRefusals = 10_000
)

// refusals are the cache of refusals for another reason than a wrong password, by
// account and password. Where no state of an account shows whether a refusal still
// holds, they are cached by guess too, wrong passwords included. The TTL is
// refusalTTL, the bound 10,000.
type refusals struct {
	mu    sync.Mutex
	cache *lru.Cache[MAC, refusal]
}

type refusal struct {
	name  MAC
	state MAC // of the account
	cause Cause
	until time.Time
}

func newRefusals() *refusals { return &refusals{cache: lru.New[MAC, refusal](maxRefusals)} }

// find returns the refusal under key, if it has not expired and the state of the
// account is the same.
func (r *refusals) find(key, state MAC) (found refusal, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cache.GetIf(key, func(v refusal) bool { return v.state == state && time.Now().Before(v.until) })
}

func (r *refusals) stats() lru.Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cache.Stats()
}

// put caches a refusal if isCurrent returns true.
func (r *refusals) put(key MAC, v refusal, isCurrent func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isCurrent() {
		r.cache.Put(key, v)
	}
}

// forget deletes the refusals that match.
func (r *refusals) forget(match func(refusal) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache.DeleteFunc(func(_ MAC, v refusal) bool { return match(v) })
}
