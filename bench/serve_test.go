package main

import (
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// short is how the benchmarks take turns.
var short = turns{rounds: 9, span: 350 * time.Millisecond}

// build builds the binary to measure.
func build(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "shorepass")
	if out, err := exec.Command("go", "build", "-o", binary, "shorepass/cmd/shorepass").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return binary
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
