package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// schedule says how many paired runs a comparison makes of each variant.
type schedule struct {
	rounds   int           // in each, every variant runs once
	duration time.Duration // of a run
}

// runFunc makes one run, of about the given duration.
type runFunc func(ctx context.Context, duration time.Duration) (metrics, error)

// variant is one of the things that a table compares: a row. The first one of a table
// is the baseline.
type variant struct {
	name string
	run  runFunc
}

// result has the medians over the runs of a variant.
type result struct {
	name string
	metrics
	throughput float64 // relative to the baseline in the same round
	latency    float64 // p50, relative to the baseline
	runs       []metrics
}

// compare makes paired runs: in each round every variant runs once, in turn. A
// shorter warm-up round, which fills caches and opens connections to the store, is
// not counted.
func compare(ctx context.Context, plan schedule, all []variant) ([]result, error) {
	runs := make([][]metrics, len(all))
	for round := range plan.rounds + 1 {
		duration := plan.duration
		if round == 0 {
			duration /= 4
		}
		for i, v := range all {
			m, err := v.run(ctx, duration)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			if round > 0 {
				runs[i] = append(runs[i], m)
			}
		}
	}
	results := make([]result, len(all))
	for i, v := range all {
		results[i] = summarize(v.name, runs[i], runs[0])
	}
	return results, nil
}

// summarize returns the medians of runs, and those of their ratios to the baseline.
func summarize(name string, runs, baseline []metrics) result {
	return result{
		name: name, runs: runs,
		metrics: metrics{
			Connections: runs[0].Connections,
			PerSecond:   median(runs, func(i int) float64 { return runs[i].PerSecond }),
			P50:         median(runs, func(i int) time.Duration { return runs[i].P50 }),
			P99:         median(runs, func(i int) time.Duration { return runs[i].P99 }),
			CPU:         median(runs, func(i int) time.Duration { return runs[i].CPU }),
			Store:       median(runs, func(i int) time.Duration { return runs[i].Store }),
			RSS:         runs[len(runs)-1].RSS,
		},
		throughput: median(runs, func(i int) float64 { return runs[i].PerSecond / baseline[i].PerSecond }),
		latency:    median(runs, func(i int) float64 { return float64(runs[i].P50) / float64(baseline[i].P50) }),
	}
}

// ratio returns the median, over paired runs, of the ratio of a metric.
func ratio(of, to result, metric func(metrics) float64) float64 {
	return median(of.runs, func(i int) float64 { return metric(of.runs[i]) / metric(to.runs[i]) })
}

// median returns the median of a value of each run.
func median[T cmp.Ordered](runs []metrics, valueOf func(i int) T) T {
	values := make([]T, len(runs))
	for i := range runs {
		values[i] = valueOf(i)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
