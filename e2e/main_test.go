package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/containerd/log"
)

// TestMain sets these before any test runs; they never change afterwards.
var (
	binary string // path of the shorepass under test
	runDir string // files of the run, deleted at its end
	logDir string // output and metrics of servers
	rootCA string // folder of RootCA.crt and RootCA.key
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	runDir, err = os.MkdirTemp("", "shorepass-e2e-")
	if err != nil {
		return reportError("make the folder of the run", err)
	}
	defer os.RemoveAll(runDir)
	// A directory server that drops its privileges must be able to enter it.
	if err := os.Chmod(runDir, 0o755); err != nil {
		return reportError("let others enter the folder of the run", err)
	}
	logDir = filepath.Join(runDir, "logs")
	rootCA = filepath.Join(runDir, "root")
	for _, dir := range []string{logDir, rootCA} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return reportError("make a folder in that of the run", err)
		}
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0") // otherwise the race detector delays every exit by a second
	binary = os.Getenv("SHOREPASS")          // a binary to test unchanged
	if binary == "" {
		// With the race detector: no other test gives the server as many
		// concurrent clients.
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
	log.SetLevel("fatal") // containerd's resolver returns the same errors
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

// makeRoot returns the openssl command that made the root of the first
// installation of shorepass. Only the name of the certificate differs.
func makeRoot(dir string) *exec.Cmd {
	cmd := exec.Command("openssl", "req", "-x509", "-nodes", "-new", "-sha256", "-days", "1024", "-newkey", "rsa:2048",
		"-keyout", "RootCA.key", "-out", "RootCA.crt", "-subj", "/C=US/CN=Registry Auth CA")
	cmd.Dir = dir
	return cmd
}

// reportError prints an error and returns the exit code.
func reportError(action string, err error) int {
	fmt.Fprintf(os.Stderr, "e2e: couldn't %s: %v\n", action, err)
	return 1
}

// need skips a test if a program is missing, and fails it in CI.
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
