package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// turns says how what is to be compared takes turns.
type turns struct {
	rounds int
	span   time.Duration
}

// measure is one run, of about so long.
type measure func(ctx context.Context, span time.Duration) (figures, error)

// contestant is a row of a table.
type contestant struct {
	name string
	run  measure
}

// result is what the runs of a contestant came to, each figure the median.
type result struct {
	name string
	figures
	throughput float64 // beside the first contestant's in the same round
	latency    float64 // p50 beside the first one's
	runs       []figures
}

// compare runs the contestants in turn, again and again, after a short round
// that does not count: caches fill, and connections to the store open.
func compare(ctx context.Context, in turns, all []contestant) ([]result, error) {
	runs := make([][]figures, len(all))
	for round := range in.rounds + 1 {
		span := in.span
		if round == 0 {
			span /= 4
		}
		for i, c := range all {
			f, err := c.run(ctx, span)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 {
				runs[i] = append(runs[i], f)
			}
		}
	}
	results := make([]result, len(all))
	for i, c := range all {
		results[i] = summary(c.name, runs[i], runs[0])
	}
	return results, nil
}

// summary takes the medians of runs, beside those of the first contestant.
func summary(name string, runs, first []figures) result {
	return result{
		name: name, runs: runs,
		figures: figures{
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
func ratio(of, to result, figure func(figures) float64) float64 {
	return median(of.runs, func(i int) float64 { return figure(of.runs[i]) / figure(to.runs[i]) })
}

// median is the middle one of what of says of each run.
func median[T cmp.Ordered](runs []figures, of func(i int) T) T {
	values := make([]T, len(runs))
	for i := range runs {
		values[i] = of(i)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
