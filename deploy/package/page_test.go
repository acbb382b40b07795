package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pageBlock returns the block of docs/installing.md, in the section on packages, that has
// this text.
func pageBlock(t *testing.T, with string) string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(top, "docs/installing.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Debian and RPM packages\n")
	section, _, _ = strings.Cut(section, "\n## ")
	block := ""
	for line := range strings.Lines(section + "\nend") {
		code, ok := strings.CutPrefix(line, "    ")
		switch {
		case ok:
			block += code
		case strings.Contains(block, with):
			return block
		default:
			block = ""
		}
	}
	t.Fatalf("the section has no block with %q", with)
	return ""
}

// TestPageCommands: the commands of the first block exist.
func TestPageCommands(t *testing.T) {
	const want = "sudo apt install ./shorepass_1.2.0_amd64.deb      # or: sudo dnf install ./shorepass-1.2.0.amd64.rpm\n" +
		"sudo editor /etc/shorepass/shorepass.toml\nsudo shorepass check\nsudo systemctl enable --now shorepass\nsudo shorepass registry-config\n"
	if got := pageBlock(t, "apt install"); got != want {
		t.Errorf("the first block is\n%s\nand TestDebianPackage runs\n%s", got, want)
	}
}
