package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shorepass/session/sqlite"
)

// TestCheck: Open accepts the files that Check accepts, and refuses the others. Check
// creates nothing.
func TestCheck(t *testing.T) {
	open := t.TempDir()
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"no folder":                 filepath.Join(open, "a", "b", "s.db"),
		"a folder without a file":   filepath.Join(folder(t, 0o700), "s.db"),
		"a folder that others read": filepath.Join(folder(t, 0o750), "s.db"),
		"a file for a folder":       filepath.Join(folder(t, 0o700), "file", "s.db"),
		"a folder for a file":       folder(t, 0o700),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "a file for a folder" {
				if err := os.WriteFile(filepath.Dir(file), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			before, _ := os.ReadDir(open)
			exists, err := sqlite.Check(file)
			if after, _ := os.ReadDir(open); len(after) != len(before) {
				t.Error("Check created a file")
			}
			if exists {
				t.Error("Check = true for a file that does not exist")
			}
			store, openErr := sqlite.Open(t.Context(), file)
			if openErr == nil {
				defer store.Close()
			}
			if (err == nil) != (openErr == nil) {
				t.Fatalf("Check = %v, Open = %v, want both to accept or refuse", err, openErr)
			}
			if err != nil {
				return
			}
			if exists, err := sqlite.Check(file); !exists || err != nil {
				t.Errorf("Check of a file that was opened = %v, %v, want true", exists, err)
			}
			if err := os.Chmod(file, 0o644); err != nil {
				t.Fatal(err)
			}
			if _, err := sqlite.Check(file); err == nil || !strings.Contains(err.Error(), "others may read the store") {
				t.Errorf("Check of a file that others may read: %v", err)
			}
		})
	}
}

func folder(t *testing.T, mode os.FileMode) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(dir, mode); err != nil {
		t.Fatal(err)
	}
	return dir
}
