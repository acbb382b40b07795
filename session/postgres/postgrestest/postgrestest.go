// Package postgrestest starts a PostgreSQL server for tests, on a free port of
// 127.0.0.1, and kills it when the test ends.
//
//	server := postgrestest.Start(t)
//	store, err := postgres.Open(ctx, session.Config{Store: secret.New(server.Database(t))}.WithDefaults())
//
// Where PostgreSQL is not installed the test is skipped, or fails with CI=true. The
// message names the package to install.
package postgrestest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	// startTimeout bounds how long the server may take to answer, or to stop.
	startTimeout = 30 * time.Second

	superuser = "postgres"
)

// Server is a PostgreSQL server with a data directory of its own.
type Server struct {
	programs  string // the folder of initdb, postgres and psql
	dir       string
	port      string
	settings  []string
	owner     *syscall.Credential // whom the server runs as; nil for the user of the test
	env       []string            // in addition to the test's
	databases atomic.Int64

	process *exec.Cmd     // nil while it is stopped
	ended   chan struct{} // closed once process has ended
}

// Start starts a server without a database for shorepass. Settings are such as
// "fsync=on"; by default fsync is off, so that writes survive kill -9 of the server
// and not a power failure.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	return start(t, nil, settings)
}

// StartClockAhead is Start with a server whose clock is ahead of this machine's.
func StartClockAhead(t testing.TB, ahead time.Duration) *Server {
	t.Helper()
	library, _ := filepath.Glob("/usr/lib/*/faketime/libfaketime.so.1") // the pattern is good
	if len(library) == 0 {
		skip(t, "needs libfaketime: apt-get install --no-install-recommends faketime")
	}
	return start(t, []string{"LD_PRELOAD=" + library[0], fmt.Sprintf("FAKETIME=%+ds", int(ahead.Seconds())), "FAKETIME_DONT_FAKE_MONOTONIC=1"}, nil)
}

func start(t testing.TB, env, settings []string) *Server {
	t.Helper()
	s := &Server{programs: programs(t), port: freePort(t), env: env, settings: append([]string{"fsync=off", "max_connections=200"}, settings...)}
	var err error
	if s.dir, err = os.MkdirTemp("", "postgrestest-"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(s.dir) })
	if os.Getuid() == 0 { // PostgreSQL refuses to run as root
		s.owner = unprivileged(t)
		if err := os.Chown(s.dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.command("initdb", "-D", s.data(), "-A", "trust", "-U", superuser, "-E", "UTF8", "--locale=C", "--no-sync").CombinedOutput()
	if err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	s.StartAgain(t)
	t.Cleanup(s.Kill)
	return s
}

func (s *Server) data() string    { return filepath.Join(s.dir, "data") }
func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

// command returns the command of one of PostgreSQL's programs, run as the owner.
func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.programs, name), args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), s.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner, Setpgid: true}
	return cmd
}

// StartAgain starts the server after Stop or Kill, on the same port.
func (s *Server) StartAgain(t testing.TB) {
	t.Helper()
	args := []string{"-D", s.data(), "-h", "127.0.0.1", "-p", s.port, "-k", s.dir}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	log, err := os.OpenFile(s.logFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	deadline := time.Now().Add(startTimeout)
	for {
		s.process, s.ended = s.command("postgres", args...), make(chan struct{})
		s.process.Stdout, s.process.Stderr = log, log
		if err := s.process.Start(); err != nil {
			t.Fatalf("start postgres: %v", err)
		}
		go func(process *exec.Cmd, ended chan<- struct{}) {
			_ = process.Wait() // no test depends on the exit status
			close(ended)
		}(s.process, s.ended)
		if s.await(deadline) {
			return
		}
		// Children of a killed server end shortly after it, and until then no other
		// server starts.
		if time.Now().After(deadline) {
			t.Fatalf("postgres does not answer\n%s", s.Log())
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// await reports whether the server answers before it ends and before the deadline.
func (s *Server) await(deadline time.Time) bool {
	for time.Now().Before(deadline) {
		if _, err := s.query("postgres", "SELECT 1"); err == nil {
			return true
		}
		select {
		case <-s.ended:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return false
}

// DSN returns the URL of a database.
func (s *Server) DSN(database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%s/%s", superuser, s.port, database)
}

// Address returns the host and port that the server listens on.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", s.port) }

// Database creates a database and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	s.SQL(t, s.DSN("postgres"), "CREATE DATABASE "+name)
	return s.DSN(name)
}

// DatabaseOn creates a database whose tablespace is a folder, such as a disk of its
// own, and returns its URL. The write-ahead log stays in the server's data directory.
func (s *Server) DatabaseOn(t testing.TB, dir string) string {
	t.Helper()
	if s.owner != nil {
		if err := os.Chown(dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	s.SQL(t, s.DSN("postgres"), fmt.Sprintf("CREATE TABLESPACE %s_space LOCATION '%s'", name, dir))
	s.SQL(t, s.DSN("postgres"), fmt.Sprintf("CREATE DATABASE %[1]s TABLESPACE %[1]s_space", name))
	return s.DSN(name)
}

// SQL runs statements on a database of the server and returns the rows: a line
// each, with "|" between the columns.
func (s *Server) SQL(t testing.TB, dsn, statements string) string {
	t.Helper()
	out, err := s.query(dsn[strings.LastIndex(dsn, "/")+1:], statements)
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return strings.TrimSpace(out)
}

// RequirePassword makes the server ask a user for a password; all others need none.
func (s *Server) RequirePassword(t testing.TB, user string) {
	t.Helper()
	name := filepath.Join(s.data(), "pg_hba.conf")
	rules, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	// WriteFile keeps the owner of an existing file.
	if err := os.WriteFile(name, fmt.Appendf(nil, "host all %s 127.0.0.1/32 scram-sha-256\n%s", user, rules), 0o600); err != nil {
		t.Fatal(err)
	}
	s.SQL(t, s.DSN("postgres"), "SELECT pg_reload_conf()")
}

// WriteFile writes a file that only the server's user can read, and returns its
// path.
func (s *Server) WriteFile(t testing.TB, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if s.owner != nil {
		if err := os.Chown(path, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

// AddSettings adds settings, such as "ssl=on", that hold from the next StartAgain.
func (s *Server) AddSettings(settings ...string) { s.settings = append(s.settings, settings...) }

func (s *Server) query(database, statements string) (string, error) {
	cmd := s.command("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", s.dir, "-p", s.port, "-U", superuser, "-d", database, "-f", "-")
	cmd.Stdin = strings.NewReader(statements)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// Log returns the last 4,000 bytes of the server's log.
func (s *Server) Log() string {
	text, _ := os.ReadFile(s.logFile()) // no file is an empty log
	return string(text[max(0, len(text)-4000):])
}

// Stop shuts the server down cleanly and closes all connections.
func (s *Server) Stop(t testing.TB) {
	t.Helper()
	s.signal(syscall.SIGINT) // fast shutdown: transactions in progress are rolled back
	select {
	case <-s.ended:
	case <-time.After(startTimeout):
		t.Fatalf("postgres does not end\n%s", s.Log())
	}
}

// Kill ends the server as a crash does, with SIGKILL for all of its processes.
func (s *Server) Kill() {
	s.signalAll(syscall.SIGKILL)
	<-s.ended
}

// Pause stops all processes of the server: connections stay open, the kernel accepts
// new ones, and no query is answered until Resume.
func (s *Server) Pause() { s.signalAll(syscall.SIGSTOP) }

// Resume ends Pause.
func (s *Server) Resume() { s.signalAll(syscall.SIGCONT) }

// signalAll signals the server and its children. It stops the server first, so that
// no child is forked while the children are listed.
func (s *Server) signalAll(sig syscall.Signal) {
	s.signal(syscall.SIGSTOP)
	for _, pid := range s.processes() {
		_ = syscall.Kill(pid, sig) // it may have ended since
	}
}

func (s *Server) signal(sig syscall.Signal) {
	if s.running() {
		_ = s.process.Process.Signal(sig) // it may have ended since
	}
}

func (s *Server) running() bool {
	select {
	case <-s.ended:
		return false
	default:
		return true
	}
}

// processes returns the ids of the server and its children. A signal to the server's
// process group would miss the children: each leads a group of its own.
func (s *Server) processes() []int {
	if !s.running() {
		return nil
	}
	pid := s.process.Process.Pid
	all := []int{pid}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid)) // no file if the server has ended
	for _, field := range strings.Fields(string(text)) {
		if child, err := strconv.Atoi(field); err == nil {
			all = append(all, child)
		}
	}
	return all
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
