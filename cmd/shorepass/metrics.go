package main

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"shorepass/internal/certwatch"
	"shorepass/internal/latency"
	"shorepass/internal/lru"
	"shorepass/policy"
	"shorepass/providers"
	"shorepass/server"
	"shorepass/session"
	"shorepass/throttle"
)

// statsSource has the Stats of each package. Each is read once a scrape.
type statsSource struct {
	providers    func() providers.Stats
	sessions     func() session.Stats
	throttle     func() throttle.Stats
	policy       func() policy.Stats
	audit        func() server.AuditStats
	certificates func() []certwatch.File
}

// statsCollector exports the Stats of the packages to Prometheus. docs/monitoring.md has
// a table of the metrics.
type statsCollector struct {
	source      statsSource
	definitions definitions

	build     metric
	caches    cacheMetrics
	providers providerMetrics
	sessions  sessionMetrics
	store     storeMetrics
	throttle  throttleMetrics
	server    serverMetrics
}

func newStatsCollector(source statsSource) *statsCollector {
	c := &statsCollector{source: source}
	d := &c.definitions
	c.build = d.add("shorepass_build_info", "1, with the version of the program, the revision of its source and the version of Go.", "version", "revision", "goversion")
	c.caches = newCacheMetrics(d)
	c.providers = newProviderMetrics(d)
	c.sessions = newSessionMetrics(d)
	c.store = newStoreMetrics(d)
	c.throttle = newThrottleMetrics(d)
	c.server = newServerMetrics(d)
	return c
}

// Describe implements [prometheus.Collector].
func (c *statsCollector) Describe(descriptions chan<- *prometheus.Desc) {
	for _, m := range c.definitions {
		descriptions <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (c *statsCollector) Collect(out chan<- prometheus.Metric) {
	s := scrape{out, time.Now()}
	b := thisBuild()
	s.value(c.build, 1, b.Version, b.Revision, b.Go)

	chain, sessions, limits, rules := c.source.providers(), c.source.sessions(), c.source.throttle(), c.source.policy()
	c.providers.collect(s, chain)
	c.sessions.collect(s, sessions, chain)
	c.store.collect(s, sessions, limits)
	c.throttle.collect(s, limits)
	c.server.collect(s, c.source.audit(), rules, c.source.certificates())

	c.caches.collect(s, "", map[string]lru.Stats{"passwords": chain.Passwords, "policy": rules.Identities})
	c.caches.collect(s, "", sessions.Caches)
	for name, cache := range limits.Caches {
		c.caches.collect(s, "", map[string]lru.Stats{"throttle_" + name: cache})
	}
	for _, p := range chain.Providers {
		c.caches.collect(s, p.Name, p.Peer.Caches)
	}
}

// metric is the definition of a metric. Its name tells its type: a counter ends with
// _total, a histogram with _duration_seconds, and any other is a gauge.
type metric struct {
	name string
	desc *prometheus.Desc
}

func (m metric) kind() prometheus.ValueType {
	if strings.HasSuffix(m.name, "_total") {
		return prometheus.CounterValue
	}
	return prometheus.GaugeValue
}

// definitions are all metrics of a collector.
type definitions []metric

func (d *definitions) add(name, help string, labels ...string) metric {
	m := metric{name, prometheus.NewDesc(name, help, labels, nil)}
	*d = append(*d, m)
	return m
}

// scrape is one scrape of a collector.
type scrape struct {
	out chan<- prometheus.Metric
	now time.Time
}

// value exports a gauge or a counter.
func (s scrape) value(m metric, value float64, labels ...string) {
	s.out <- prometheus.MustNewConstMetric(m.desc, m.kind(), value, labels...)
}

// flag exports a gauge that is 1 or 0.
func (s scrape) flag(m metric, value bool, labels ...string) {
	if value {
		s.value(m, 1, labels...)
	} else {
		s.value(m, 0, labels...)
	}
}

// timestamp exports a time in Unix seconds, and nothing for the zero Time.
func (s scrape) timestamp(m metric, at time.Time, labels ...string) {
	if !at.IsZero() {
		s.value(m, float64(at.UnixMilli())/1000, labels...)
	}
}

// histogram exports the durations of an operation.
func (s scrape) histogram(m metric, stats latency.Stats, labels ...string) {
	buckets := make(map[float64]uint64, len(latency.Bounds))
	for i, bound := range latency.Bounds {
		buckets[bound.Seconds()] = stats.Cumulative[i]
	}
	s.out <- prometheus.MustNewConstHistogram(m.desc, stats.Count, stats.Sum.Seconds(), buckets, labels...)
}

// cacheMetrics are those of all caches.
type cacheMetrics struct{ entries, hits, misses, evictions metric }

func newCacheMetrics(d *definitions) cacheMetrics {
	const labels = " By cache, and by provider where the cache is one provider's."
	return cacheMetrics{
		d.add("shorepass_cache_entries", "Entries of a cache, expired ones included."+labels, "cache", "provider"),
		d.add("shorepass_cache_hits_total", "Look-ups that found a valid entry."+labels, "cache", "provider"),
		d.add("shorepass_cache_misses_total", "Look-ups that found none."+labels, "cache", "provider"),
		d.add("shorepass_cache_evictions_total", "Entries that were evicted at the bound of a cache."+labels, "cache", "provider"),
	}
}

func (m cacheMetrics) collect(s scrape, provider string, caches map[string]lru.Stats) {
	for name, cache := range caches {
		s.value(m.entries, float64(cache.Entries), name, provider)
		s.value(m.hits, float64(cache.Hits), name, provider)
		s.value(m.misses, float64(cache.Misses), name, provider)
		s.value(m.evictions, float64(cache.Evictions), name, provider)
	}
}

// registerStats adds the Stats of all packages to the metrics of a daemon that has
// started.
func (d *daemon) registerStats() error {
	return d.metrics.Register(newStatsCollector(statsSource{
		providers:    func() providers.Stats { return d.server.Generation().Chain.Stats() },
		sessions:     d.sessions.Stats,
		throttle:     d.throttle.Stats,
		policy:       func() policy.Stats { return d.server.Generation().Policy.Stats() },
		audit:        d.audit.Stats,
		certificates: func() []certwatch.File { return d.server.Generation().Certificates() },
	}))
}
