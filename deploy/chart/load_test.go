package chart

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
)

// TestConfigurationLoads: shorepass takes the configuration of each example, with the
// files and the environment that its pod has, and finds no fault and no warning.
func TestConfigurationLoads(t *testing.T) {
	for _, example := range examples {
		t.Run(filepath.Base(example), func(t *testing.T) {
			folder := etcShorepass(t, decode(t, mustRender(t, "-f", example)))
			out, err := shorepass(t, folder, "check", "--config", "shorepass.toml")
			if err != nil || strings.Contains(out, "warning") {
				t.Errorf("shorepass check: %v\n%s", err, out)
			}
		})
	}
}

// etcShorepass makes a folder with the files that the server's pod has in /etc/shorepass,
// and sets its environment.
func etcShorepass(t *testing.T, o objects) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := shorepass(t, folder, "keys", "init", "--certificate", "RootCA.crt", "--key", "RootCA.key", "--seal-key", "seal.key"); err != nil {
		t.Fatalf("keys init: %v\n%s", err, out)
	}
	root, err := os.ReadFile(filepath.Join(folder, "RootCA.crt"))
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]string{
		"shorepass.toml": o["ConfigMap"].(*core.ConfigMap).Data["shorepass.toml"],
		"ldap.password":  "a password",
		"sso.secret":     "a secret",
		"store.url":      "postgres://shorepass:a-password@db.corp.example/shorepass",
		"corp-ca.crt":    string(root),
	}
	pod, container := o.serverPod(t)
	for _, source := range volume(t, pod, "config").Projected.Sources {
		var items []core.KeyToPath
		if source.Secret != nil {
			items = source.Secret.Items
		} else {
			items = source.ConfigMap.Items
		}
		name := items[0].Path
		if text, ok := content[name]; ok {
			writeFile(t, filepath.Join(folder, name), text)
		} else if _, err := os.Stat(filepath.Join(folder, name)); err != nil {
			t.Fatalf("this test has no content for %s", name)
		}
	}
	for _, variable := range container.Env {
		t.Setenv(variable.Name, "a value")
	}
	return folder
}

// TestNotesHaveTheRegistrysBlock: it is the one that registry-config prints.
func TestNotesHaveTheRegistrysBlock(t *testing.T) {
	for _, example := range examples {
		t.Run(filepath.Base(example), func(t *testing.T) {
			folder := etcShorepass(t, decode(t, mustRender(t, "-f", example)))
			printed, err := shorepass(t, folder, "registry-config", "--config", "shorepass.toml", "--root-certificate", "/etc/distribution/RootCA.crt")
			if err != nil {
				t.Fatalf("registry-config: %v\n%s", err, printed)
			}
			block := regexp.MustCompile(`(?m)^#.*\n`).ReplaceAllString(printed, "")
			text := notes(t, "-f", example)
			if indented := regexp.MustCompile(`(?m)^`).ReplaceAllString(strings.TrimSpace(block), "     "); !strings.Contains(text, indented) {
				t.Errorf("the notes are\n%s\nwant in them\n%s", text, indented)
			}
			if want := `get secret shorepass-keys -o go-template='{{index .data "RootCA.crt" | base64decode}}' > RootCA.crt`; !strings.Contains(text, want) {
				t.Errorf("the notes are\n%s\nwant in them\n%s", text, want)
			}
		})
	}
}

// TestNotesWithoutBlock: where the chart cannot know the settings of every registry, the
// notes have the command alone that prints them.
func TestNotesWithoutBlock(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]string{
		"an existing configuration":     `{config: "", files: {shorepass.toml: {secret: my-config}}}`,
		"settings of a single registry": "[[provider]] => [[service]]\n  name = \"registry.corp.example\"\n  issuer = \"other\"\n\n  [[provider]]",
	} {
		text := notes(t, change(t, sqliteExample, values)...)
		if strings.Contains(text, "rootcertbundle") || !strings.Contains(text, "-- shorepass registry-config --help") {
			t.Errorf("%s: the notes are\n%s", name, text)
		}
	}
}
