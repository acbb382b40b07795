package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/containerd/log"
)

// What TestMain settles before any test runs, and nobody changes afterwards.
var (
	binary string // the shorepass under test
	runDir string // whatever the run leaves behind until its end
	logDir string // what servers said
	rootCA string // folder of RootCA.crt and RootCA.key
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	runDir, err = os.MkdirTemp("", "shorepass-e2e-")
	if err != nil {
		return reportError("make a folder for the run", err)
	}
	defer os.RemoveAll(runDir)
	// A directory that drops its privileges must be able to walk through.
	if err := os.Chmod(runDir, 0o755); err != nil {
		return reportError("open the run's folder", err)
	}
	logDir = filepath.Join(runDir, "logs")
	rootCA = filepath.Join(runDir, "root")
	for _, dir := range []string{logDir, rootCA} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return reportError("make a folder for the run", err)
		}
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // or each end of a server with the race detector takes a second
	binary = os.Getenv("SHOREPASS")          // a binary to test as it is
	if binary == "" {
		// With the race detector, since here the server has as many clients
		// at once as it will ever have in a test.
		binary = filepath.Join(runDir, "shorepass")
		build := exec.Command("go", "build", "-race", "-o", binary, "./cmd/shorepass")
		build.Dir = ".."
		if out, err := build.CombinedOutput(); err != nil {
			return reportError("build the server", fmt.Errorf("%w\n%s", err, out))
		}
	}
	if out, err := makeRoot(rootCA).CombinedOutput(); err != nil {
		return reportError("make the root certificate", fmt.Errorf("%w\n%s", err, out))
	}

	if err := makeCertificate(runDir); err != nil {
		return reportError("make the server's certificate", err)
	}
	log.SetLevel("fatal") // containerd's resolver tells its caller what it also logs
	code := m.Run()
	leaks, err := secrets.search(logDir)
	if err != nil {
		return reportError("search the logs for secrets", err)
	}
	for _, leak := range leaks {
		fmt.Println("LEAK:", leak)
		code = 1
	}
	return code
}

// makeRoot is the openssl line of the installation that shorepass was first
// written for, word for word but for the name of the certificate.
func makeRoot(dir string) *exec.Cmd {
	cmd := exec.Command("openssl", "req", "-x509", "-nodes", "-new", "-sha256", "-days", "1024", "-newkey", "rsa:2048",
		"-keyout", "RootCA.key", "-out", "RootCA.crt", "-subj", "/C=US/CN=Registry Auth CA")
	cmd.Dir = dir
	return cmd
}

func reportError(what string, err error) int {
	fmt.Fprintf(os.Stderr, "e2e: %s: %v\n", what, err)
	return 1
}

// need skips a test when a program is missing, and fails it in CI.
func need(t *testing.T, programs ...string) {
	t.Helper()
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is missing: run e2e/install", program)
		}
		t.Skipf("%s is missing: run e2e/install", program)
	}
}

// logNumber numbers what a run makes.
var logNumber atomic.Int64
