package config

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSecret(t *testing.T) {
	folder := t.TempDir()
	loaded := filepath.Join(folder, "credentials")
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		name = filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	write("plain", "canary", 0o600)
	write("newline", "canary\n", 0o440)
	write("crlf", "canary\r\n", 0o600)
	write("newlines", "canary\n\n", 0o600)
	write("blanks", "  canary ", 0o600)
	write("sub/josé", "canary", 0o600)
	write("credentials/ldap", "canary", 0o400)
	write("open", "canary", 0o644)
	write("empty", "\n", 0o600)
	write("long", strings.Repeat("canary", maxSecret), 0o600)
	if err := syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("plain", filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("open", filepath.Join(folder, "openlink")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", loaded)
	t.Setenv("SHOREPASS_TEST_SECRET", "canary\n")
	t.Setenv("SHOREPASS_TEST_EMPTY", "")

	file := func(name string) any { return map[string]any{"file": name} }
	env := func(name string) any { return map[string]any{"env": name} }
	for _, tt := range []struct {
		name  string
		value any
		want  string // the secret
		fails string // or a part of the error
	}{
		{"in place", "canary", "canary", ""},
		{"in place, empty", "", "", ""}, // decode decides whether it may be empty
		{"file", file("plain"), "canary", ""},
		{"absolute file", file(filepath.Join(folder, "plain")), "canary", ""},
		{"one newline is cut", file("newline"), "canary", ""},
		{"one newline from Windows is cut", file("crlf"), "canary", ""},
		{"only one newline is cut", file("newlines"), "canary\n", ""},
		{"blanks are not cut", file("blanks"), "  canary ", ""},
		{"odd file name", file("sub/josé"), "canary", ""},
		{"link", file("link"), "canary", ""},
		{"systemd credential", file("$CREDENTIALS_DIRECTORY/ldap"), "canary", ""},
		{"environment", env("SHOREPASS_TEST_SECRET"), "canary\n", ""},

		{"no file", file("nowhere"), "", "there is no file " + folder + "/nowhere; create it"},
		{"no other variable is expanded", file("$HOME/x"), "", "there is no file " + folder + "/$HOME/x; create it"},
		{"world-readable", file("open"), "", "everybody on this machine can read " + folder + "/open; chmod 600 it"},
		{"world-readable target of a link", file("openlink"), "", "everybody on this machine can read"},
		{"folder", file("sub"), "", "is not a regular file; name the file"},
		{"pipe", file("pipe"), "", "is not a regular file; name the file"},
		{"empty file", file("empty"), "", "empty; write the secret into it"},
		{"long file", file("long"), "", "is longer than a secret can be"},
		{"unset variable", env("SHOREPASS_TEST_UNSET"), "", "SHOREPASS_TEST_UNSET is not set; set it"},
		{"empty variable", env("SHOREPASS_TEST_EMPTY"), "", "SHOREPASS_TEST_EMPTY is not set; set it"},
		{"number", int64(5), "", "written as text in quotes"},
		{"list", []any{"canary"}, "", "written as text in quotes"},
		{"no key", map[string]any{}, "", "written as text in quotes"},
		{"other key", map[string]any{"fil": "canary"}, "", "written as text in quotes"},
		{"both", map[string]any{"file": "plain", "env": "X"}, "", "written as text in quotes"},
		{"key of the wrong type", map[string]any{"file": int64(1)}, "", "written as text in quotes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := newLoader("shorepass.toml", folder, nil)
			got, err := l.secret("x", tt.value)
			if tt.fails == "" && (err != nil || got.Reveal() != tt.want) {
				t.Errorf("secret(%v) = %q, %v; want %q", tt.value, got.Reveal(), err, tt.want)
			}
			if tt.fails != "" && (err == nil || !strings.Contains(err.Error(), tt.fails)) {
				t.Errorf("secret(%v) error = %v, want one with %q", tt.value, err, tt.fails)
			}
			if err != nil && strings.Contains(err.Error(), "canary") {
				t.Errorf("secret(%v) error = %v, which shows the secret", tt.value, err)
			}
		})
	}
}

func TestSecretFileNeedsCredentialsDirectory(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	l := newLoader("shorepass.toml", t.TempDir(), nil)
	_, err := l.secret("x", map[string]any{"file": "$CREDENTIALS_DIRECTORY/ldap"})
	if err == nil || !strings.Contains(err.Error(), "LoadCredential") {
		t.Errorf("secret without the variable: error = %v, want one that names LoadCredential", err)
	}
}
