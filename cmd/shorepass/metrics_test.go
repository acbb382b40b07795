package main

import (
	"crypto/x509"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

var updateMetrics = flag.Bool("update", false, "write the table of metrics in docs/monitoring.md anew")

// fullStats is a source in which every metric has a value.
func fullStats() statsSource {
	calls := map[string]latency.Stats{"find": {Count: 3, Sum: 2 * time.Second, Cumulative: [...]uint64{1, 1, 1, 1, 1, 2, 3, 3}, Failures: 1}}
	caches := map[string]lru.Stats{"accounts": {Entries: 1, Hits: 2, Misses: 3, Evictions: 4}}
	return statsSource{
		providers: func() providers.Stats {
			return providers.Stats{Providers: []providers.ProviderStats{{
				Name: "corp", Up: true,
				Calls: map[string]providers.CallStats{"prove": {Stats: calls["find"], Outcomes: map[string]uint64{"ok": 3}}},
				Peer: providers.PeerStats{
					Requests: calls, Pools: map[string]providers.PoolStats{"bind": {InUse: 1, Idle: 2, Max: 3, Waiting: 4}},
					Servers: map[string]bool{"ldaps://dc1": false}, Caches: caches, Keys: 2, KeysFetched: time.Unix(1, 5e8),
				},
			}}}
		},
		sessions: func() session.Stats {
			return session.Stats{
				Live: map[session.Kind]int{session.KindRefresh: 7}, Counted: time.Unix(2, 0), Store: calls, Caches: caches,
				Pools:    map[string]session.PoolStats{"all": {InUse: 1, Idle: 2, Max: 3, Waits: 4, Waited: time.Second}},
				Answers:  map[string]map[string]uint64{"corp": {"vouched": 5}},
				Breakers: map[string]session.BreakerStats{"corp": {Open: true, Opened: 1}, "removed": {}},
			}
		},
		throttle: func() throttle.Stats {
			return throttle.Stats{Refusals: map[string]uint64{"name": 1}, Filled: map[string]uint64{"name": 1}, Store: calls, Local: true}
		},
		policy:       func() policy.Stats { return policy.Stats{Rules: 3} },
		audit:        func() server.AuditStats { return server.AuditStats{Queue: 2} },
		certificates: func() []certwatch.File { return []certwatch.File{certificateFile("a.crt", certwatch.Root, time.Hour)} },
	}
}

func certificateFile(name string, use certwatch.Use, left time.Duration) certwatch.File {
	return certwatch.File{Key: "a key", Name: name, Use: use, Certificates: []*x509.Certificate{{NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(left)}}}
}

// gather returns the samples of a source, as "name{label="value",…} value", without
// those of histograms, and the type of each metric.
func gather(t *testing.T, source statsSource) (samples map[string]float64, types map[string]string) {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newStatsCollector(source))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	samples, types = make(map[string]float64), make(map[string]string)
	for _, family := range families {
		types[family.GetName()] = strings.ToLower(family.GetType().String())
		for _, m := range family.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			samples[family.GetName()+"{"+strings.Join(labels, ",")+"}"] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	return samples, types
}

// TestStatsAreExported: every metric that is defined is exported, with the type that its
// name tells, and units are seconds and Unix time.
func TestStatsAreExported(t *testing.T) {
	samples, types := gather(t, fullStats())
	for _, m := range newStatsCollector(statsSource{}).definitions {
		if got, want := types[m.name], metricType(m.name); got != want {
			t.Errorf("the type of %s is %q, want %q", m.name, got, want)
		}
	}
	for sample, want := range map[string]float64{
		`shorepass_provider_call_duration_seconds{operation="prove",provider="corp"}`:    2,
		`shorepass_provider_calls_total{operation="prove",outcome="ok",provider="corp"}`: 3,
		`shorepass_provider_request_errors_total{operation="find",provider="corp"}`:      1,
		`shorepass_provider_pool_connections{pool="bind",provider="corp",state="idle"}`:  2,
		`shorepass_provider_up{provider="corp"}`:                                         1,
		`shorepass_ldap_server_up{provider="corp",server="ldaps://dc1"}`:                 0,
		`shorepass_oidc_keys_last_success_timestamp_seconds{provider="corp"}`:            1.5,
		`shorepass_sessions{kind="refresh"}`:                                             7,
		`shorepass_sessions{kind="robot"}`:                                               0,
		`shorepass_circuit_breaker_open{provider="corp"}`:                                1,
		`shorepass_store_operation_errors_total{operation="throttle_find"}`:              1,
		`shorepass_cache_evictions_total{cache="accounts",provider="corp"}`:              4,
		`shorepass_throttle_local{}`:                                                     1,
		`shorepass_audit_queue_lines{}`:                                                  2,
	} {
		if got, ok := samples[sample]; !ok || got != want {
			t.Errorf("%s = %v (%t), want %v", sample, got, ok, want)
		}
	}
	if _, ok := samples[`shorepass_circuit_breaker_open{provider="removed"}`]; ok {
		t.Error("a provider that is not configured has a circuit breaker")
	}
}

// TestCertificateEnds: each file has one metric for each use, whatever keys name it, read
// at the scrape (F6).
func TestCertificateEnds(t *testing.T) {
	source := fullStats()
	source.certificates = func() []certwatch.File {
		return []certwatch.File{
			certificateFile("a.crt", certwatch.Chain, -time.Hour), certificateFile("b.crt", certwatch.Authorities, 2*time.Hour),
			certificateFile("b.crt", certwatch.Authorities, time.Hour), certificateFile("b.crt", certwatch.Root, 3*time.Hour),
		}
	}
	samples, _ := gather(t, source)
	got := make(map[string]string)
	for sample, value := range samples {
		if labels, ok := strings.CutPrefix(sample, "shorepass_certificate_expiration_timestamp_seconds"); ok {
			got[labels] = fmt.Sprintf("%.0f h", (value-float64(time.Now().Unix()))/3600)
		}
	}
	want := map[string]string{
		`{file="a.crt",use="chain"}`: "-1 h", `{file="b.crt",use="authorities"}`: "1 h", `{file="b.crt",use="root"}`: "3 h",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("certificates (-want +got):\n%s", diff)
	}
}

// metricType returns the type of a metric, which its name tells.
func metricType(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_duration_seconds"):
		return "histogram"
	}
	return "gauge"
}

// TestMetricsTable: docs/monitoring.md has every metric with its type, its labels and its
// meaning. -update writes the table.
func TestMetricsTable(t *testing.T) {
	const page, begin, end = "../../docs/monitoring.md", "<!-- metrics: go test ./cmd/shorepass -run TestMetricsTable -update -->\n", "<!-- end of metrics -->\n"
	body, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(body), begin)
	got, after, complete := strings.Cut(rest, end)
	if !found || !complete {
		t.Fatalf("%s has no %q … %q", page, begin, end)
	}
	want := metricsTable(t)
	if *updateMetrics {
		if err := os.WriteFile(page, []byte(before+begin+want+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the table of metrics in %s is not that of the code; write it anew with -update (-want +got):\n%s", page, diff)
	}
}

// metricsTable returns the rows of all metrics of ours, by their descriptions.
func metricsTable(t *testing.T) string {
	t.Helper()
	metrics := server.NewMetrics()
	if err := metrics.Register(newStatsCollector(statsSource{})); err != nil {
		t.Fatal(err)
	}
	descriptions := make(chan *prometheus.Desc, 1000)
	metrics.Describe(descriptions)
	close(descriptions)
	rows := make(map[string]string)
	description := regexp.MustCompile(`fqName: "(shorepass_\w+)", help: "(.*?)", (?:unit: "[^"]*", )?constLabels: {}, variableLabels: {(.*)}}`)
	for d := range descriptions {
		found := description.FindStringSubmatch(d.String())
		if found == nil {
			continue // of the Go runtime and of the process
		}
		name, help, labels := found[1], found[2], strings.ReplaceAll(found[3], ",", ", ")
		rows[name] = fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, metricType(name), labels, strings.ReplaceAll(help, "|", `\|`))
	}
	table := "| metric | type | labels | meaning |\n|---|---|---|---|\n"
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		table += rows[name]
	}
	return table
}
