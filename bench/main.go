// Command bench measures shorepass beside the limit: a bare net/http handler
// that signs one ES256 token and answers as many bytes. Both are processes of
// their own, on the same machine, in one run, one after the other; so ratios
// can be trusted where absolute figures depend on the machine and its mood.
//
//	go run ./bench -shorepass bin/shorepass
//
// It prints a table for the refresh-token path and the remembered-password path,
// and the time of a policy decision against the number of rules.
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
	span := flag.Duration("span", 5*time.Second, "how long each run takes")
	bare := flag.Int("bare", 0, "serve the bare handler with tokens of that many bytes instead (used by bench itself)")
	flag.Parse()
	var err error
	if *bare > 0 {
		err = serveBare(*bare)
	} else {
		err = run(context.Background(), *binary, *span)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, binary string, span time.Duration) error {
	dir, err := os.MkdirTemp("", "shorepass-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := measureTokens(ctx, binary, dir, span); err != nil {
		return fmt.Errorf("token requests: %w", err)
	}
	return measurePolicy()
}
