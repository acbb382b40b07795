package sqlite_test

import (
	"bytes"
	"crypto/rand"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shorepass/providers"
	"shorepass/session"
	"shorepass/session/sqlite"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func exec(t *testing.T, file, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	must(t, err)
	_, err = db.Exec(statement)
	must(t, err)
	must(t, db.Close())
}

// refuses holds that the file is refused with what is to be done, and left as
// it is.
func refuses(t *testing.T, file, want string) {
	t.Helper()
	before, _ := os.ReadFile(file)
	s, err := sqlite.Open(t.Context(), file)
	if err == nil {
		s.Close()
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("Open = %v, want %q in it", err, want)
	}
	if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestOpenRefuses(t *testing.T) {
	made := func(t *testing.T) string {
		file := filepath.Join(t.TempDir(), "data", "shorepass.db")
		s, err := sqlite.Open(t.Context(), file)
		must(t, err)
		must(t, s.Close())
		return file
	}
	t.Run("a newer schema", func(t *testing.T) {
		file := made(t)
		exec(t, file, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)")
		refuses(t, file, "its schema is version 99 and this program knows 3; start the newer program")
	})
	t.Run("no database", func(t *testing.T) {
		file := made(t)
		must(t, os.WriteFile(file, bytes.Repeat([]byte("no database\n"), 1000), 0o600))
		refuses(t, file, "the file is damaged, or is no SQLite database; it was left as it is")
	})
	t.Run("a damaged one", func(t *testing.T) {
		file := made(t)
		text, err := os.ReadFile(file)
		must(t, err)
		rand.Read(text[100:4096])
		must(t, os.WriteFile(file, text, 0o600))
		refuses(t, file, "the file is damaged")
	})
	t.Run("a file that others may read", func(t *testing.T) {
		file := made(t)
		must(t, os.Chmod(file, 0o644))
		refuses(t, file, "chmod 600 "+file)
	})
	for _, mode := range []os.FileMode{0o777, 0o755, 0o750, 0o711} {
		t.Run(fmt.Sprintf("a folder of the mode %o", mode), func(t *testing.T) {
			file := made(t)
			must(t, os.Chmod(filepath.Dir(file), mode))
			refuses(t, file, "chmod 700 "+filepath.Dir(file))
		})
	}
	t.Run("a folder", func(t *testing.T) {
		refuses(t, t.TempDir(), "is a directory")
	})
	t.Run("a folder that is none", func(t *testing.T) {
		refuses(t, filepath.Join(made(t), "shorepass.db"), "not a directory")
	})
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "a", "b c?#%&")
	file := filepath.Join(folder, "shorepass.db")
	s := open(t, file)
	must(t, s.SetSetting(t.Context(), "x", []byte("y")))
	if got := s.Folder(); got != folder {
		t.Errorf("Folder = %q, want %q", got, folder)
	}
	for name, want := range map[string]os.FileMode{folder: 0o700, file: 0o600, file + "-wal": 0o600, file + "-shm": 0o600} {
		info, err := os.Stat(name)
		must(t, err)
		if got := info.Mode().Perm(); got != want {
			t.Errorf("the mode of %s is %v, want %v", name, got, want)
		}
	}
}

// Several processes that start at once on a new file bring it to its schema
// once.
func TestOpenAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			s, err := sqlite.Open(t.Context(), file)
			if err != nil {
				t.Error(err)
				return
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// While the disk is full, or another process holds the file, logins fail with
// what is to be done, and what is there can still be redeemed.
func TestFullAndLocked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	store, err := sqlite.Open(t.Context(), file)
	must(t, err)
	s, err := session.New(t.Context(), session.Config{}.WithDefaults(), store, vouching{}, slog.New(slog.DiscardHandler))
	must(t, err)
	defer s.Close()
	id := &providers.Identity{Provider: "corp", Fingerprint: vouching{}.Fingerprint("corp"), Subject: "1", User: "alice", Groups: []string{strings.Repeat("g", 100_000)}}
	token, _, err := s.Issue(t.Context(), id, "registry", session.Client{})
	must(t, err)
	redeem := func() {
		t.Helper()
		if _, err := s.Redeem(t.Context(), token, "registry", session.Client{}, session.KindRefresh); err != nil {
			t.Errorf("Redeem = %v", err)
		}
	}
	issue := func(want string) {
		t.Helper()
		other := *id
		other.Subject += "x"
		_, _, err := s.Issue(t.Context(), &other, "registry", session.Client{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("Issue = %v, want %q in it", err, want)
		}
	}
	must(t, sqlite.ExportFillDisk(store, true))
	issue("the disk is full; nothing was lost, make room")
	redeem()
	must(t, sqlite.ExportFillDisk(store, false))
	issue("")

	other, err := sql.Open("sqlite", file+"?_busy_timeout=5000") // the first use may just be being kept
	must(t, err)
	defer other.Close()
	other.SetMaxOpenConns(1)
	_, err = other.Exec("BEGIN IMMEDIATE")
	must(t, err)
	redeem()
	issue("another process has locked the file")
	_, err = other.Exec("ROLLBACK")
	must(t, err)
	issue("")
}
