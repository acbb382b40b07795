package ldap

import (
	"sync"

	"shorepass/internal/lru"
)

// maxCachedAccounts bounds an accountCache.
const maxCachedAccounts = 10_000

// accountCache is a cache (LRU, without a TTL) of the account that a login name's key
// led to last, so that all login names of an account use one share of the connections
// for searches. A stale entry only misplaces a search.
type accountCache struct {
	mu       sync.Mutex
	subjects *lru.Cache[string, string] // by the login name's key
}

func newAccountCache() *accountCache {
	return &accountCache{subjects: lru.New[string, string](maxCachedAccounts)}
}

// shareKey returns the share key for the search for a login name: that of its account
// if it is cached, else one of the name's own.
func (c *accountCache) shareKey(key string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if subject, ok := c.subjects.Get(key); ok {
		return accountShareKey(subject)
	}
	return "name " + key
}

func (c *accountCache) store(key, subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.subjects.Put(key, subject)
}

// accountShareKey returns the share key of an account.
func accountShareKey(subject string) string { return "account " + subject }
