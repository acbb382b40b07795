package main

import (
	"fmt"
	"math"
	"time"
)

// head begins a table. ratio says what is in its last column, each row beside
// the first one.
func printHeader(title, ratio string) {
	fmt.Printf("\n%-42s %4s %8s %9s %9s %9s %9s %9s %12s\n", title, "c", "req/s", "p50", "p99", "CPU/req", "in store", "RSS", ratio)
}

// printRow prints a result, with "-" for what was not measured.
func printRow(r result, ratio float64) {
	rss := "-"
	if r.RSS > 0 {
		rss = fmt.Sprintf("%.1fMiB", float64(r.RSS)/(1<<20))
	}
	of := "-"
	if !math.IsNaN(ratio) {
		of = fmt.Sprintf("%.2f", ratio)
	}
	if r.Connections == 0 {
		fmt.Printf("%-42s %63s\n", r.name, rss)
		return
	}
	fmt.Printf("%-42s %4d %8.0f %9s %9s %9s %9s %9s %12s\n", r.name, r.Connections, r.PerSecond,
		formatMicros(r.P50), formatMicros(r.P99), formatMicros(r.CPU), formatMicros(r.Store), rss, of)
}

// printRatios prints the ratios of one result to another.
func printRatios(name string, of, to result) {
	text := func(metric func(metrics) float64) string {
		r := ratio(of, to, metric)
		if math.IsNaN(r) {
			return "-"
		}
		return fmt.Sprintf("%.2f", r)
	}
	fmt.Printf("%-42s %4s %8s %9s %9s %9s %9s %9s %12s\n", name, "",
		text(func(m metrics) float64 { return m.PerSecond }),
		text(func(m metrics) float64 { return float64(m.P50) }),
		text(func(m metrics) float64 { return float64(m.P99) }),
		text(func(m metrics) float64 { return float64(m.CPU) }),
		text(func(m metrics) float64 { return float64(m.Store) }),
		text(func(m metrics) float64 { return float64(m.RSS) }), "")
}

// formatMicros prints a time to the microsecond.
func formatMicros(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Microsecond).String()
}

// printThroughput prints results whose ratio is that of requests a second.
func printThroughput(results []result) {
	for _, r := range results {
		printRow(r, r.throughput)
	}
}

// printLatency prints results whose ratio is that of the p50.
func printLatency(results []result) {
	for _, r := range results {
		printRow(r, r.latency)
	}
}
