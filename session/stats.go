package session

import (
	"maps"
	"sync"
	"time"

	"shorepass/internal/latency"
	"shorepass/internal/lru"
)

// Stats are the gauges and counters of Sessions, since they were made.
type Stats struct {
	Live    map[Kind]int // live sessions by kind, of all replicas; nil until they were counted
	Counted time.Time    // when, by the store's clock

	Store  map[string]latency.Stats // the calls of the store, by operation
	Pools  map[string]PoolStats     // the store's pools of connections
	Caches map[string]lru.Stats     // "identities", "token_versions"

	Answers  map[string]map[string]uint64 // of providers to revalidations, by provider and answer
	Breakers map[string]BreakerStats      // by provider, without those that never were asked

	UnwrittenUses    int // last uses in the write-behind buffer
	UnwrittenAnswers int // answers of providers that could not be written yet

	ClockOffset time.Duration // the store's clock minus this machine's; 0 below a second
}

// BreakerStats are those of a provider's circuit breaker.
type BreakerStats struct {
	Open   bool
	Opened uint64 // how often this replica saw it open
}

// PoolReporter is a [Store] with pools of connections.
type PoolReporter interface {
	PoolStats() map[string]PoolStats
}

// PoolStats are the gauges and counters of a pool of connections.
type PoolStats struct {
	InUse, Idle, Max int

	Waits  uint64        // operations that had to wait for a connection
	Waited time.Duration // by all of them
}

// Answers of a provider to a revalidation, as metrics name them, by outcome.
var answerNames = map[outcome]string{
	outcomeUnavailable: "unavailable", outcomeVouched: "vouched", outcomeRejected: "rejected",
	outcomeEnded: "ended", outcomeGone: "gone", outcomeNever: "cannot",
}

// answerCounts count the answers of providers. The names of providers are those of
// configurations, so that there are few.
type answerCounts struct {
	mu     sync.Mutex
	counts map[string]map[string]uint64
}

func newAnswerCounts() *answerCounts {
	return &answerCounts{counts: make(map[string]map[string]uint64)}
}

func (a *answerCounts) add(provider string, o outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.counts[provider]
	if of == nil {
		of = NoAnswers()
		a.counts[provider] = of
	}
	of[answerNames[o]]++
}

// NoAnswers returns the counters of a provider that was never asked.
func NoAnswers() map[string]uint64 {
	of := make(map[string]uint64, len(answerNames))
	for _, name := range answerNames {
		of[name] = 0
	}
	return of
}

func (a *answerCounts) stats() map[string]map[string]uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[string]map[string]uint64, len(a.counts))
	for provider, of := range a.counts {
		all[provider] = maps.Clone(of)
	}
	return all
}

// Stats returns the gauges as of now, and the counters. It does not call the store,
// but to refresh the circuit breakers, once a second at most.
func (s *Sessions) Stats() Stats {
	stats := Stats{
		Store:       s.observed.calls.Stats(),
		Caches:      s.identities.stats(),
		Answers:     s.revalidator.counts.stats(),
		Breakers:    s.breakers.stats(),
		ClockOffset: s.ClockOffset(),

		UnwrittenUses:    s.usage.buffered(),
		UnwrittenAnswers: s.maintenance.answers.buffered(),
	}
	if counted := s.maintenance.counter.last.Load(); counted != nil {
		stats.Live, stats.Counted = counted.Live, counted.At
	}
	if pools, ok := s.observed.Store.(PoolReporter); ok {
		stats.Pools = pools.PoolStats()
	}
	return stats
}

func (b *breakers) stats() map[string]BreakerStats {
	b.refreshRows()
	now := b.clock.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]BreakerStats, len(b.byProvider))
	for name, one := range b.byProvider {
		all[name] = BreakerStats{Open: one.row.isOpen(now), Opened: one.opened}
	}
	return all
}

func (u *usage) buffered() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.pending)
}

func (a *answerWriter) buffered() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.unsaved)
}

func (c *identityCache) stats() map[string]lru.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	identities := c.entries.Stats()
	identities.Hits, identities.Misses = c.hits.Load(), c.misses.Load()
	return map[string]lru.Stats{"identities": identities, "token_versions": c.versions.Stats()}
}
