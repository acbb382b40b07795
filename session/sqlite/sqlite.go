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
// writing. The rows of the throttle alone are written with NORMAL, on a
// connection of their own: they are two writes a login, and a loss of power
// is no way for a stranger to guess.
//
// What is broken is never repaired by force: a damaged, locked or full file,
// one of a newer version, or another program's, is an error that says what to
// do, and is left as it is.
package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/session"
)

// Store is a SQLite file. It is safe for concurrent use.
type Store struct {
	file           string
	writer         *pool         // of one connection
	throttleWriter *pool         // of one connection, for writes that a loss of power may lose
	writeLock      chan struct{} // held by the one that writes: writers queue here (FIFO) and not in SQLite, which lets one starve
	listReaders    *pool         // for lists, which may take long
	keyReaders     *pool         // for look-ups by a key, on the way of each request
	closeOnce      sync.Once
}

var _ session.Store = (*Store)(nil)

// Open opens the file, making it and its folder where they do not exist, and
// brings it to the schema of this version. It writes nothing to a file that is
// at that schema already.
func Open(ctx context.Context, file string) (*Store, error) {
	if err := prepareFile(file); err != nil {
		return nil, err
	}
	return open(file, func(s *Store) error {
		return s.writer.with(ctx, func(c *conn) error { return migrate(ctx, c.Conn) })
	})
}

// OpenExisting opens the file for a process that serves nothing, beside a server
// or without one. It makes neither the file nor its folder, and does not
// migrate: until something is written the file stays as it is, but for what
// SQLite itself takes over from the journal of a process that was killed. Where
// there is no store yet the error wraps session.ErrNoStore, at another schema
// it is as session.RequireSchema has it.
func OpenExisting(ctx context.Context, file string) (*Store, error) {
	if err := requireFile(file); err != nil {
		return nil, err
	}
	return open(file, func(s *Store) error {
		return s.listReaders.with(ctx, func(c *conn) error { return requireSchema(c.Conn) })
	})
}

// open returns a store on a file that exists, if its schema passes the check.
func open(file string, checkSchema func(*Store) error) (*Store, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s := &Store{
		file:           file,
		writer:         newPool(path, 1),
		throttleWriter: newPool(path, 1, "synchronous = NORMAL"),
		writeLock:      make(chan struct{}, 1),
		listReaders:    newPool(path, 2, "query_only = ON"),
		keyReaders:     newPool(path, max(runtime.GOMAXPROCS(0), 2), "query_only = ON"),
	}
	if err := checkSchema(s); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store %s: %w", file, withHint(err)), s.Close())
	}
	return s, nil
}

// Folder is where the file lies: what is made at first start lies beside it.
func (s *Store) Folder() string { return filepath.Dir(s.file) }

// Now is the clock of this machine: whoever opens the file runs on it.
func (s *Store) Now(context.Context) (time.Time, error) { return time.Now(), nil }

// Ping reads from the file.
func (s *Store) Ping(ctx context.Context) error {
	return s.read(ctx, func(conn *sqlite.Conn) error { return exec(conn, "SELECT 1 FROM sqlite_schema LIMIT 1") })
}

// Close closes the file. Whoever still uses the store gets an error.
func (s *Store) Close() (err error) {
	s.closeOnce.Do(func() {
		err = errors.Join(s.keyReaders.close(), s.listReaders.close(), s.throttleWriter.close(), s.writer.close())
	})
	return err
}

// queryByKey runs a query by a key: do binds all of its arguments, and steps. No
// context interrupts it: a key is found or not at once, since in a write-ahead
// log readers do not wait.
func (s *Store) queryByKey(ctx context.Context, query string, do func(*sqlite.Stmt) error) error {
	return withHint(s.keyReaders.with(ctx, func(c *conn) error {
		stmt, err := c.prepareCached(query)
		if err != nil {
			return err
		}
		return errors.Join(do(stmt), stmt.Reset())
	}))
}

// read lends a connection that reads, and that ctx interrupts.
func (s *Store) read(ctx context.Context, do func(*sqlite.Conn) error) error {
	return withHint(s.listReaders.with(ctx, func(c *conn) error {
		c.SetInterrupt(ctx.Done())
		defer c.SetInterrupt(nil)
		return do(c.Conn)
	}))
}

// write runs do in a transaction of the one writer, which ctx interrupts.
func (s *Store) write(ctx context.Context, do func(*sqlite.Conn) error) error {
	return s.writeOn(ctx, s.writer, do)
}

// writeOn is write on a connection of a pool.
func (s *Store) writeOn(ctx context.Context, p *pool, do func(*sqlite.Conn) error) error {
	began := false
	err := s.withWriteLock(ctx, func() error {
		return p.with(ctx, func(c *conn) (err error) {
			defer c.SetInterrupt(nil)
			end, err := beginImmediate(ctx, c.Conn)
			if err != nil {
				return err
			}
			defer end(&err)
			began = true
			return do(c.Conn)
		})
	})
	if !began && errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no write gets its turn, perhaps because another process has locked the file: %w", err)
	}
	return withHint(err)
}

// withWriteLock calls do when no other write of this process is under way.
func (s *Store) withWriteLock(ctx context.Context, do func() error) error {
	select {
	case s.writeLock <- struct{}{}:
		defer func() { <-s.writeLock }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beginImmediate begins a transaction that writes, waiting for those of other processes
// until ctx ends, and for busyTimeout at most. ctx interrupts conn from then on.
func beginImmediate(ctx context.Context, conn *sqlite.Conn) (end func(*error), err error) {
	wait, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	conn.SetBlockOnBusy() // until it is interrupted
	conn.SetInterrupt(wait.Done())
	end, err = sqlitex.ImmediateTransaction(conn)
	conn.SetInterrupt(ctx.Done())
	switch {
	case err == nil:
		return end, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case wait.Err() != nil:
		return nil, sqlite.ResultBusy.ToError()
	}
	return nil, err
}
