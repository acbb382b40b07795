package main

import (
	"shorepass/internal/latency"
	"shorepass/providers"
	"shorepass/session"
	"shorepass/throttle"
)

// sessionMetrics are those of package session, without its store.
type sessionMetrics struct {
	live, counted              metric
	revalidations              metric
	breakerOpen, breakerOpened metric
	unwritten                  metric
	clockOffset                metric
}

func newSessionMetrics(d *definitions) sessionMetrics {
	return sessionMetrics{
		live:          d.add("shorepass_sessions", "Live sessions of all replicas, by kind (refresh, pat, robot, browser). They are counted every five minutes, by one replica.", "kind"),
		counted:       d.add("shorepass_sessions_counted_timestamp_seconds", "When the sessions were counted, in Unix time."),
		revalidations: d.add("shorepass_revalidations_total", "Answers of providers about persons with a session, by answer: vouched, rejected, ended (disabled, expired, locked for good), gone, cannot (be asked again), unavailable.", "provider", "answer"),
		breakerOpen:   d.add("shorepass_circuit_breaker_open", "1 while the circuit breaker of a provider is open, on every replica: the provider refuses too many people, and its refusals are void.", "provider"),
		breakerOpened: d.add("shorepass_circuit_breaker_opened_total", "How often this replica saw the circuit breaker of a provider open.", "provider"),
		unwritten:     d.add("shorepass_session_unwritten_rows", "Rows in the write-behind buffers, by buffer: last_uses, which are written within ten seconds, and answers of providers, which wait for a store that fails.", "buffer"),
		clockOffset:   d.add("shorepass_store_clock_offset_seconds", "The store's clock minus that of this machine; 0 below a second."),
	}
}

func (m sessionMetrics) collect(s scrape, stats session.Stats, chain providers.Stats) {
	if stats.Live != nil {
		for _, kind := range []session.Kind{session.KindRefresh, session.KindPAT, session.KindRobot, session.KindBrowser} {
			s.value(m.live, float64(stats.Live[kind]), string(kind))
		}
		s.timestamp(m.counted, stats.Counted)
	}
	for _, p := range chain.Providers { // one that was never asked, or never doubted, has no row
		answers := stats.Answers[p.Name]
		if answers == nil {
			answers = session.NoAnswers()
		}
		for answer, n := range answers {
			s.value(m.revalidations, float64(n), p.Name, answer)
		}
		s.flag(m.breakerOpen, stats.Breakers[p.Name].Open, p.Name)
		s.value(m.breakerOpened, float64(stats.Breakers[p.Name].Opened), p.Name)
	}
	s.value(m.unwritten, float64(stats.UnwrittenUses), "last_uses")
	s.value(m.unwritten, float64(stats.UnwrittenAnswers), "answers")
	s.value(m.clockOffset, stats.ClockOffset.Seconds())
}

// storeMetrics are those of the store, as session and throttle see it.
type storeMetrics struct {
	duration, errors            metric
	connections, connectionsMax metric
	waits, waited               metric
}

func newStoreMetrics(d *definitions) storeMetrics {
	return storeMetrics{
		duration: d.add("shorepass_store_operation_duration_seconds", "Time of an operation of the store (find, create, end, lease, answer, last_use, breaker, sweep, list, count, health; throttle_read and throttle_write of the rate limit).", "operation"),
		errors:   d.add("shorepass_store_operation_errors_total", "Operations of the store that failed.", "operation"),

		connections:    d.add("shorepass_store_pool_connections", "Connections to the store, by pool (all of PostgreSQL; writer, throttle_writer, key_readers and list_readers of SQLite) and state: in_use or idle.", "pool", "state"),
		connectionsMax: d.add("shorepass_store_pool_connections_max", "Bound of the connections to the store (session.connections).", "pool"),
		waits:          d.add("shorepass_store_pool_waits_total", "Operations that had to wait for a connection to the store, or for the one writer of SQLite.", "pool"),
		waited:         d.add("shorepass_store_pool_wait_seconds_total", "Time that operations waited for a connection to the store, or for the one writer of SQLite.", "pool"),
	}
}

func (m storeMetrics) collect(s scrape, sessions session.Stats, limits throttle.Stats) {
	m.collectOperations(s, "", sessions.Store)
	m.collectOperations(s, "throttle_", limits.Store)
	for name, pool := range sessions.Pools {
		s.value(m.connections, float64(pool.InUse), name, "in_use")
		s.value(m.connections, float64(pool.Idle), name, "idle")
		s.value(m.connectionsMax, float64(pool.Max), name)
		s.value(m.waits, float64(pool.Waits), name)
		s.value(m.waited, pool.Waited.Seconds(), name)
	}
}

func (m storeMetrics) collectOperations(s scrape, prefix string, operations map[string]latency.Stats) {
	for name, one := range operations {
		s.histogram(m.duration, one, prefix+name)
		s.value(m.errors, float64(one.Failures), prefix+name)
	}
}
