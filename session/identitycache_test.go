package session

import (
	"encoding/binary"
	"testing"

	"shorepass/providers"
)

// TestPeopleAreBounded: even where every person who ever came keeps coming, so
// that each is used again before being evicted.
func TestPeopleAreBounded(t *testing.T) {
	const each, limit = 100, 1000
	p := newIdentityCache(nil, limit, limit)
	version := func(i int) (v Version) {
		binary.BigEndian.PutUint64(v[:], uint64(i+1))
		return v
	}
	for i := range 100 {
		p.remember(version(i), new(providers.Identity), each)
		for j := range i {
			p.recall(Hash{byte(j)}, version(j))
		}
		if p.recall(Hash{byte(i)}, version(i)) == nil {
			t.Fatalf("person %d is forgotten at once", i)
		}
		if kept := p.persons.Len(); kept > limit/each {
			t.Fatalf("after %d people %d are kept, want %d at most", i+1, kept, limit/each)
		}
	}
}
