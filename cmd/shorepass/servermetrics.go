package main

import (
	"crypto/x509"
	"time"

	"shorepass/internal/certwatch"
	"shorepass/policy"
	"shorepass/server"
	"shorepass/throttle"
)

// throttleMetrics are those of package throttle.
type throttleMetrics struct{ asking, addresses, refusals, filled, local, fallbacks metric }

func newThrottleMetrics(d *definitions) throttleMetrics {
	return throttleMetrics{
		asking:    d.add("shorepass_throttle_passwords_in_progress", "Passwords that providers are proving."),
		addresses: d.add("shorepass_throttle_addresses_in_progress", "Client addresses from which a login is in progress."),
		refusals: d.add("shorepass_throttle_refusals_total", "Logins that the rate limit of wrong passwords refused without asking a provider, by limit: name (429), address (429), account (401), "+
			"repeat (401: the same was refused before), unanswered (503: passwords of the account got no answer).", "limit"),
		filled:    d.add("shorepass_throttle_windows_filled_total", "Windows that became full, by window: name or account.", "window"),
		local:     d.add("shorepass_throttle_local", "1 while the store does not answer the rate limit, so that this replica counts for itself, with half the limits; else 0."),
		fallbacks: d.add("shorepass_throttle_fallbacks_total", "How often this replica began to count wrong passwords for itself, since the store did not answer the rate limit."),
	}
}

func (m throttleMetrics) collect(s scrape, stats throttle.Stats) {
	s.value(m.asking, float64(stats.Asking))
	s.value(m.addresses, float64(stats.Addresses))
	for limit, n := range stats.Refusals {
		s.value(m.refusals, float64(n), limit)
	}
	for window, n := range stats.Filled {
		s.value(m.filled, float64(n), window)
	}
	s.flag(m.local, stats.Local)
	s.value(m.fallbacks, float64(stats.Fallbacks))
}

// serverMetrics are those of the audit log, the policy and the certificates. Package
// server has those of requests.
type serverMetrics struct{ auditQueue, rules, compile, certificateEnd, certificateStart metric }

func newServerMetrics(d *definitions) serverMetrics {
	return serverMetrics{
		auditQueue:       d.add("shorepass_audit_queue_lines", "Audit lines that wait for the write in progress."),
		rules:            d.add("shorepass_policy_rules", "Rules of the policy in force."),
		compile:          d.add("shorepass_policy_compile_seconds", "Time that it took to compile the rules in force."),
		certificateEnd:   d.add("shorepass_certificate_expiration_timestamp_seconds", "When the next certificate of a file ends, in Unix time, by its use: root of the signing certificates, chain of one, authorities to verify others by, or obtained by ACME (0 while it is missing).", "file", "use"),
		certificateStart: d.add("shorepass_certificate_not_before_timestamp_seconds", "When the certificate of a file that ends next became valid, in Unix time, by its use.", "file", "use"),
	}
}

func (m serverMetrics) collect(s scrape, audit server.AuditStats, rules policy.Stats, files []certwatch.File) {
	s.value(m.auditQueue, float64(audit.Queue))
	s.value(m.rules, float64(rules.Rules))
	s.value(m.compile, rules.CompileTime.Seconds())

	type series struct {
		file string
		use  certwatch.Use
	}
	first := make(map[series]*x509.Certificate)
	for _, f := range files { // several keys can name one file
		key, next := series{f.Name, f.Use}, f.Next(s.now)
		if next == nil { // one of ACME that is not there yet counts as ended
			next = &x509.Certificate{NotBefore: time.Unix(0, 0), NotAfter: time.Unix(0, 0)}
		}
		if other := first[key]; other == nil || next.NotAfter.Before(other.NotAfter) {
			first[key] = next
		}
	}
	for key, next := range first {
		s.timestamp(m.certificateEnd, next.NotAfter, key.file, key.use.String())
		s.timestamp(m.certificateStart, next.NotBefore, key.file, key.use.String())
	}
}
