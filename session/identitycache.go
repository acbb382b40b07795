package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"shorepass/internal/lru"
	"shorepass/providers"
)

const (
	// maxIdentityBytes bounds the cached identities by their encoded size. In
	// memory they take about three times as much.
	maxIdentityBytes = 4 << 20

	// maxTokens bounds the cache from token to version.
	maxTokens = 50_000
)

// IdentityStore reads identities for the cache.
type IdentityStore interface {
	// Identity returns the current identity of a sign-in, or ErrNotFound.
	Identity(ctx context.Context, signIn int64) (StoredIdentity, error)
}

// identityCache caches decoded identities by version. It tells the store which
// version it has cached for a token, so that a look-up reads only an identity
// that is not cached. There is no TTL, since a version is a hash of its
// identity. Both parts evict by LRU.
type identityCache struct {
	store IdentityStore

	mu       sync.Mutex // guards both
	entries  *lru.Cache[Version, cacheEntry]
	versions *lru.Cache[Hash, Version] // last seen with each token

	hits, misses atomic.Uint64 // of identityOf; a look-up in entries is a part of one
}

// cacheEntry is a decoded identity and its encoded size.
type cacheEntry struct {
	id    *providers.Identity
	bytes int
}

func newIdentityCache(store IdentityStore, maxBytes, maxTokens int) *identityCache {
	return &identityCache{
		store:    store,
		entries:  lru.NewWeighted[Version](maxBytes, func(e cacheEntry) int { return e.bytes }),
		versions: lru.New[Hash, Version](maxTokens),
	}
}

// cachedIdentity is an identity from the cache; the zero value is a miss.
type cachedIdentity struct {
	version Version
	id      *providers.Identity
}

// get returns the identity last seen with a token, if cached.
func (c *identityCache) get(token Hash) cachedIdentity {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.versions.Get(token)
	if !ok {
		return cachedIdentity{}
	}
	known, ok := c.entries.Get(v)
	if !ok {
		return cachedIdentity{}
	}
	return cachedIdentity{v, known.id}
}

// getVersion returns the identity of a version, or nil, and caches the version
// for the token.
func (c *identityCache) getVersion(token Hash, v Version) *providers.Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, ok := c.versions.Peek(token); !ok || was != v {
		c.versions.Put(token, v)
	}
	known, _ := c.entries.Get(v)
	return known.id
}

// put caches an identity.
func (c *identityCache) put(v Version, id *providers.Identity, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.entries.Get(v); !ok { // a concurrent request may have cached it
		c.entries.Put(v, cacheEntry{id, bytes})
	}
}

// identityOf returns the identity of a row: from the cache, the row's Body or
// the store. known is the result of get that the row was read with. The
// identity is shared and must not be changed.
func (c *identityCache) identityOf(ctx context.Context, row *Row, known cachedIdentity) (*providers.Identity, error) {
	if known.id == nil || known.version != row.SignIn.Version {
		known.id = c.getVersion(row.Hash, row.SignIn.Version)
	}
	if known.id != nil {
		c.hits.Add(1)
		return known.id, nil
	}
	c.misses.Add(1)
	stored := StoredIdentity{Version: row.SignIn.Version, Body: row.Body}
	if stored.Body == nil {
		var err error
		if stored, err = c.store.Identity(ctx, row.SignIn.ID); err != nil {
			if errors.Is(err, ErrNotFound) {
				err = fmt.Errorf("the identity of sign-in %d is missing from the store", row.SignIn.ID)
			}
			return nil, unavailable(err)
		}
	}
	id, err := decodeIdentity(stored.Body)
	if err != nil {
		return nil, unavailable(err)
	}
	c.put(stored.Version, id, len(stored.Body))
	return id, nil
}
