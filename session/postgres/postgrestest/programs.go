package postgrestest

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// programs returns the folder of PostgreSQL's programs: that in PATH, or the newest
// that Debian's packages installed. Without one the test is skipped.
func programs(t testing.TB) string {
	t.Helper()
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is good
	slices.SortFunc(folders, func(a, b string) int { return version(b) - version(a) })
	if path, err := exec.LookPath("postgres"); err == nil {
		folders = append([]string{filepath.Dir(path)}, folders...)
	}
	for _, folder := range folders {
		if hasAll(folder, "postgres", "initdb", "psql") {
			return folder
		}
	}
	skip(t, "needs PostgreSQL: apt-get install --no-install-recommends postgresql")
	return ""
}

// skip skips a test for lack of a program, or fails it with CI=true.
func skip(t testing.TB, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s, and with CI=true no test is skipped", reason)
	}
	t.Skip(reason)
}

// version returns 15 for /usr/lib/postgresql/15/bin.
func version(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder))) // 0 for any other folder
	return n
}

func hasAll(folder string, programs ...string) bool {
	for _, name := range programs {
		if info, err := os.Stat(filepath.Join(folder, name)); err != nil || !info.Mode().IsRegular() {
			return false
		}
	}
	return true
}

// unprivileged returns the user to run the server as instead of root.
func unprivileged(t testing.TB) *syscall.Credential {
	t.Helper()
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil {
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	t.Fatal("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")
	return nil
}
