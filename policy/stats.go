package policy

import (
	"time"

	"shorepass/internal/lru"
)

// Stats are the size of a policy, and the counters of its cache.
type Stats struct {
	Rules       int
	CompileTime time.Duration
	Identities  lru.Stats // the cache of persons' matches; its bound is in bytes
}

// Stats returns the size of the policy, and the counters since it was compiled.
func (p *Policy) Stats() Stats {
	s := Stats{Rules: len(p.rules), CompileTime: p.compileTime}
	if p.identities.cache != nil {
		p.identities.mu.Lock()
		defer p.identities.mu.Unlock()
		s.Identities = p.identities.cache.Stats()
	}
	return s
}
