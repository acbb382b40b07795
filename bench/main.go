// Command bench measures shorepass. "make bench" runs all of it, in under five
// minutes, and prints tables:
//
//   - requests: anonymous, by refresh token, by a cached password, beside the limit,
//     a bare net/http handler that signs one ES256 token and answers as many bytes;
//     and logins over LDAPS that no cache answers, from new addresses and from known
//     ones, beside a bare go-ldap loop that asks the directory the same;
//   - policy decisions against the number of rules;
//   - redemptions with ten and with a million sessions in the store, on SQLite
//     and on PostgreSQL;
//   - three replicas on one PostgreSQL, beside one.
//
// The first two are this command, the others its benchmarks ("go test -bench .
// ./bench").
//
//	go run ./bench -shorepass bin/shorepass
//	go run ./bench -shorepass bin/shorepass -before /tmp/shorepass-before
//
// With -before another binary takes its turns in the first table, and each row of
// the two is followed by the ratios between them.
//
// What a table compares runs in turn, a third of a second each, again and
// again; a cell is the median of these runs, and the ratio that of the ratios
// within a turn. So ratios can be trusted on a machine that does other things
// too, where absolute figures depend on its mood. The server, the load and the
// store share the machine's cores: what carries over to another machine is the
// CPU that a request takes.
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
	before := flag.String("before", "", "another binary to measure beside it, in turns; optional")
	only := flag.String("only", "", "a regular expression: measure only the requests of the first table whose names it matches; optional")
	duration := flag.Duration("span", 350*time.Millisecond, "how long each run takes")
	rounds := flag.Int("rounds", 9, "how many runs each cell is the median of")
	bare := flag.Int("bare", 0, "serve the bare handler with tokens of that many bytes instead (used by bench itself)")
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
