package sqlite_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"shorepass/session/sqlite"
)

// TestOpenExistingReadOnly: a user without write permission gets an error, and no
// read-only -wal or -shm file is left that a server would fail on.
func TestOpenExistingReadOnly(t *testing.T) {
	file := filepath.Join(t.TempDir(), "data", "shorepass.db")
	must(t, open(t, file).Close())
	folder := filepath.Dir(file)
	asOrdinaryUser(t, folder, func() {
		for _, tt := range []struct{ folder, file os.FileMode }{{0o700, 0o400}, {0o500, 0o600}, {0o500, 0o400}, {0o700, 0}} {
			must(t, errors.Join(os.Chmod(file, tt.file), os.Chmod(folder, tt.folder)))
			doesNotOpen(t, file, "the store cannot be written: write to ")
			must(t, errors.Join(os.Chmod(folder, 0o700), os.Chmod(file, 0o600)))
		}
		s, err := sqlite.OpenExisting(t.Context(), file)
		must(t, err)
		must(t, errors.Join(s.SetSetting(t.Context(), "x", []byte("y")), s.Close()))
	})
}

// asOrdinaryUser runs f as a user that file modes apply to, as they do not to root.
// That user owns all files of the folder.
func asOrdinaryUser(t *testing.T, folder string, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	const nobody = 65534
	must(t, os.Chmod(filepath.Dir(filepath.Dir(folder)), 0o711)) // t.TempDir
	must(t, filepath.WalkDir(folder, func(name string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(name, nobody, nobody))
	}))
	become := func(user uintptr) { // the system call changes this thread alone
		if _, _, err := syscall.RawSyscall(syscall.SYS_SETRESUID, user, user, 0); err != 0 {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	become(nobody)
	defer become(0)
	f()
}
