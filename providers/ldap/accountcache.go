package ldap

import (
	"sync"

	"shorepass/internal/lru"
)

// maxCachedAccounts is how many login names are kept with what they led to.
const maxCachedAccounts = 10_000

// accountCache is a cache (LRU) of the account that a login name's key led to last, so
// that all names of an account share its searches. An entry that is out of date
// costs a fair share, and nothing else.
type accountCache struct {
	mu       sync.Mutex
	subjects *lru.Cache[string, string]
}

func newAccountCache() *accountCache {
	return &accountCache{subjects: lru.New[string, string](maxCachedAccounts)}
}

// shareKey returns the share in which a name is looked up: that of its account, or
// one of its own.
func (s *accountCache) shareKey(key string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if subject, ok := s.subjects.Get(key); ok {
		return accountShareKey(subject)
	}
	return "name " + key
}

func (s *accountCache) store(key, subject string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subjects.Put(key, subject)
}

// accountShareKey returns the share of an account.
func accountShareKey(subject string) string { return "account " + subject }
