package ldap

import (
	"sync"
	"time"

	"shorepass/internal/lru"
)

const (
	// slowTTL is how long an account counts as slow, unless a bind is answered
	// before.
	slowTTL = 10 * time.Minute

	// maxSlowAccounts bounds the slow accounts.
	maxSlowAccounts = 10_000

	// slowShare is the share key of all slow accounts.
	slowShare = "slow"
)

// slowAccounts is a cache (LRU, TTL) of the accounts whose last bind had no answer
// though the server is healthy, for example because a second factor waits on a
// phone. All slow accounts together get one account's share of the connections for
// binds, so that the other accounts keep theirs.
type slowAccounts struct {
	mu    sync.Mutex
	since *lru.Cache[string, time.Time]
}

func newSlowAccounts() *slowAccounts {
	return &slowAccounts{since: lru.New[string, time.Time](maxSlowAccounts)}
}

// shareKey returns the share key for a bind of the account with this one.
func (s *slowAccounts) shareKey(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.since.Get(key); ok && time.Since(at) < slowTTL {
		return slowShare
	}
	return key
}

func (s *slowAccounts) add(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since.Put(key, time.Now())
}

func (s *slowAccounts) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since.Delete(key)
}
