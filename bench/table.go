package main

import (
	"fmt"
	"time"
)

// head begins a table. ratio says what is in its last column, each row beside
// the first one.
func head(title, ratio string) {
	fmt.Printf("\n%-42s %4s %8s %9s %9s %9s %9s %9s %12s\n", title, "c", "req/s", "p50", "p99", "CPU/req", "in store", "RSS", ratio)
}

// row prints a result, with "-" for what was not measured.
func row(r result, ratio float64) {
	rss := "-"
	if r.RSS > 0 {
		rss = fmt.Sprintf("%.1fMiB", float64(r.RSS)/(1<<20))
	}
	fmt.Printf("%-42s %4d %8.0f %9s %9s %9s %9s %9s %12.2f\n", r.name, r.Connections, r.PerSecond,
		micros(r.P50), micros(r.P99), micros(r.CPU), micros(r.Store), rss, ratio)
}

// micros prints a time to the microsecond.
func micros(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Microsecond).String()
}

// byThroughput prints results whose ratio is that of requests a second.
func byThroughput(results []result) {
	for _, r := range results {
		row(r, r.throughput)
	}
}

// byLatency prints results whose ratio is that of the p50.
func byLatency(results []result) {
	for _, r := range results {
		row(r, r.latency)
	}
}
