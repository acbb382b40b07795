package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// short is how the benchmarks take turns.
var shortRuns = schedule{rounds: 9, duration: 350 * time.Millisecond}

// buildBinary builds the binary to measure, as it is built for everybody.
func buildBinary(b *testing.B) string {
	b.Helper()
	if out, err := exec.Command("make", "-C", "..", "build").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return filepath.Join("..", "bin", "shorepass")
}

// serve starts the binary and ends it with the benchmark.
func serve(b *testing.B, binary, dir, config string) *process {
	b.Helper()
	s, err := startShorepass(b.Context(), binary, dir, config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.stop)
	return s
}
