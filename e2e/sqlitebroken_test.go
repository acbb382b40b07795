package e2e

import (
	"bytes"
	"errors"
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

// smallDisk mounts a tmpfs of a size, and returns its folder.
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

// fillDisk fills a disk, and returns a function that frees the space.
func fillDisk(t *testing.T, disk string) (empty func()) {
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

// lockStore begins a transaction on a store in another process, sqlite3, and returns a
// function that ends it.
func lockStore(t *testing.T, file, begin string) (unlock func()) {
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
		// PRAGMA locking_mode prints a line first.
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

// TestSQLiteBroken fills the disk of a SQLite store, locks the file and damages it,
// before the server starts and while it serves.
func TestSQLiteBroken(t *testing.T) {
	t.Parallel()
	alice := testUsers()["alice"]
	siteOn := func(t *testing.T, file string) *server {
		return configureServer(t, options{session: fmt.Sprintf("store = %q\n", "sqlite:"+file)})
	}
	serve := func(t *testing.T, file string) *server {
		s := siteOn(t, file)
		s.launch(t)
		s.healthy(t)
		return s
	}
	offline := func(s *server) answer {
		return s.get(t, "offline_token=true&service="+service, basic("alice", alice.password))
	}
	// stillServes tests the requests that succeed while the store cannot be written,
	// and that an offline login is 503.
	stillServes := func(t *testing.T, s *server, token string) {
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
		if said := siteOn(t, file).mustNotStart(t, 20*time.Second); !strings.Contains(said, want) {
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
		empty := fillDisk(t, disk)
		if said := siteOn(t, file).mustNotStart(t, 20*time.Second); !strings.Contains(said, "the disk is full") && !strings.Contains(said, "no space left") {
			t.Errorf("on a full disk it says\n%s\nwant that it is full", said)
		}
		empty()
		s := serve(t, file) // the files of the failed first start do not prevent it
		token := s.login(t, "alice", alice.password)
		empty = fillDisk(t, disk)
		var issued []string
		for a := offline(s); a.Status == http.StatusOK; a = offline(s) { // the file still has room
			issued = append(issued, a.RefreshToken)
		}
		stillServes(t, s, token)
		if said := s.process.output(); !strings.Contains(said, "the disk is full; nothing was lost, make room") {
			t.Errorf("the log does not say that the disk is full:\n%s", tail(said, 5))
		}
		s.kill() // a crash on a full disk loses no token
		s.launch(t)
		select {
		case <-s.process.done:
			if said := s.process.output(); !strings.Contains(said, "full") {
				t.Errorf("it does not start again on the full disk, and says\n%s", said)
			}
			empty()
			s.launch(t)
		case <-time.After(2 * time.Second):
			empty()
		}
		s.healthy(t)
		// An entry that the killed process could not remove from the full disk is a lease
		// of 15 s, for which a login with the same password waits.
		eventually(t, 30*time.Second, func() error {
			if a := offline(s); a.Status != http.StatusOK {
				return fmt.Errorf("an offline login once there is room = %v, want 200", a)
			}
			return nil
		})
		for _, token := range append(issued, token) {
			replicas{s}.checkAll(t, token, "200 pull,push")
		}
	})
	t.Run("locked", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "data", "shorepass.db")
		s := serve(t, file)
		token := s.login(t, "alice", alice.password)
		unlock := lockStore(t, file, "BEGIN IMMEDIATE;")
		stillServes(t, s, token)
		eventually(t, 15*time.Second, func() error {
			if _, err := get(s.url + "/readyz?all"); err == nil || !strings.Contains(err.Error(), "503") {
				return fmt.Errorf("/readyz?all while no session can be stored: %v, want 503", err)
			}
			return nil
		})
		unlock()
		if a := offline(s); a.Status != http.StatusOK {
			t.Errorf("an offline login after the lock = %v, want 200", a)
		}
		s.stop(t)
		unlock = lockStore(t, file, "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;")
		s.launch(t)
		s.process.await(t, 20*time.Second, func() error {
			if len(s.logLines("the store is unavailable; trying again", "another process has locked the file")) == 0 {
				return errors.New("no log line says that the file is locked")
			}
			return checkOK(s.url + "/healthz")
		})
		unlock()
		s.healthy(t)
		replicas{s}.checkAll(t, token, "200 pull,push")
	})
	t.Run("damaged", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "data", "shorepass.db")
		s := serve(t, file)
		token := s.login(t, "alice", alice.password)
		s.stop(t)
		sound, err := os.ReadFile(file)
		must(t, err)
		s.launch(t)
		s.healthy(t)
		damaged := bytes.Repeat([]byte("no database\n"), len(sound)/12)
		must(t, os.WriteFile(file, damaged, 0o600))
		for range 20 {
			// SQLite may have the pages in its cache.
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
		replicas{s}.checkAll(t, token, "200 pull,push")
	})
}
