package main

import (
	"fmt"
	"math"
	"time"
)

// head begins a table. ratio says what is in its last column, each row beside
// the first one.
func head(title, ratio string) {
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
		micros(r.P50), micros(r.P99), micros(r.CPU), micros(r.Store), rss, of)
}

// printRatios prints the ratios of one result to another.
func printRatios(name string, of, to result) {
	text := func(figure func(figures) float64) string {
		r := ratio(of, to, figure)
		if math.IsNaN(r) {
			return "-"
		}
		return fmt.Sprintf("%.2f", r)
	}
	fmt.Printf("%-42s %4s %8s %9s %9s %9s %9s %9s %12s\n", name, "",
		text(func(f figures) float64 { return f.PerSecond }),
		text(func(f figures) float64 { return float64(f.P50) }),
		text(func(f figures) float64 { return float64(f.P99) }),
		text(func(f figures) float64 { return float64(f.CPU) }),
		text(func(f figures) float64 { return float64(f.Store) }),
		text(func(f figures) float64 { return float64(f.RSS) }), "")
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
		printRow(r, r.throughput)
	}
}

// byLatency prints results whose ratio is that of the p50.
func byLatency(results []result) {
	for _, r := range results {
		printRow(r, r.latency)
	}
}
