package main

import (
	"fmt"
	"math"
	"time"
)

// printHeader prints the header of a table. ratio is the title of the last column,
// which compares each row with the first one.
func printHeader(title, ratio string) {
	fmt.Printf("\n%-41s %5s %8s %9s %9s %9s %9s %9s %12s\n", title, "conns", "req/s", "p50", "p99", "CPU/req", "store/req", "RSS", ratio)
}

// printRow prints a result, with "-" for a metric that was not measured.
func printRow(r result, ratio float64) {
	rss := "-"
	if r.RSS > 0 {
		rss = fmt.Sprintf("%.1fMiB", float64(r.RSS)/(1<<20))
	}
	relative := "-"
	if !math.IsNaN(ratio) {
		relative = fmt.Sprintf("%.2f", ratio)
	}
	if r.Connections == 0 {
		fmt.Printf("%-41s %64s\n", r.name, rss)
		return
	}
	fmt.Printf("%-41s %5d %8.0f %9s %9s %9s %9s %9s %12s\n", r.name, r.Connections, r.PerSecond,
		formatMicros(r.P50), formatMicros(r.P99), formatMicros(r.CPU), formatMicros(r.Store), rss, relative)
}

// printRatios prints the ratio of each metric of two results.
func printRatios(name string, of, to result) {
	text := func(metric func(metrics) float64) string {
		r := ratio(of, to, metric)
		if math.IsNaN(r) {
			return "-"
		}
		return fmt.Sprintf("%.2f", r)
	}
	fmt.Printf("%-41s %5s %8s %9s %9s %9s %9s %9s %12s\n", name, "",
		text(func(m metrics) float64 { return m.PerSecond }),
		text(func(m metrics) float64 { return float64(m.P50) }),
		text(func(m metrics) float64 { return float64(m.P99) }),
		text(func(m metrics) float64 { return float64(m.CPU) }),
		text(func(m metrics) float64 { return float64(m.Store) }),
		text(func(m metrics) float64 { return float64(m.RSS) }), "")
}

// formatMicros returns a time rounded to a microsecond, "-" for 0.
func formatMicros(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return d.Round(time.Microsecond).String()
}

// printThroughput prints results and the ratios of their throughput.
func printThroughput(results []result) {
	for _, r := range results {
		printRow(r, r.throughput)
	}
}

// printLatency prints results and the ratios of their p50.
func printLatency(results []result) {
	for _, r := range results {
		printRow(r, r.latency)
	}
}
