// Package monitoring has a dashboard for Grafana and rules for Prometheus, and tests
// that hold them against the metrics of shorepass. docs/monitoring.md says how to use
// them. The test with a real server and a real Prometheus is TestMonitoring in e2e.
package monitoring
