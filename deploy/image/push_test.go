package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// page is where the commands to push are described.
const page = "../../docs/installing.md"

// TestPush: the page's commands push the layout into a registry, which then has both
// platforms under the digest of the layout.
func TestPush(t *testing.T) {
	t.Parallel()
	need(t, "registry", "skopeo", "crane")
	host := startRegistry(t)
	made, _ := madeIndex(t, filepath.Join(bin, "image"))
	text, err := os.ReadFile(page)
	must(t, err)
	for _, tool := range []string{"skopeo", "crane"} {
		image := host + "/shorepass:" + tool
		command := regexp.MustCompile(`(?m)^ {4}(` + tool + ` .*?)( {2,}#.*)?$`).FindStringSubmatch(string(text))
		if command == nil {
			t.Fatalf("%s has no command of %s", page, tool)
		}
		push := strings.NewReplacer("skopeo copy", "skopeo copy --dest-tls-verify=false", "bin/image", bin+"/image",
			"registry.corp.example/shorepass:v1.2.0", image).Replace(command[1])
		if out, err := exec.Command("sh", "-c", push).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", push, err, out)
			continue
		}
		if digest := output(t, "crane", "digest", "--insecure", image); digest != made.Digest.String() {
			t.Errorf("%s pushed %s, want %s", tool, digest, made.Digest)
		}
		for _, architecture := range []string{"amd64", "arm64"} {
			var config struct {
				Architecture string
				Config       struct {
					User       string
					Entrypoint []string
					Labels     map[string]string
				}
			}
			text := output(t, "skopeo", "inspect", "--tls-verify=false", "--override-arch", architecture, "--config", "docker://"+image)
			must(t, json.Unmarshal([]byte(text), &config))
			if config.Architecture != architecture || config.Config.User != "65532:65532" || !slices.Equal(config.Config.Entrypoint, []string{program}) {
				t.Errorf("skopeo reads %s for linux/%s", text, architecture)
			}
			if got := config.Config.Labels["org.opencontainers.image.revision"]; got != testRevision {
				t.Errorf("the label revision is %q, want %q", got, testRevision)
			}
		}
	}
}

func output(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	out, err := exec.Command(program, arguments...).Output()
	if err != nil {
		t.Fatalf("%s %v: %v", program, arguments, err)
	}
	return string(bytes.TrimSpace(out))
}

// startRegistry starts distribution 3, and returns its host and port.
func startRegistry(t *testing.T) string {
	t.Helper()
	folder, host := t.TempDir(), fmt.Sprintf("localhost:%d", 20000+rand.IntN(12000))
	config := filepath.Join(folder, "config.yml")
	must(t, os.WriteFile(config, fmt.Appendf(nil, "version: 0.1\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n", folder, host), 0o644))
	cmd := exec.Command("registry", "serve", config)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("the registry printed:\n%s", &log)
		}
	})
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get("http://" + host + "/v2/")
		if err == nil {
			response.Body.Close()
			return host
		}
		if time.Since(began) > time.Minute {
			t.Fatalf("the registry did not listen within a minute: %v", err)
		}
	}
}
