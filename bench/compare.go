package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// turns says how what is to be compared takes turns.
type schedule struct {
	rounds   int
	duration time.Duration
}

// measure is one run, of about so long.
type runFunc func(ctx context.Context, duration time.Duration) (metrics, error)

// variant is a row of a table.
type variant struct {
	name string
	run  runFunc
}

// result is what the runs of a contestant came to, each figure the median.
type result struct {
	name string
	metrics
	throughput float64 // beside the first variant's in the same round
	latency    float64 // p50 beside the first one's
	runs       []metrics
}

// compare runs the contestants in turn, again and again, after a short round
// that does not count: caches fill, and connections to the store open.
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

// summary takes the medians of runs, beside those of the first contestant.
func summarize(name string, runs, first []metrics) result {
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
		throughput: median(runs, func(i int) float64 { return runs[i].PerSecond / first[i].PerSecond }),
		latency:    median(runs, func(i int) float64 { return float64(runs[i].P50) / float64(first[i].P50) }),
	}
}

// ratio is the median of the ratios of a figure of two results in the same round.
func ratio(of, to result, metric func(metrics) float64) float64 {
	return median(of.runs, func(i int) float64 { return metric(of.runs[i]) / metric(to.runs[i]) })
}

// median is the middle one of what of says of each run.
func median[T cmp.Ordered](runs []metrics, of func(i int) T) T {
	values := make([]T, len(runs))
	for i := range runs {
		values[i] = of(i)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
