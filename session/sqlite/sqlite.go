// Package sqlite keeps sessions in one SQLite file.
//
// It is the store that needs nothing: the file and its folder are made at first
// start, readable by their owner only, and refused where others may read them.
// Several processes may open it at once, such as a server and its command line,
// as long as the file lies on a local disk.
//
// The journal is a write-ahead log, and a commit waits until it is on disk
// (synchronous = FULL): a token that a client was given, a revocation and a
// rotated refresh token survive kill -9 and a loss of power. With NORMAL they
// would survive the first alone, and what it saves is a write to disk at each
// login, which costs less than the login itself. Reading never waits for
// writing.
//
// What is broken is never repaired by force: a damaged, locked or full file,
// or one of a newer version, is an error that says what to do, and is left as
// it is.
package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"modernc.org/sqlite"

	"shorepass/session"
)

// busyTimeout is how long a statement waits for another process's transaction,
// each of which is short.
const busyTimeout = 5 * time.Second

// Store is a SQLite file. It is safe for concurrent use.
type Store struct {
	file  string
	write *sql.DB // one connection, so that writers queue here and not in SQLite
	read  *sql.DB

	finders   chan *finder // idle ones; the way of each request
	openers   chan struct{}
	closeOnce sync.Once
	closed    chan struct{}
}

var _ session.Store = (*Store)(nil)

// Open opens the file, making it and its folder where they do not exist, and
// brings it to the schema of this version.
func Open(ctx context.Context, file string) (*Store, error) {
	if err := prepareFile(file); err != nil {
		return nil, err
	}
	s := &Store{file: file, closed: make(chan struct{})}
	count := max(runtime.GOMAXPROCS(0), 2)
	s.finders, s.openers = make(chan *finder, count), make(chan struct{}, count)
	s.write = open(dsn(file, "_txlock", "immediate"))
	s.write.SetMaxOpenConns(1)
	s.read = open(dsn(file, "_query_only", "1"))
	s.read.SetMaxOpenConns(2)
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store %s: %w", file, explain(err)), s.Close())
	}
	return s, nil
}

// dsn names the file to the driver. The cache of a connection is kept small:
// the kernel's serves all of them.
func dsn(file string, more ...string) string {
	q := url.Values{
		"_journal_mode": {"WAL"},
		"_synchronous":  {"FULL"},
		"_foreign_keys": {"1"},
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
		"_dqs":          {"0"},
		"_error_rc":     {"1"},
		"_pragma":       pragmas,
	}
	for i := 0; i < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	path, err := filepath.Abs(file)
	if err != nil {
		path = file
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

// pragmas are for every connection.
var pragmas = []string{"cache_size(-2000)", "trusted_schema(0)"}

func open(dsn string) *sql.DB { return sql.OpenDB(connector(dsn)) }

// connector opens connections by one driver without a name of its own, since
// names of drivers are a variable of the whole process.
type connector string

func (c connector) Connect(context.Context) (driver.Conn, error) { return c.Driver().Open(string(c)) }
func (c connector) Driver() driver.Driver                        { return new(sqlite.Driver) }

// Folder is where the file lies: what is made at first start lies beside it.
func (s *Store) Folder() string { return filepath.Dir(s.file) }

// Now is the clock of this machine: whoever opens the file runs on it.
func (s *Store) Now(context.Context) (time.Time, error) { return time.Now(), nil }

// Ping reads from the file.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return explain(s.read.QueryRowContext(ctx, "SELECT 1 FROM sqlite_schema LIMIT 1").Scan(&one))
}

// Close closes the file. Whoever still uses the store gets an error.
func (s *Store) Close() error {
	var errs []error
	s.closeOnce.Do(func() {
		close(s.closed)
		for range cap(s.openers) {
			s.openers <- struct{}{} // every finder is back when all places are taken
		}
		close(s.finders)
		for f := range s.finders {
			errs = append(errs, f.close())
		}
		errs = append(errs, s.read.Close(), s.write.Close())
	})
	return errors.Join(errs...)
}

// inTx runs f in a transaction of the one writer.
func (s *Store) inTx(ctx context.Context, f func(*sql.Tx) error) (err error) {
	tx, err := s.write.BeginTx(ctx, nil)
	if errors.Is(err, context.DeadlineExceeded) {
		// There is one writer, and it waits longer than this caller can.
		return fmt.Errorf("no write gets its turn, perhaps because another process has locked the file: %w", err)
	}
	if err != nil {
		return explain(err)
	}
	defer func() {
		if err != nil {
			_ = tx.Rollback() // the first error is the one to tell
		}
	}()
	if err := f(tx); err != nil {
		return explain(err)
	}
	return explain(tx.Commit())
}
