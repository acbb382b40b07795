package ldap

import (
	"shorepass/internal/latency"
	"shorepass/internal/lru"
	"shorepass/providers"
)

// Requests to the directory, as metrics name them.
const (
	requestConnect = "connect" // TCP and TLS
	requestBind    = "bind"    // as the service account or as a person
	requestSearch  = "search"
)

func newRequests() *latency.Recorder {
	return latency.New(requestConnect, requestBind, requestSearch)
}

// isFailure reports whether a request got no answer, or one that concerns the server
// and not the request.
func isFailure(err error) bool {
	err = toResultError(err)
	return err != nil && (!answered(err) || busyOrUnavailable(err))
}

// PeerStats implements [providers.PeerReporter]. Its pools are "search" and "bind", its
// caches "accounts", "group_names", "group_dns" and "group_sids".
func (p *Provider) PeerStats() providers.PeerStats {
	s := providers.PeerStats{
		Requests: p.dir.requests.Stats(),
		Pools:    map[string]providers.PoolStats{"search": p.dir.search.stats(), "bind": p.dir.bind.stats()},
		Servers:  make(map[string]bool),
		Caches:   map[string]lru.Stats{"accounts": p.accountCache.stats()},
	}
	for _, server := range p.dir.list.all() {
		s.Servers[server.url] = server.up()
	}
	if p.groups != nil {
		p.groups.addStats(s.Caches)
	}
	return s
}

// addStats adds the caches that the configuration uses.
func (g *groupFinder) addStats(caches map[string]lru.Stats) {
	caches["group_dns"] = g.dns.stats()
	if g.namesakes != nil {
		caches["group_names"] = g.namesakes.stats()
	}
	if g.sids != nil {
		caches["group_sids"] = g.sids.stats()
	}
}

func (p *pool) stats() providers.PoolStats {
	slots := p.slots.Stats()
	p.mu.Lock()
	defer p.mu.Unlock()
	return providers.PoolStats{InUse: slots.Held, Idle: len(p.idle), Max: slots.Held + slots.Free, Waiting: slots.Waiting}
}

func (c *accountCache) stats() lru.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subjects.Stats()
}

func (c *nameCache) stats() lru.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cache.Stats()
}

func (c *groupDNCache) stats() lru.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cache.Stats()
}

func (c *sidCache) stats() lru.Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cache.Stats()
}
