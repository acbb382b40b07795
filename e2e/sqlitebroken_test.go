package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a disk of this size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=0700,size="+size); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mount a small disk, which needs root: %v", err)
		}
		t.Skipf("mount a small disk, which needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount the small disk: %v", err)
		}
	})
	return dir
}

// fill takes what a disk has left, and returns who gives it back.
func fill(t *testing.T, disk string) (empty func()) {
	t.Helper()
	name := filepath.Join(disk, "filler")
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	chunk := make([]byte, 4096)
	for err == nil {
		_, err = f.Write(chunk)
	}
	if !strings.Contains(err.Error(), "no space left") {
		t.Fatalf("fill the disk: %v", err)
	}
	return func() { must(t, os.Remove(name)) }
}

// lock has another process hold a transaction on a store until the function
// that it returns is called. The process must be there for no other reason.
func lock(t *testing.T, file, begin string) (unlock func()) {
	t.Helper()
	need(t, "sqlite3")
	cmd := exec.Command("sqlite3", file)
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	cmd.Stderr = cmd.Stdout
	must(t, cmd.Start())
	io.WriteString(stdin, ".timeout 10000\n"+begin+"\nSELECT 'held';\n")
	said := make([]byte, 100)
	n, err := stdout.Read(said)
	if err != nil || !strings.Contains(string(said[:n]), "held") {
		// PRAGMA locking_mode answers first.
		more, _ := stdout.Read(said[n:])
		if n += more; !strings.Contains(string(said[:n]), "held") {
			t.Fatalf("sqlite3 said %q, %v", said[:n], err)
		}
	}
	return func() {
		io.WriteString(stdin, "ROLLBACK;\n")
		stdin.Close()
		io.Copy(io.Discard, stdout)
		must(t, cmd.Wait())
	}
}

// TestSQLiteBroken fills the disk below a SQLite store, locks it and damages
// it, before the server starts and while it serves.
func TestSQLiteBroken(t *testing.T) {
	t.Parallel()
	alice := theHouse()["alice"]
	place := func(t *testing.T, file string) *site {
		return placeSite(t, options{session: fmt.Sprintf("store = %q\n", "sqlite:"+file)})
	}
	serve := func(t *testing.T, file string) *site {
		s := place(t, file)
		s.launch(t)
		s.healthy(t)
		return s
	}
	offline := func(s *site) answer {
		return s.get(t, "offline_token=true&service="+service, basic("alice", alice.password))
	}
	// goesOn holds what goes on while the store takes nothing.
	goesOn := func(t *testing.T, s *site, token string) {
		t.Helper()
		if a := s.redeem(t, token, teamScope); a.Status != http.StatusOK {
			t.Errorf("a redemption = %v, want 200", a)
		}
		if a := s.get(t, "service="+service, basic("alice", alice.password)); a.Status != http.StatusOK {
			t.Errorf("a login by password = %v, want 200", a)
		}
		began := time.Now()
		a := offline(s)
		if took := time.Since(began); a.Status != http.StatusServiceUnavailable || took > 12*time.Second {
			t.Errorf("an offline login = %v after %v, want 503", a, took)
			return
		}
		checkError(t, a)
	}
	refuses := func(t *testing.T, file, want string) {
		t.Helper()
		before, _ := os.ReadFile(file)
		if said := place(t, file).refuses(t, 20*time.Second); !strings.Contains(said, want) {
			t.Errorf("it says\n%s\nwant %q", said, want)
		}
		if after, _ := os.ReadFile(file); !bytes.Equal(before, after) {
			t.Error("the file was changed")
		}
	}

	t.Run("full", func(t *testing.T) {
		t.Parallel()
		disk := smallDisk(t, "2m")
		file := filepath.Join(disk, "data", "shorepass.db")
		empty := fill(t, disk)
		if said := place(t, file).refuses(t, 20*time.Second); !strings.Contains(said, "the disk is full") && !strings.Contains(said, "no space left") {
			t.Errorf("on a full disk it says\n%s\nwant that it is full", said)
		}
		empty()
		s := serve(t, file) // what the first start left behind is no hindrance
		token := s.login(t, "alice", alice.password)
		empty = fill(t, disk)
		var given []string
		for a := offline(s); a.Status == http.StatusOK; a = offline(s) { // there is room in the file yet
			given = append(given, a.RefreshToken)
		}
		goesOn(t, s, token)
		if said := s.server.said(); !strings.Contains(said, "the disk is full; nothing was lost, make room") {
			t.Errorf("the log does not say that the disk is full:\n%s", tail(said, 5))
		}
		s.kill() // also a crash loses nothing then
		s.launch(t)
		select {
		case <-s.server.done:
			if said := s.server.said(); !strings.Contains(said, "full") {
				t.Errorf("it does not start again on the full disk, and says\n%s", said)
			}
			empty()
			s.launch(t)
		case <-time.After(2 * time.Second):
			empty()
		}
		s.healthy(t)
		eventually(t, 10*time.Second, func() error {
			if a := offline(s); a.Status != http.StatusOK {
				return fmt.Errorf("an offline login once there is room = %v, want 200", a)
			}
			return nil
		})
		for _, token := range append(given, token) {
			replicas{s}.all(t, token, "200 pull,push")
		}
	})
	t.Run("locked", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "data", "shorepass.db")
		s := serve(t, file)
		token := s.login(t, "alice", alice.password)
		unlock := lock(t, file, "BEGIN IMMEDIATE;")
		goesOn(t, s, token)
		eventually(t, 15*time.Second, func() error {
			if _, err := get(s.url + "/readyz?all"); err == nil || !strings.Contains(err.Error(), "503") {
				return fmt.Errorf("/readyz?all while no login can be kept: %v, want 503", err)
			}
			return nil
		})
		unlock()
		if a := offline(s); a.Status != http.StatusOK {
			t.Errorf("an offline login once it is not locked = %v, want 200", a)
		}
		s.end(t)
		unlock = lock(t, file, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;")
		refuses(t, file, "another process has locked the file")
		unlock()
		s.launch(t)
		s.healthy(t)
		replicas{s}.all(t, token, "200 pull,push")
	})
	t.Run("damaged", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "data", "shorepass.db")
		s := serve(t, file)
		token := s.login(t, "alice", alice.password)
		s.end(t)
		sound, err := os.ReadFile(file)
		must(t, err)
		s.launch(t)
		s.healthy(t)
		damaged := bytes.Repeat([]byte("no database\n"), len(sound)/12)
		must(t, os.WriteFile(file, damaged, 0o600))
		for range 20 {
			// What it has read before it may still know.
			if a := s.redeem(t, token, teamScope); a.Status != http.StatusOK && a.Status != http.StatusServiceUnavailable {
				t.Errorf("a redemption while the file is damaged = %v, want 200 or 503", a)
			}
		}
		if a := s.get(t, "service="+service, basic("alice", alice.password)); a.Status != http.StatusOK {
			t.Errorf("a login by password while the file is damaged = %v, want 200", a)
		}
		s.kill()
		for _, left := range []string{"-wal", "-shm"} {
			os.Remove(file + left)
		}
		must(t, os.WriteFile(file, damaged, 0o600))
		refuses(t, file, "the file is damaged, or is no SQLite database; it was left unchanged, restore a backup of it")
		must(t, os.WriteFile(file, sound, 0o600))
		s.launch(t)
		s.healthy(t)
		replicas{s}.all(t, token, "200 pull,push")
	})
}
