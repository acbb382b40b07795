// Command bench measures the throughput, latency percentiles, CPU and memory of
// shorepass. "make bench" takes less than five minutes and prints tables:
//
//   - token requests: anonymous, by refresh token and by a cached password. The
//     baseline is a bare net/http handler that signs one ES256 token and answers as
//     many bytes. Then logins over LDAPS without the cache of right passwords, from
//     new addresses and from known ones. Their baseline is a go-ldap loop with the
//     same searches and bind;
//   - policy decisions by the number of rules;
//   - redemptions with ten and with a million sessions in the store, on SQLite
//     and on PostgreSQL;
//   - three replicas on one PostgreSQL, compared with one.
//
// This command prints the first two, its benchmarks ("go test -bench . ./bench") the
// others.
//
//	go run ./bench -shorepass bin/shorepass
//	go run ./bench -shorepass bin/shorepass -before /tmp/shorepass-before
//
// With -before the first table compares two builds: after the rows of a request come
// the ratios between them.
//
// The runs of a table are paired: after a warm-up, each round runs every row once, for
// a third of a second. A cell is the median over the rounds, and a ratio is the median
// of the ratios within a round. So other programs on the machine disturb the ratios
// less than the absolute figures. The servers, the load generator and the store share
// the cores, so only the CPU per request carries over to another machine.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

func main() {
	binary := flag.String("shorepass", "bin/shorepass", "the binary to measure")
	before := flag.String("before", "", "another binary to compare with, in paired runs; optional")
	only := flag.String("only", "", "a regular expression: measure only the token requests and logins whose names it matches; optional")
	duration := flag.Duration("duration", 350*time.Millisecond, "the duration of a run")
	rounds := flag.Int("rounds", 9, "the number of paired runs that a cell is the median of")
	bare := flag.Int("bare", 0, "serve the bare handler, with tokens of that many bytes (bench uses it itself)")
	flag.Parse()
	var err error
	if *bare > 0 {
		err = serveBare(*bare)
	} else {
		builds := []build{{"shorepass", *binary}}
		if *before != "" {
			builds = []build{{"before", *before}, {"now", *binary}}
		}
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop() // servers end with ctx
		err = run(ctx, builds, *only, schedule{*rounds, *duration})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, builds []build, only string, plan schedule) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "shorepass-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := report{dir, builds, pattern, plan}
	if err := r.measure(ctx); err != nil || only != "" {
		return err
	}
	return measurePolicy(plan)
}
