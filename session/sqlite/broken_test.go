package sqlite_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

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

// exec runs statements on a connection of its own, as another program does.
func exec(t *testing.T, file, statements string) {
	t.Helper()
	conn, err := zombiezen.OpenConn(file, zombiezen.OpenReadWrite|zombiezen.OpenCreate)
	must(t, err)
	for statement := range strings.SplitSeq(statements, "; ") {
		must(t, sqlitex.ExecuteTransient(conn, statement, nil))
	}
	must(t, conn.Close())
}

// refuses tests that Open refuses the file with an error that contains want, and
// leaves it unchanged.
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
	createFile := func(t *testing.T) string {
		file := filepath.Join(t.TempDir(), "data", "shorepass.db")
		s, err := sqlite.Open(t.Context(), file)
		must(t, err)
		must(t, s.Close())
		return file
	}
	t.Run("a newer schema", func(t *testing.T) {
		file := createFile(t)
		exec(t, file, "PRAGMA user_version = 99")
		refuses(t, file, "its schema is version 99 and this program knows 3; start the newer program")
	})
	t.Run("a schema from before version 1", func(t *testing.T) {
		file := createFile(t)
		exec(t, file, "CREATE TABLE goose_db_version (version_id INTEGER); CREATE TABLE renewal (token BLOB); PRAGMA application_id = 0; PRAGMA user_version = 0")
		refuses(t, file, "it was made before the first release, and its schema cannot be brought to this version's; move it away")
	})
	t.Run("a file that a program from before version 1 tried to open", func(t *testing.T) {
		file := createVersion1(t)                                           // it has tables of the same names
		exec(t, file, "CREATE TABLE goose_db_version (version_id INTEGER)") // what such a program does before it fails
		s, err := sqlite.Open(t.Context(), file)
		must(t, err)
		must(t, s.Close())
	})
	for name, statements := range map[string]string{
		"another program's file":                        "CREATE TABLE note (body TEXT)",
		"another program's file in WAL mode":            "PRAGMA journal_mode = WAL; CREATE TABLE note (body TEXT)",
		"another program's file with a user_version":    "PRAGMA user_version = 1",
		"another program's file with an application_id": "PRAGMA application_id = 1",
		"another program's file made by goose":          "CREATE TABLE goose_db_version (version_id INTEGER)",
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(folder(t, 0o700), "other.db")
			exec(t, file, statements)
			must(t, os.Chmod(file, 0o600))
			refuses(t, file, "it is another program's SQLite file, and was left unchanged; name another file in session.store")
		})
	}
	t.Run("a file that is no database", func(t *testing.T) {
		file := createFile(t)
		must(t, os.WriteFile(file, bytes.Repeat([]byte("no database\n"), 1000), 0o600))
		refuses(t, file, "the file is damaged, or is no SQLite database; it was left unchanged")
	})
	t.Run("a damaged file", func(t *testing.T) {
		file := createFile(t)
		text, err := os.ReadFile(file)
		must(t, err)
		rand.Read(text[100:4096])
		must(t, os.WriteFile(file, text, 0o600))
		refuses(t, file, "the file is damaged")
	})
	t.Run("a file that others may read", func(t *testing.T) {
		file := createFile(t)
		must(t, os.Chmod(file, 0o644))
		refuses(t, file, "chmod 600 "+file)
	})
	for _, mode := range []os.FileMode{0o777, 0o755, 0o750, 0o711} {
		t.Run(fmt.Sprintf("a folder with mode %o", mode), func(t *testing.T) {
			file := createFile(t)
			must(t, os.Chmod(filepath.Dir(file), mode))
			refuses(t, file, "chmod 700 "+filepath.Dir(file))
		})
	}
	t.Run("a folder in the place of the file", func(t *testing.T) {
		refuses(t, t.TempDir(), "is a directory")
	})
	t.Run("a file in the place of the folder", func(t *testing.T) {
		refuses(t, filepath.Join(createFile(t), "shorepass.db"), "not a directory")
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

// TestOpenWritesNothing: Open leaves a file with the current schema unchanged, byte by
// byte.
func TestOpenWritesNothing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	must(t, open(t, file).Close())
	hourAgo := time.Now().Add(-time.Hour).Truncate(time.Second)
	must(t, os.Chtimes(file, hourAgo, hourAgo))
	before, err := os.ReadFile(file)
	must(t, err)
	s := open(t, file)
	if wal, err := os.Stat(file + "-wal"); err == nil && wal.Size() > 0 {
		t.Errorf("opening wrote %d bytes to the journal", wal.Size())
	}
	must(t, s.Close())
	info, err := os.Stat(file)
	must(t, err)
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(before, after) || !info.ModTime().Equal(hourAgo) {
		t.Errorf("the file was changed at %v, %v", info.ModTime(), err)
	}
}

// TestLockWaitEndsWithContext: a caller whose context ends stops waiting for another
// process's lock, and releases the write lock to the next caller.
func TestLockWaitEndsWithContext(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	s := open(t, file)
	other, err := zombiezen.OpenConn(file, zombiezen.OpenReadWrite)
	must(t, err)
	defer other.Close()
	must(t, sqlitex.ExecuteTransient(other, "BEGIN IMMEDIATE", nil))
	for name, within := range map[string]func() (context.Context, context.CancelFunc){
		"deadline": func() (context.Context, context.CancelFunc) {
			return context.WithTimeout(t.Context(), 100*time.Millisecond)
		},
		"canceled": func() (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			return ctx, cancel
		},
	} {
		ctx, cancel := within()
		began := time.Now()
		err := s.SetSetting(ctx, "x", nil)
		if !errors.Is(err, ctx.Err()) || err == nil {
			t.Errorf("%s: SetSetting = %v, want %v", name, err, ctx.Err())
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
		cancel()
	}
	must(t, sqlitex.ExecuteTransient(other, "ROLLBACK", nil))
	must(t, s.SetSetting(t.Context(), "x", []byte("y")))
}

// TestConcurrentOpen: several processes that start at the same time on a new file
// migrate it once.
func TestConcurrentOpen(t *testing.T) {
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

// TestFullOrLockedRedeems: while the disk is full, or another process has locked the
// file, a login fails with a hint, and existing tokens are redeemed.
func TestFullOrLockedRedeems(t *testing.T) {
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

	other, err := zombiezen.OpenConn(file, zombiezen.OpenReadWrite)
	must(t, err)
	defer other.Close()
	other.SetBusyTimeout(5 * time.Second) // the first use may be written at this moment
	must(t, sqlitex.ExecuteTransient(other, "BEGIN IMMEDIATE", nil))
	redeem()
	issue("another process has locked the file")
	must(t, sqlitex.ExecuteTransient(other, "ROLLBACK", nil))
	issue("")
}
