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

// refusals are a cache of passwords that were refused for another reason than
// that they are wrong, by account and password, and of guesses where no state of
// an account could tell that the refusal no longer holds. Its TTL is refusalTTL,
// its bound 10,000.
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

// find returns a refusal in the same state of the account.
func (r *refusals) find(key, state MAC) (found refusal, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok = r.cache.Get(key)
	return found, ok && found.state == state && time.Now().Before(found.until)
}

// put caches a refusal, unless it is not current by now.
func (r *refusals) put(key MAC, v refusal, isCurrent func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if isCurrent() {
		r.cache.Put(key, v)
	}
}

// forget drops the refusals that which picks.
func (r *refusals) forget(which func(refusal) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cache.DeleteFunc(func(_ MAC, v refusal) bool { return which(v) })
}
