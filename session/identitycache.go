package session

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"shorepass/internal/lru"
	"shorepass/providers"
)

const (
	// maxIdentityBytes bounds the cache of decoded persons, counted by what they
	// take in the store; decoded it is about three times that.
	maxIdentityBytes = 4 << 20

	// maxTokens bounds the cache of the versions behind tokens.
	maxTokens = 50_000
)

// IdentityStore reads what a store knows of a person.
type IdentityStore interface {
	// Identity returns what is known of a sign-in's person now, or ErrNotFound.
	Identity(ctx context.Context, signIn int64) (StoredIdentity, error)
}

// people is a cache of decoded persons, so that a look-up asks the store only
// for identity that is not cached. It has no TTL, since a version always belongs
// to the same identity; both parts are LRU.
type identityCache struct {
	store IdentityStore

	mu       sync.Mutex // guards both caches
	persons  *lru.Cache[Version, decoded]
	versions *lru.Cache[Hash, Version] // the version that was last behind a token
}

// decoded is a person, and how many bytes that takes in the store.
type decoded struct {
	id    *providers.Identity
	bytes int
}

func newIdentityCache(store IdentityStore, maxBytes, maxTokens int) *identityCache {
	return &identityCache{
		store:    store,
		persons:  lru.NewWeighted[Version](maxBytes, func(d decoded) int { return d.bytes }),
		versions: lru.New[Hash, Version](maxTokens),
	}
}

// cached is a person of the cache; the zero value is none.
type cached struct {
	version Version
	id      *providers.Identity
}

// behind returns the person who was last behind a token, if cached.
func (p *identityCache) behind(token Hash) cached {
	p.mu.Lock()
	defer p.mu.Unlock()
	v, ok := p.versions.Get(token)
	if !ok {
		return cached{}
	}
	known, ok := p.persons.Get(v)
	if !ok {
		return cached{}
	}
	return cached{v, known.id}
}

// recall returns the person of a version, or nil, and notes whose a token is.
func (p *identityCache) recall(token Hash, v Version) *providers.Identity {
	p.mu.Lock()
	defer p.mu.Unlock()
	if was, ok := p.versions.Get(token); !ok || was != v {
		p.versions.Put(token, v)
	}
	known, _ := p.persons.Get(v)
	return known.id
}

func (p *identityCache) remember(v Version, id *providers.Identity, bytes int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.persons.Get(v); !ok { // another request may have put it meanwhile
		p.persons.Put(v, decoded{id, bytes})
	}
}

// identify returns the person of a row that was looked up with known, the person
// last behind its token. The identity is shared and must not be changed.
func (p *identityCache) identify(ctx context.Context, row *Row, known cached) (*providers.Identity, error) {
	if known.id != nil && known.version == row.SignIn.Version {
		return known.id, nil
	}
	if id := p.recall(row.Hash, row.SignIn.Version); id != nil {
		return id, nil
	}
	kept := StoredIdentity{Version: row.SignIn.Version, Body: row.Body}
	if kept.Body == nil {
		var err error
		if kept, err = p.store.Identity(ctx, row.SignIn.ID); err != nil {
			if errors.Is(err, ErrNotFound) {
				err = fmt.Errorf("the identity of sign-in %d is missing from the store", row.SignIn.ID)
			}
			return nil, unavailable(err)
		}
	}
	id, err := decodeIdentity(kept.Body)
	if err != nil {
		return nil, unavailable(err)
	}
	p.remember(kept.Version, id, len(kept.Body))
	return id, nil
}
