package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// shortRuns is the schedule of the benchmarks.
var shortRuns = schedule{rounds: 9, duration: 350 * time.Millisecond}

// buildBinary builds the binary with make, as users build it, and returns its path.
func buildBinary(b *testing.B) string {
	b.Helper()
	if out, err := exec.Command("make", "-C", "..", "build").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return filepath.Join("..", "bin", "shorepass")
}

// serve starts the binary and stops it when the benchmark ends.
func serve(b *testing.B, binary, dir, config string) *process {
	b.Helper()
	s, err := startShorepass(b.Context(), binary, dir, config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.stop)
	return s
}
