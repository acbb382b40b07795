package durable_test

import (
	"os"
	"path/filepath"
	"testing"

	"shorepass/internal/durable"
)

// TestReplace: the new content has the mode that was asked for, whatever the old file had,
// and no other file is left in the folder, not after an error either.
func TestReplace(t *testing.T) {
	folder := t.TempDir()
	name := filepath.Join(folder, "file")
	for _, content := range []string{"one", "two, longer", ""} {
		if err := durable.Replace(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		data, state, err := durable.Read(name, 100)
		if err != nil || string(data) != content || state.Mode().Perm() != 0o600 {
			t.Errorf("after Replace the file has %q, mode %v, %v; want %q", data, state.Mode(), err, content)
		}
		if err := os.Chmod(name, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(folder, "taken"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := durable.Replace(filepath.Join(folder, "taken"), nil, 0o600); err == nil {
		t.Error("Replace of a folder succeeds")
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v, %v; want the file and the folder alone", entries, err)
	}
}
