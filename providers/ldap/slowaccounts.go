package ldap

import (
	"sync"
	"time"

	"shorepass/internal/lru"
)

const (
	// slowTTL is how long an account whose bind had no answer stays among the
	// late ones, unless one has.
	slowTTL = 10 * time.Minute

	// maxSlowAccounts is how many accounts are kept as late.
	maxSlowAccounts = 10_000

	// slowShare is the key under which they share connections.
	slowShare = "late"
)

// slowAccounts are the accounts whose last bind had no answer though the server was
// healthy: a second factor on a phone, say. All of them together have
// the share of connections of one account, so that they leave the others theirs.
type slowAccounts struct {
	mu    sync.Mutex
	since *lru.Cache[string, time.Time]
}

func newSlowAccounts() *slowAccounts {
	return &slowAccounts{since: lru.New[string, time.Time](maxSlowAccounts)}
}

// shareKey returns the key of the share in which an account binds.
func (l *slowAccounts) shareKey(key string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.since.Get(key); ok && time.Since(at) < slowTTL {
		return slowShare
	}
	return key
}

func (l *slowAccounts) add(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since.Put(key, time.Now())
}

func (l *slowAccounts) remove(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.since.Delete(key)
}
