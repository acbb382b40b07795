package main

import (
	"shorepass/providers"
)

// providerMetrics are those of package providers and of the providers themselves.
type providerMetrics struct {
	logins metric

	up, calls, callDuration        metric
	requestDuration, requestErrors metric
	connections, connectionsMax    metric
	waiting, serverUp              metric
	keys, keysFetched              metric
}

func newProviderMetrics(d *definitions) providerMetrics {
	return providerMetrics{
		logins: d.add("shorepass_logins_in_progress", "Logins in progress, those that wait included. At 1024 further ones are answered 503."),

		up: d.add("shorepass_provider_up", "0 if the last attempt to reach a provider failed, else 1. The login of one person that gets no answer does not count.", "provider"),
		calls: d.add("shorepass_provider_calls_total", "What providers were asked, by operation (lookup of an account, prove a password, verify_id_token, redeem_refresh_token, revalidate, revoke; of a sign-in with a browser authorize, redeem_code, verify_logout_token) and outcome "+
			"(ok, not_mine, rejected, gone, cannot be asked again, busy: one account asks too much, canceled, unavailable).", "provider", "operation", "outcome"),
		callDuration: d.add("shorepass_provider_call_duration_seconds", "Time of a call of a provider, by operation, with all that it needed of the network.", "provider", "operation"),

		requestDuration: d.add("shorepass_provider_request_duration_seconds", "Time of a request to a provider over the network, by operation: connect, bind, search at a directory; discovery, keys, token, userinfo, revocation, par (a pushed authorization request), graph at an OpenID provider.", "provider", "operation"),
		requestErrors:   d.add("shorepass_provider_request_errors_total", "Requests to a provider that got no answer, or one that blames the provider (busy, unavailable, 429, 5xx). A wrong password is none.", "provider", "operation"),

		connections:    d.add("shorepass_provider_pool_connections", "Connections to a directory, by pool (search, bind) and state: in_use or idle.", "provider", "pool", "state"),
		connectionsMax: d.add("shorepass_provider_pool_connections_max", "Bound of the connections in use (search_connections, bind_connections).", "provider", "pool"),
		waiting:        d.add("shorepass_provider_pool_waiting", "Operations that wait for a connection to a directory.", "provider", "pool"),
		serverUp:       d.add("shorepass_ldap_server_up", "0 while a server of a directory fails, else 1.", "provider", "server"),

		keys:        d.add("shorepass_oidc_keys", "Usable signing keys in the provider's last key set.", "provider"),
		keysFetched: d.add("shorepass_oidc_keys_last_success_timestamp_seconds", "When the provider's key set was last read, in Unix time. It is read again every hour at least, and used for a day.", "provider"),
	}
}

func (m providerMetrics) collect(s scrape, stats providers.Stats) {
	s.value(m.logins, float64(stats.Logins))
	for _, p := range stats.Providers {
		s.flag(m.up, p.Up, p.Name)
		for operation, call := range p.Calls {
			s.histogram(m.callDuration, call.Stats, p.Name, operation)
			for outcome, n := range call.Outcomes {
				s.value(m.calls, float64(n), p.Name, operation, outcome)
			}
		}
		m.collectPeer(s, p.Name, p.Peer)
	}
}

func (m providerMetrics) collectPeer(s scrape, provider string, peer providers.PeerStats) {
	for operation, request := range peer.Requests {
		s.histogram(m.requestDuration, request, provider, operation)
		s.value(m.requestErrors, float64(request.Failures), provider, operation)
	}
	for name, pool := range peer.Pools {
		s.value(m.connections, float64(pool.InUse), provider, name, "in_use")
		s.value(m.connections, float64(pool.Idle), provider, name, "idle")
		s.value(m.connectionsMax, float64(pool.Max), provider, name)
		s.value(m.waiting, float64(pool.Waiting), provider, name)
	}
	for url, up := range peer.Servers {
		s.flag(m.serverUp, up, provider, url)
	}
	if !peer.KeysFetched.IsZero() {
		s.value(m.keys, float64(peer.Keys), provider)
		s.timestamp(m.keysFetched, peer.KeysFetched, provider)
	}
}
