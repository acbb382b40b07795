package oidc

import (
	"context"
	"net/http"
	"time"

	"shorepass/internal/latency"
	"shorepass/internal/lru"
	"shorepass/providers"
)

// Requests to the provider, as metrics name them.
const (
	requestDiscovery  = "discovery"
	requestKeys       = "keys"
	requestToken      = "token" // the token endpoint, with any grant
	requestUserinfo   = "userinfo"
	requestRevocation = "revocation"
	requestPush       = "par"   // a pushed authorization request
	requestGraph      = "graph" // Microsoft Graph
)

func newRequests() *latency.Recorder {
	return latency.New(requestDiscovery, requestKeys, requestToken, requestUserinfo, requestRevocation, requestPush, requestGraph)
}

// operationKey is the context key of the name of a request.
type operationKey struct{}

// recordRequest records a request that began at a time. A failure is one without an
// answer, and an answer that concerns the provider and not the request.
func recordRequest(ctx context.Context, requests *latency.Recorder, began time.Time, resp *http.Response, err error) {
	operation, ok := ctx.Value(operationKey{}).(string)
	if !ok {
		return // unreachable: requestTrace.attach names every request
	}
	failed := err != nil || resp.StatusCode >= http.StatusInternalServerError || resp.StatusCode == http.StatusTooManyRequests
	requests.Record(operation, began, failed)
}

// PeerStats implements [providers.PeerReporter]. Its cache is "group_names", those of
// Microsoft Graph.
func (p *Provider) PeerStats() providers.PeerStats {
	s := providers.PeerStats{Requests: p.client.requests.Stats(), Caches: make(map[string]lru.Stats)}
	if keys := p.keys.current.Load(); keys != nil {
		s.Keys, s.KeysFetched = len(keys.usable), keys.fetchedAt
	}
	if p.mapper.graph != nil {
		s.Caches["group_names"] = p.mapper.graph.names.stats()
	}
	return s
}

func (n *graphNames) stats() lru.Stats {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.cache.Stats()
}
