package file

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/internal/secret"
	"shorepass/providers/providertest"
)

func FuzzReadUsers(f *testing.F) {
	f.Add("# people\n\nbob:" + unknownHash + "\r\nalice:" + unknownHash + ":gecos\n")
	f.Fuzz(func(t *testing.T, text string) {
		users, err := readUsers(strings.NewReader(text))
		if err != nil {
			return
		}
		for login, u := range users {
			if folded, err := foldName(u.Name); err != nil || folded != login {
				t.Errorf("readUsers(%q) has %q under %q", text, u.Name, login)
			}
		}
	})
}

func TestHtpasswdRefuses(t *testing.T) {
	for _, test := range []struct{ name, users, groups, want string }{
		{"no colon", "bob\n", "", `htpasswd:1: no "name:hash"`},
		{"md5", "# x\nbob:$apr1$abc$def\n", "", `htpasswd:2: the hash of "bob" is not a bcrypt hash; make one with "htpasswd -B"`},
		{"sha", "bob:{SHA}abc\n", "", "htpasswd:1: "},
		{"plain text", "\n\nbob:hunter2\n", "", "htpasswd:3: "},
		{"argon2id", "bob:$argon2id$v=19$m=8,t=1,p=1$" + salt + "$" + key, "", "htpasswd:1: "},
		{"cut off", "bob:$2y$05$abc\n", "", `htpasswd:1: the hash of "bob" begins like a bcrypt hash`},
		{"twice", "bob:" + unknownHash + "\nBob:" + unknownHash, "", `htpasswd:2: "Bob" is listed twice`},
		{"no name", ":" + unknownHash, "", "htpasswd:1: the name is required"},
		{"in the configuration too", "Demo:" + unknownHash, "", `user "Demo" is in the configuration too`},
		{"a group without names", "bob:" + unknownHash, "devs bob", `groups:1: no "group: name name"`},
		{"a line without end", "bob:" + strings.Repeat("x", 2<<20), "", "htpasswd:bufio"},
	} {
		folder := t.TempDir()
		cfg := Config{Htpasswd: filepath.Join(folder, "htpasswd"), Users: []User{{Name: "demo", Password: secret.New(unknownHash)}}}
		writeFile(t, cfg.Htpasswd, test.users)
		if test.groups != "" {
			cfg.HtpasswdGroups = filepath.Join(folder, "groups")
			writeFile(t, cfg.HtpasswdGroups, test.groups)
		}
		_, err := New(cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: New = %v, want %q", test.name, err, test.want)
		}
		for _, secret := range []string{"hunter2", "abcdefghijklmnop"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: New = %v, which quotes the line", test.name, err)
			}
		}
	}
	if _, err := New(Config{Htpasswd: filepath.Join(t.TempDir(), "none")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("New without the file = %v, want os.ErrNotExist", err)
	}
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestInvalidFileIsNotLoaded: the last good version stays in use, one error is
// logged, and the file is loaded once it is valid again.
func TestInvalidFileIsNotLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "htpasswd")
	writeFile(t, path, "bob:"+cheapHash(t, "one"))
	p, err := New(Config{Htpasswd: path})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	p.SetLog(slog.New(slog.NewTextHandler(&log, nil)))
	login := func(password string) error {
		p.TestOnlyRecheck()
		_, err := providertest.Authenticate(t.Context(), p, "bob", typed(password))
		return err
	}
	// Written in place, within the same second, with the same length.
	writeFile(t, path, "bob:"+cheapHash(t, "two"))
	if err := login("two"); err != nil {
		t.Errorf("Authenticate after a change in place = %v, want an identity", err)
	}
	writeFile(t, path, "bob:hunter2")
	for range 3 {
		if err := login("two"); err != nil {
			t.Errorf("Authenticate with a bad file = %v, want an identity of the last good version", err)
		}
	}
	if _, err := p.Ping(t.Context()); err == nil {
		t.Error("Ping with a bad file gave no error")
	}
	if n := strings.Count(log.String(), "level=ERROR"); n != 1 || strings.Contains(log.String(), "hunter2") {
		t.Errorf("the log has %d errors, want one without the line: %s", n, log.String())
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := login("two"); err != nil {
		t.Errorf("Authenticate without the file = %v, want an identity of the last good version", err)
	}
	writeFile(t, path, "bob:"+cheapHash(t, "three"))
	if err := login("three"); err != nil {
		t.Errorf("Authenticate when it is valid again = %v, want an identity", err)
	}
	if found, err := p.Ping(t.Context()); err != nil || !strings.Contains(found.String(), "1 users in "+path) {
		t.Errorf("Ping = %q, %v, want one user", found, err)
	}
}

// TestHalfWrittenFile: a group file is not loaded while it is being written: a
// deny rule would not match the people whose lines are still missing.
func TestHalfWrittenFile(t *testing.T) {
	users, groups := filepath.Join(t.TempDir(), "htpasswd"), filepath.Join(t.TempDir(), "groups")
	writeFile(t, users, "bob:"+cheapHash(t, "right"))
	writeFile(t, groups, "devs: bob\ncontractors: bob\n")
	p, err := New(Config{Htpasswd: users, HtpasswdGroups: groups})
	if err != nil {
		t.Fatal(err)
	}
	check := func(after time.Duration, want string) {
		t.Helper()
		p.htpasswd.mu.Lock()
		p.htpasswd.checkFiles(time.Now().Add(after))
		p.htpasswd.mu.Unlock()
		if got := strings.Join(p.find("bob").groups, " "); got != want {
			t.Errorf("the groups of bob %s later = %q, want %q", after, got, want)
		}
	}
	check(minFileAge, "contractors devs")
	writeFile(t, groups, "devs: bob\n") // half written
	check(0, "contractors devs")
	check(minFileAge/2, "contractors devs")
	writeFile(t, groups, "devs: bob\ncontractors: bob\nops: bob\n")
	check(minFileAge/2, "contractors devs")
	check(minFileAge, "contractors devs ops")
	writeFile(t, groups, "devs: bob\n")
	check(minFileAge, "devs")
	if err := os.Chtimes(groups, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	writeFile(t, users, "bob:"+cheapHash(t, "other"))
	before := p.find("bob").stamp
	if check(minFileAge, "devs"); p.find("bob").stamp == before {
		t.Error("a file with a time in the future keeps the other from being read")
	}
}
