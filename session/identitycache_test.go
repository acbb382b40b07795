package session

import (
	"encoding/binary"
	"testing"

	"shorepass/providers"
)

// TestIdentityCacheIsBounded: the cache stays within its bound also when every
// person returns before being evicted.
func TestIdentityCacheIsBounded(t *testing.T) {
	const each, limit = 100, 1000
	c := newIdentityCache(nil, limit, limit)
	version := func(i int) (v Version) {
		binary.BigEndian.PutUint64(v[:], uint64(i+1))
		return v
	}
	for i := range 100 {
		c.put(version(i), new(providers.Identity), each)
		for j := range i {
			c.getVersion(Hash{byte(j)}, version(j))
		}
		if c.getVersion(Hash{byte(i)}, version(i)) == nil {
			t.Fatalf("person %d is evicted immediately", i)
		}
		if cached := c.entries.Len(); cached > limit/each {
			t.Fatalf("after %d people %d are cached, want %d at most", i+1, cached, limit/each)
		}
	}
}
