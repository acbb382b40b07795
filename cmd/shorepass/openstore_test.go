package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/server"
	"shorepass/session"
	"shorepass/session/postgres/postgrestest"
)

// TestRetryWhileUnavailable (F7): a start waits ten minutes for a store that may come
// back, logs that it waits and that the store is back, and ends immediately after any
// other error.
func TestRetryWhileUnavailable(t *testing.T) {
	away := fmt.Errorf("open the store: %w: connection refused", session.ErrUnavailable)
	for _, test := range []struct {
		name    string
		backAt  time.Duration // when open stops returning away
		then    error
		want    error
		wantIn  time.Duration // at the latest
		warns   int
		infoMsg bool
	}{
		{"there", 0, nil, nil, 0, 0, false},
		{"a fault", 0, session.ErrNoSealKey, session.ErrNoSealKey, 0, 0, false},
		{"back after a second", time.Second, nil, nil, 2 * time.Second, 1, true},
		{"back after nine minutes", 9 * time.Minute, nil, nil, 9*time.Minute + maxStoreRetry, 9, true},
		{"back with a fault", time.Minute, session.ErrNoSealKey, session.ErrNoSealKey, time.Minute + maxStoreRetry, 2, false},
		{"never back", time.Hour, nil, session.ErrUnavailable, storeWait + maxStoreRetry, 10, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			began := time.Now()
			err := retryWhileUnavailable(t.Context(), server.Config{LogLevel: "info"}.NewLogger(&log), func() error {
				if time.Since(began) < test.backAt {
					return away
				}
				return test.then
			})
			took, warns := time.Since(began), strings.Count(log.String(), "the store is unavailable; trying again")
			if !errors.Is(err, test.want) || took < min(test.backAt, storeWait) || took > test.wantIn {
				t.Errorf("%s: %v after %v, want %v within %v", test.name, err, took, test.want, test.wantIn)
			}
			if back := strings.Contains(log.String(), `"msg":"the store is available","after":"`); warns < min(test.warns, 1) || warns > test.warns || back != test.infoMsg {
				t.Errorf("%s: the log is\n%s\nwant at most %d warnings, and that it is back: %v", test.name, &log, test.warns, test.infoMsg)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // a stop while waiting
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		began := time.Now()
		_ = retryWhileUnavailable(ctx, slog.New(slog.DiscardHandler), func() error { return away })
		if took := time.Since(began); took != time.Minute {
			t.Errorf("stopped after a minute it waits %v", took)
		}
	})
}

// starting is a shorepass serve whose store is not open yet.
type starting struct {
	url    string
	dir    string
	cmd    *exec.Cmd
	ended  chan error
	output *os.File
}

// startServe starts a server in dir with these lines of [token] and of [session], and
// env added to its environment.
func startServe(t *testing.T, dir, token, session string, env ...string) *starting {
	t.Helper()
	address := freeAddress(t)
	config := filepath.Join(dir, "shorepass.toml")
	text := strings.Replace(fmt.Sprintf(unreadConfig, address), "[token]\n", "[token]\n"+token, 1) + "[session]\n" + session
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	s := &starting{url: "http://" + address, dir: dir, cmd: exec.Command("shorepass", "serve", "--config", config), ended: make(chan error, 1), output: output}
	s.cmd.Stdout, s.cmd.Stderr = output, output
	s.cmd.Env = append(os.Environ(), env...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { s.ended <- s.cmd.Wait() }()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill()
		output.Close()
		if t.Failed() {
			t.Logf("it printed:\n%s", s.log(t))
		}
	})
	return s
}

func (s *starting) log(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(s.output.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// until waits until a GET has the status, and returns the body.
func (s *starting) until(t *testing.T, path string, status int) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		resp, err := http.Get(s.url + path)
		if err == nil {
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if resp.StatusCode == status {
				if status == http.StatusServiceUnavailable && path != "/readyz" && resp.Header.Get("Retry-After") == "" {
					t.Errorf("GET %s: 503 without Retry-After", path)
				}
				return string(body)
			}
			err = errors.New(resp.Status)
		}
		if time.Now().After(deadline) {
			t.Fatalf("GET %s: %v, want %d", path, err, status)
		}
	}
}

// isStarting checks that the process is alive, not ready, and answers 503.
func (s *starting) isStarting(t *testing.T) {
	t.Helper()
	s.until(t, "/healthz", http.StatusOK)
	if body := s.until(t, "/readyz", http.StatusServiceUnavailable); !strings.Contains(body, `"store":"unavailable"`) {
		t.Errorf("/readyz says %s, want the store in it", body)
	}
	for _, path := range []string{"/jwt/auth?service=r", "/v2/", "/metrics", "/oauth/revoke"} {
		s.until(t, path, http.StatusServiceUnavailable)
	}
}

// stop ends the server with a signal and checks that it ends well.
func (s *starting) stop(t *testing.T) {
	t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-s.ended:
		if err != nil {
			t.Errorf("after SIGTERM the server ends with %v, want exit 0", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the server does not end after SIGTERM")
	}
}

const grantedPath = "/jwt/auth?service=r&scope=repository:public/app:pull"

// TestStartWithoutDatabase (F7): a server whose PostgreSQL is down waits for it, and makes
// neither the root nor a key meanwhile. A fault of the configuration ends it.
func TestStartWithoutDatabase(t *testing.T) {
	t.Parallel()
	pg := postgrestest.Start(t)
	dsn := pg.Database(t)
	dir := t.TempDir()
	for _, args := range [][]string{{"keys", "init", "--seal-key", "seal.key"}, {"keys", "init", "--certificate", "RootCA.crt", "--key", "RootCA.key"}} {
		cmd := exec.Command("shorepass", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	const root = "root_certificate = \"RootCA.crt\"\nroot_key = \"RootCA.key\"\n"
	table := func(dsn string) string {
		return fmt.Sprintf("store = %q\nseal_key = { file = \"seal.key\" }\n", dsn)
	}
	pg.Stop(t)

	s := startServe(t, dir, root, table(dsn))
	s.isStarting(t)
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil { // does not end it
		t.Fatal(err)
	}
	pg.StartAgain(t)
	s.until(t, grantedPath, http.StatusOK)
	log := s.log(t)
	for _, want := range []string{`"opening the store;`, `"the store is unavailable; trying again"`, `refused`, `"the store is available","after":"`, `"listening"`} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	s.stop(t)

	pg.Stop(t)
	s = startServe(t, dir, root, table(dsn))
	s.isStarting(t)
	s.stop(t) // while it waits

	pg.StartAgain(t)
	s = startServe(t, dir, root, table(pg.DSN("nosuch")))
	select {
	case err := <-s.ended:
		if log := s.log(t); err == nil || !strings.Contains(log, "create it with createdb") {
			t.Errorf("a database that does not exist: %v\n%s", err, log)
		}
	case <-time.After(15 * time.Second):
		t.Error("a server whose database does not exist waits for it")
	}
}

// TestStartWithLockedStore (F7): a SQLite file that another process has locked is waited
// for in the same way.
func TestStartWithLockedStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(data, "shorepass.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	conn, err := sqlite.OpenConn(file, sqlite.OpenReadWrite)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := sqlitex.ExecuteTransient(conn, "BEGIN EXCLUSIVE", nil); err != nil {
		t.Fatal(err)
	}
	s := startServe(t, dir, "", "")
	s.isStarting(t)
	// A migration that takes minutes is no different: the line comes before the file is opened.
	if log := s.log(t); !strings.Contains(log, "opening the store; until it is open, and migrated") {
		t.Errorf("no log line says that the store is being opened:\n%s", log)
	}
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(s.log(t), "another process has locked the file"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no log line says that the file is locked")
		}
	}
	for _, name := range []string{"RootCA.crt", "RootCA.key", "seal.key"} {
		if _, err := os.Stat(filepath.Join(data, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was made before the store was open: %v", name, err)
		}
	}
	if err := sqlitex.ExecuteTransient(conn, "ROLLBACK", nil); err != nil {
		t.Fatal(err)
	}
	s.until(t, grantedPath, http.StatusOK)
	s.stop(t)
}
