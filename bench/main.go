// Command bench measures shorepass. "make bench" runs all of it, in under five
// minutes, and prints tables:
//
//   - token requests: the refresh-token path and the remembered-password path,
//     beside the limit, a bare net/http handler that signs one ES256 token and
//     answers as many bytes;
//   - policy decisions against the number of rules;
//   - uncached logins over LDAPS, beside a bare go-ldap loop that asks the
//     directory the same;
//   - redemptions with ten and with a million sessions in the store, on SQLite
//     and on PostgreSQL;
//   - three replicas on one PostgreSQL, beside one.
//
// The first two are this command, the others its benchmarks ("go test -bench .
// ./bench"), since what starts a real directory or database belongs to tests.
//
//	go run ./bench -shorepass bin/shorepass
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
	"time"
)

func main() {
	binary := flag.String("shorepass", "bin/shorepass", "the binary to measure")
	span := flag.Duration("span", 350*time.Millisecond, "how long each run takes")
	rounds := flag.Int("rounds", 9, "how many runs each cell is the median of")
	bare := flag.Int("bare", 0, "serve the bare handler with tokens of that many bytes instead (used by bench itself)")
	flag.Parse()
	var err error
	if *bare > 0 {
		err = serveBare(*bare)
	} else {
		err = run(context.Background(), *binary, turns{*rounds, *span})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, in turns) error {
	dir, err := os.MkdirTemp("", "shorepass-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := measureTokens(ctx, binary, dir, in); err != nil {
		return fmt.Errorf("token requests: %w", err)
	}
	return measurePolicy(in)
}
