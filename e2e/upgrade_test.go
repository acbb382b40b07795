package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shorepass/session/postgres/postgrestest"
)

// upgradeStory is a server that is stopped and started again in another version, on the
// store that the version before left.
type upgradeStory struct {
	*server
	tokens map[string]string // refresh tokens that must be good, by where they were issued
	ended  map[string]string // those that were revoked
}

// check tests every token of the story, and makes another two, one of which it revokes.
func (u *upgradeStory) check(t *testing.T, version string) {
	t.Helper()
	alice := testUsers()["alice"]
	for issued, token := range u.tokens {
		if a := u.redeem(t, token, teamScope); a.outcome(t) != "200 pull,push" {
			t.Errorf("%s: a token of %s = %v, want pull,push", version, issued, a)
		}
	}
	for issued, token := range u.ended {
		if a := u.redeem(t, token, teamScope); a.Status != http.StatusUnauthorized {
			t.Errorf("%s: a revoked token of %s = %v, want 401", version, issued, a)
		}
	}
	u.tokens[version] = u.login(t, "alice", alice.password)
	u.ended[version] = u.login(t, "alice", alice.password)
	if a := u.oauth(t, "/oauth/revoke", "", url.Values{"token": {u.ended[version]}}); a.Status != http.StatusOK {
		t.Errorf("%s: revoke = %v, want 200", version, a)
	}
	list := u.cli(t, "", "sessions", "list", "--json")
	var sessions []struct{ ID string }
	if err := json.Unmarshal([]byte(list.text), &sessions); err != nil || len(sessions) != len(u.tokens) {
		t.Errorf("%s: sessions list has %d sessions, want %d: %v\n%s", version, len(sessions), len(u.tokens), err, list.text)
	}
}

// TestUpgrade: a server is upgraded to the next version and rolled back by one. No
// session is lost, and none that ended is good again.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	next := nextVersion(t, true)
	for name, store := range map[string]func(t *testing.T) string{
		"SQLite":     func(*testing.T) string { return "" },
		"PostgreSQL": func(t *testing.T) string { return sharedStore(t, database(t, postgrestest.Start(t))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := upgradeStory{newServer(t, options{session: store(t)}), map[string]string{}, map[string]string{}}
			u.check(t, "this version")
			for _, version := range []struct{ name, program string }{
				{"the next version", next},
				{"this version after a rollback", binary},
				{"the next version again", next},
			} {
				u.stop(t)
				u.program = version.program
				u.start(t)
				u.check(t, version.name)
			}
		})
	}
}

// TestVersionsSideBySide: while replicas are upgraded one by one, both versions serve one
// store: tokens, revocations and counted wrong passwords of either hold at the other.
func TestVersionsSideBySide(t *testing.T) {
	t.Parallel()
	next := nextVersion(t, true)
	r := newReplicas(t, database(t, postgrestest.Start(t)), options{})
	alice := testUsers()["alice"]
	before := r[0].login(t, "alice", alice.password)
	stop := r[:2].watch(t, before) // while the third replica migrates the store
	r[2].stop(t)
	r[2].program = next
	r[2].start(t)
	r.checkAll(t, before, "200 pull,push")
	for _, saw := range stop() {
		if saw.outcome != "200 pull,push" {
			t.Errorf("during the migration: %v", saw)
		}
	}
	for _, s := range []*server{r[0], r[2]} {
		token := s.login(t, "alice", alice.password)
		r.checkAll(t, token, "200 pull,push")
		r.converges(t, token, "401", 0, func() {
			if a := s.oauth(t, "/oauth/revoke", "", url.Values{"token": {token}}); a.Status != http.StatusOK {
				t.Errorf("revoke = %v, want 200", a)
			}
		})
	}
	for i := range 4 { // wrong_passwords of the default, over both versions
		s := r[[]int{0, 2}[i%2]]
		if a := s.get(t, "service="+service, basic("eve", secrets.newPassword("eve"))); a.Status != http.StatusUnauthorized && i < 3 {
			t.Errorf("wrong password %d = %v, want 401", i+1, a)
		}
	}
	for _, s := range r {
		if a := s.get(t, "service="+service, basic("eve", secrets.newPassword("eve"))); a.Status != http.StatusTooManyRequests {
			t.Errorf("a further wrong password = %v, want 429", a)
		}
	}
	r.checkAll(t, before, "200 pull,push")
}

// TestUpgradeWithoutRollback: where the next version says that this one cannot serve what
// it left, this version and its commands end with a sentence, and change nothing.
func TestUpgradeWithoutRollback(t *testing.T) {
	t.Parallel()
	next := nextVersion(t, false)
	s := newServer(t, options{})
	token := s.login(t, "alice", testUsers()["alice"].password)
	s.stop(t)
	s.program = next
	s.start(t)
	s.stop(t)

	const want = "start the newer program, or put back a copy made before it ran"
	s.program = binary
	if out := s.mustNotStart(t, 20*time.Second); !strings.Contains(out, want) {
		t.Errorf("serve prints\n%s\nwant %q", tail(out, 5), want)
	}
	for _, args := range [][]string{{"sessions", "list"}, {"unlock", "alice"}, {"check", "--live"}} {
		if got := s.cli(t, "", args...); got.ok || !strings.Contains(got.text, want) {
			t.Errorf("shorepass %s: %v, want %q", strings.Join(args, " "), got, want)
		}
	}
	s.program = next
	s.start(t)
	if a := s.redeem(t, token, teamScope); a.outcome(t) != "200 pull,push" {
		t.Errorf("the next version after the attempts = %v, want 200", a)
	}
}

// TestBackup makes a copy of a running server's store as operations.md says, and restores
// it: sessions of the copy are good, later ones are not, and one that was revoked since is
// good again until sessions revoke --older-than ends it.
func TestBackup(t *testing.T) {
	t.Parallel()
	for name, kind := range map[string]struct {
		session func(t *testing.T) string
		backup  func(t *testing.T, s *server) (restore func())
	}{
		"SQLite": {
			session: func(*testing.T) string { return "" },
			backup:  backupSQLite,
		},
		"PostgreSQL": {
			session: func(t *testing.T) string { return sharedStore(t, database(t, postgrestest.Start(t))) },
			backup:  backupPostgreSQL,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, options{session: kind.session(t)})
			alice := testUsers()["alice"]
			kept, revoked := s.login(t, "alice", alice.password), s.login(t, "alice", alice.password)
			restore := kind.backup(t, s)
			later := s.login(t, "alice", alice.password)
			s.oauth(t, "/oauth/revoke", "", url.Values{"token": {revoked}})
			s.stop(t)
			restore()
			s.start(t)
			for token, want := range map[string]string{kept: "200 pull,push", revoked: "200 pull,push", later: "401"} {
				if a := s.redeem(t, token, teamScope); a.outcome(t) != want {
					t.Errorf("after the restore = %v, want %s", a, want)
				}
			}
			time.Sleep(1100 * time.Millisecond) // older than a second
			if got := s.cli(t, "", "sessions", "revoke", "--older-than", "1s"); !got.ok {
				t.Errorf("sessions revoke: %v", got)
			}
			for _, token := range []string{kept, revoked} {
				if a := s.redeem(t, token, teamScope); a.Status != http.StatusUnauthorized {
					t.Errorf("after sessions revoke = %v, want 401", a)
				}
			}
		})
	}
}

// backupSQLite copies the store with SQLite's online backup.
func backupSQLite(t *testing.T, s *server) (restore func()) {
	t.Helper()
	data, copied := filepath.Join(s.dir, "data"), filepath.Join(t.TempDir(), "copy.db")
	mustRun(t, "sqlite3", filepath.Join(data, "shorepass.db"), ".backup "+copied)
	return func() {
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(filepath.Join(data, "shorepass.db"+suffix)); err != nil && suffix == "" {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(copied)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(data, "shorepass.db"), text, 0o600))
	}
}

// backupPostgreSQL copies the store with pg_dump, and restores it with psql.
func backupPostgreSQL(t *testing.T, s *server) (restore func()) {
	t.Helper()
	text, err := os.ReadFile(s.config)
	must(t, err)
	_, rest, _ := strings.Cut(string(text), "store = \"")
	store, _, _ := strings.Cut(rest, "\"")
	dump := filepath.Join(t.TempDir(), "dump.sql")
	mustRun(t, postgresTool(t, "pg_dump"), "--clean", "--if-exists", "--file", dump, store)
	return func() {
		mustRun(t, postgresTool(t, "psql"), "--quiet", "--set", "ON_ERROR_STOP=1", "--file", dump, store)
	}
}

// postgresTool returns the path of a program of Debian's newest PostgreSQL.
func postgresTool(t *testing.T, name string) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if must(t, err); len(found) == 0 {
		t.Fatalf("%s is not installed", name)
	}
	return found[len(found)-1]
}

// mustRun runs a program that must succeed.
func mustRun(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(name), err, out)
	}
}
