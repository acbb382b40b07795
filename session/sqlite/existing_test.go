package sqlite_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/session"
	"shorepass/session/sqlite"
)

// doesNotOpen tests that OpenExisting refuses a file with an error that contains
// want, creates nothing and leaves the file unchanged. It returns the error.
func doesNotOpen(t *testing.T, file, want string) error {
	t.Helper()
	before, _ := os.ReadFile(file)
	listed, _ := os.ReadDir(filepath.Dir(file))
	s, err := sqlite.OpenExisting(t.Context(), file)
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("OpenExisting = %v, want %q in it", err, want)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("OpenExisting changed the file")
	}
	if now, _ := os.ReadDir(filepath.Dir(file)); len(now) != len(listed) {
		t.Errorf("OpenExisting left %v, want %v", now, listed)
	}
	return err
}

func TestOpenExistingRefuses(t *testing.T) {
	createFile := func(t *testing.T, statements string) string {
		file := filepath.Join(folder(t, 0o700), "shorepass.db")
		exec(t, file, statements)
		must(t, os.Chmod(file, 0o600))
		return file
	}
	t.Run("no folder", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "data", "shorepass.db")
		if err := doesNotOpen(t, file, "start the server first"); !errors.Is(err, session.ErrNoStore) {
			t.Errorf("OpenExisting = %v, want %v", err, session.ErrNoStore)
		}
		if _, err := os.Stat(filepath.Dir(file)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("OpenExisting created the folder of the store: %v", err)
		}
	})
	t.Run("no file", func(t *testing.T) {
		if err := doesNotOpen(t, filepath.Join(folder(t, 0o700), "shorepass.db"), "start the server first"); !errors.Is(err, session.ErrNoStore) {
			t.Errorf("OpenExisting = %v, want %v", err, session.ErrNoStore)
		}
	})
	t.Run("an empty file", func(t *testing.T) { // the first start was killed
		if err := doesNotOpen(t, createFile(t, "SELECT 1"), "start the server first"); !errors.Is(err, session.ErrNoStore) {
			t.Errorf("OpenExisting = %v, want %v", err, session.ErrNoStore)
		}
	})
	t.Run("another program's file", func(t *testing.T) {
		doesNotOpen(t, createFile(t, "CREATE TABLE note (body TEXT)"), "it is another program's SQLite file")
	})
	t.Run("another program's file in WAL mode", func(t *testing.T) {
		doesNotOpen(t, createFile(t, "PRAGMA journal_mode = WAL; CREATE TABLE note (body TEXT)"), "it is another program's SQLite file")
	})
	t.Run("a file that is no database", func(t *testing.T) {
		file := createFile(t, "SELECT 1")
		must(t, os.WriteFile(file, bytes.Repeat([]byte("no database\n"), 1000), 0o600))
		doesNotOpen(t, file, "is no SQLite database")
	})
	t.Run("a file that others may read", func(t *testing.T) {
		file := createFile(t, "SELECT 1")
		must(t, os.Chmod(file, 0o644))
		doesNotOpen(t, file, "chmod 600 "+file)
	})
	t.Run("a folder that others may read", func(t *testing.T) {
		file := createFile(t, "SELECT 1")
		must(t, os.Chmod(filepath.Dir(file), 0o755))
		doesNotOpen(t, file, "chmod 700 "+filepath.Dir(file))
	})
	t.Run("a file in the place of the folder", func(t *testing.T) {
		doesNotOpen(t, filepath.Join(createFile(t, "SELECT 1"), "shorepass.db"), "not a directory")
	})
}

// TestOpenExistingMigratesNothing opens a file with this program and with one that has
// one more migration.
func TestOpenExistingMigratesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	must(t, open(t, file).Close())

	undo := sqlite.ExportNewerProgram("CREATE TABLE later (a INTEGER);")
	defer func() { undo() }()
	err := doesNotOpen(t, file, "its schema is version 3 and this program needs 4; start the server first")
	if older, ok := errors.AsType[*session.OlderSchemaError](err); !ok || *older != (session.OlderSchemaError{Is: 3, Needed: 4}) {
		t.Errorf("OpenExisting = %v, want an OlderSchemaError", err)
	}
	must(t, open(t, file).Close())
	s, err := sqlite.OpenExisting(t.Context(), file)
	must(t, err)
	must(t, s.Close())

	undo()
	undo = func() {}
	err = doesNotOpen(t, file, "its schema is version 4 and this program knows 3; start the newer program")
	if _, ok := errors.AsType[*session.NewerSchemaError](err); !ok {
		t.Errorf("OpenExisting = %v, want a NewerSchemaError", err)
	}
}

// TestOldestSchema: this program serves a newer schema only if its setting
// OldestSchema allows it.
func TestOldestSchema(t *testing.T) {
	for _, tt := range []struct {
		oldest string
		serves bool
	}{{"2", true}, {"3", true}, {"4", false}, {"", false}, {"0", false}, {"three", false}} {
		file := filepath.Join(t.TempDir(), "data", "shorepass.db")
		undo := sqlite.ExportNewerProgram("INSERT INTO setting VALUES ('oldest_schema_4', CAST('" + tt.oldest + "' AS BLOB));")
		must(t, open(t, file).Close())
		undo()
		for name, open := range map[string]func(context.Context, string) (*sqlite.Store, error){"Open": sqlite.Open, "OpenExisting": sqlite.OpenExisting} {
			s, err := open(t.Context(), file)
			if (err == nil) != tt.serves {
				t.Errorf("%s, where the setting is %q: %v", name, tt.oldest, err)
			}
			if err == nil {
				must(t, s.Close())
			}
		}
	}
}

// TestOpenExistingWritesNothing: a file that is only read stays unchanged, byte by
// byte, with its journal mode.
func TestOpenExistingWritesNothing(t *testing.T) {
	for name, statements := range map[string]string{
		"write-ahead log":  "SELECT 1",
		"rollback journal": "PRAGMA journal_mode = DELETE",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "data", "shorepass.db")
			must(t, open(t, file).Close())
			exec(t, file, statements)
			hourAgo := time.Now().Add(-time.Hour).Truncate(time.Second)
			must(t, os.Chtimes(file, hourAgo, hourAgo))
			before, err := os.ReadFile(file)
			must(t, err)
			s, err := sqlite.OpenExisting(t.Context(), file)
			must(t, err)
			_, err = s.List(t.Context(), session.Selector{}, session.Hash{}, 10)
			must(t, err)
			must(t, s.Close())
			info, err := os.Stat(file)
			must(t, err)
			if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) || !info.ModTime().Equal(hourAgo) {
				t.Errorf("the file was changed at %v, %v", info.ModTime(), err)
			}
			if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
				t.Errorf("the folder has %v, want the file alone", left)
			}
		})
	}
}
