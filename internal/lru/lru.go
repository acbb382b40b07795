// Package lru is a cache of bounded size that evicts the least recently used
// entry. It has no TTL: where entries expire, the expiry is part of the value
// and checked by the caller.
//
//	names := lru.New[string, group](10_000)
//	names.Put(sid, found)
//	found, ok := names.Get(sid)
package lru

import "iter"

// Cache is a map with a bound and LRU eviction. It is not safe for concurrent
// use: each user has a mutex, which mostly guards more than the cache.
type Cache[K comparable, V any] struct {
	bound  int
	weight int // of all entries together
	weigh  func(V) int
	items  map[K]*item[K, V]
	root   item[K, V] // of a ring: root.next is the most recently used item, root.prev the least
	stats  Stats      // without Entries
}

// Stats says what a cache holds, and what it did since it was made.
type Stats struct {
	Entries   int
	Hits      uint64 // of Get and GetIf
	Misses    uint64 // of Get and GetIf
	Evictions uint64 // of entries that were deleted to stay within the bound
}

type item[K comparable, V any] struct {
	key        K
	value      V
	prev, next *item[K, V]
}

// New returns an empty cache of at most bound entries.
func New[K comparable, V any](bound int) *Cache[K, V] {
	return NewWeighted[K](bound, func(V) int { return 1 })
}

// NewWeighted returns an empty cache whose entries together weigh at most
// bound. weigh must be a pure function of the value. An entry that alone weighs
// more than bound evicts all others and itself.
func NewWeighted[K comparable, V any](bound int, weigh func(V) int) *Cache[K, V] {
	c := &Cache[K, V]{bound: bound, weigh: weigh, items: make(map[K]*item[K, V])}
	c.root.prev, c.root.next = &c.root, &c.root
	return c
}

// Get returns the value of key, and counts as a use of the entry.
func (c *Cache[K, V]) Get(key K) (value V, ok bool) { return c.GetIf(key, nil) }

// GetIf is Get for entries that can be invalid, such as expired ones: the value of an
// entry for which valid returns false is not returned, and counts as a miss. The entry
// stays.
func (c *Cache[K, V]) GetIf(key K, valid func(V) bool) (value V, ok bool) {
	i, ok := c.items[key]
	if !ok || valid != nil && !valid(i.value) {
		c.stats.Misses++
		return value, false
	}
	c.stats.Hits++
	if c.root.next != i { // the most recently used entry needs no move
		i.unlink()
		c.pushFront(i)
	}
	return i.value, true
}

// Peek returns the value of key. It counts neither as a use of the entry nor as a hit
// or miss.
func (c *Cache[K, V]) Peek(key K) (value V, ok bool) {
	i, ok := c.items[key]
	if ok {
		value = i.value
	}
	return value, ok
}

// Put sets the value of key, which counts as a use, and evicts the least
// recently used entries until the cache is within its bound.
func (c *Cache[K, V]) Put(key K, value V) {
	c.Delete(key)
	i := &item[K, V]{key: key, value: value}
	c.items[key] = i
	c.pushFront(i)
	for c.weight += c.weigh(value); c.weight > c.bound; {
		c.Delete(c.root.prev.key)
		c.stats.Evictions++
	}
}

// Delete removes the entry of key, if there is one.
func (c *Cache[K, V]) Delete(key K) {
	if i, ok := c.items[key]; ok {
		i.unlink()
		delete(c.items, key)
		c.weight -= c.weigh(i.value)
	}
}

// DeleteFunc removes every entry for which del returns true.
func (c *Cache[K, V]) DeleteFunc(del func(K, V) bool) {
	for key, i := range c.items {
		if del(key, i.value) {
			c.Delete(key)
		}
	}
}

// All iterates over the entries, the most recently used first, and does not
// count as a use. The cache must not be changed during the iteration.
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for i := c.root.next; i != &c.root; i = i.next {
			if !yield(i.key, i.value) {
				return
			}
		}
	}
}

// Len returns the number of entries.
func (c *Cache[K, V]) Len() int { return len(c.items) }

// Stats returns the number of entries and the counters.
func (c *Cache[K, V]) Stats() Stats {
	s := c.stats
	s.Entries = c.Len()
	return s
}

func (c *Cache[K, V]) pushFront(i *item[K, V]) {
	i.prev, i.next = &c.root, c.root.next
	i.prev.next, i.next.prev = i, i
}

func (i *item[K, V]) unlink() { i.prev.next, i.next.prev = i.next, i.prev }
