// Package sqlite is the session store in one SQLite file: the default, for one
// replica, without a database server.
//
// The first start creates the file and its folder, readable by their owner only.
// Where others may read them the store is refused. Several processes may open the
// file at the same time, such as a server and its command line, if it is on a local
// disk.
//
// The journal is a write-ahead log (WAL), and a commit waits until it is on disk
// (synchronous = FULL): a token that a client received, a revocation and a rotated
// refresh token survive kill -9 and a power failure. With NORMAL they would survive
// kill -9 alone; it saves one disk write per login, which costs less than the login
// itself. In WAL mode readers never wait for a writer. Only the rows of the throttle
// are written with NORMAL, on a connection of their own: they are two writes per
// login, and an attacker cannot cause a power failure to get more guesses.
//
// A file that is damaged or locked, of another program or of a newer schema, and a
// full disk are errors that say what to do. The file is left unchanged, and never
// repaired.
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

	"shorepass/internal/ctxmutex"
	"shorepass/session"
)

// Store is a [session.Store] and a [throttle.Store] in a SQLite file. It is safe for
// concurrent use.
type Store struct {
	file           string
	writer         *pool          // of one connection
	throttleWriter *pool          // of one connection, for writes that may be lost in a power failure
	writeLock      ctxmutex.Mutex // of all writers of this process; FIFO, while SQLite's busy handler lets one starve
	listReaders    *pool          // for lists, which may be slow
	keyReaders     *pool          // for queries by key, which every request waits for
	closeOnce      sync.Once
}

var (
	_ session.Store        = (*Store)(nil)
	_ session.PoolReporter = (*Store)(nil)
)

// Open opens the file, creates it and its folder where they do not exist, and
// migrates it to the schema of this version. It writes nothing to a file that has
// that schema.
func Open(ctx context.Context, file string) (*Store, error) {
	if err := prepareFile(file); err != nil {
		return nil, err
	}
	return open(file, func(s *Store) error {
		return s.writer.with(ctx, func(c *conn) error { return migrate(ctx, c.Conn) })
	})
}

// OpenExisting opens the file for a process that is not a server, such as the
// command line; a server may use the file at the same time. It creates neither the
// file nor its folder, and does not migrate. Until the first write the file stays
// unchanged, except that SQLite recovers the journal of a process that was killed.
// Without a store the error wraps session.ErrNoStore; at another schema it is that
// of [session.RequireSchema].
func OpenExisting(ctx context.Context, file string) (*Store, error) {
	if err := requireFile(file); err != nil {
		return nil, err
	}
	return open(file, func(s *Store) error {
		return s.listReaders.with(ctx, func(c *conn) error { return requireSchema(c.Conn) })
	})
}

// open returns a store on an existing file whose schema passes the check.
func open(file string, checkSchema func(*Store) error) (*Store, error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s := &Store{
		file:           file,
		writer:         newPool(path, 1),
		throttleWriter: newPool(path, 1, "synchronous = NORMAL"),
		writeLock:      ctxmutex.New(),
		listReaders:    newPool(path, 2, "query_only = ON"),
		keyReaders:     newPool(path, max(runtime.GOMAXPROCS(0), 2), "query_only = ON"),
	}
	if err := checkSchema(s); err != nil {
		return nil, errors.Join(fmt.Errorf("open the store %s: %w", file, withHint(err)), s.Close())
	}
	return s, nil
}

// Folder returns the folder of the file, in which the first start creates other
// files too.
func (s *Store) Folder() string { return filepath.Dir(s.file) }

// Now returns the clock of this machine, on which all processes of the store run.
func (s *Store) Now(context.Context) (time.Time, error) { return time.Now(), nil }

// Ping reads from the file.
func (s *Store) Ping(ctx context.Context) error {
	return s.read(ctx, func(conn *sqlite.Conn) error { return exec(conn, "SELECT 1 FROM sqlite_schema LIMIT 1") })
}

// PoolStats implements [session.PoolReporter].
func (s *Store) PoolStats() map[string]session.PoolStats {
	return map[string]session.PoolStats{
		"writer": s.writer.stats(), "throttle_writer": s.throttleWriter.stats(),
		"key_readers": s.keyReaders.stats(), "list_readers": s.listReaders.stats(),
	}
}

// Close waits for calls in progress and closes the file. Later calls return an error.
func (s *Store) Close() (err error) {
	s.closeOnce.Do(func() {
		err = errors.Join(s.keyReaders.close(), s.listReaders.close(), s.throttleWriter.close(), s.writer.close())
	})
	return err
}

// queryByKey runs a query by key: do binds all of its arguments, and steps. ctx does
// not interrupt it: a query by key takes microseconds, and in WAL mode it waits for no
// writer.
func (s *Store) queryByKey(ctx context.Context, query string, do func(*sqlite.Stmt) error) error {
	return withHint(s.keyReaders.with(ctx, func(c *conn) error {
		stmt, err := c.prepareCached(query)
		if err != nil {
			return err
		}
		return errors.Join(do(stmt), stmt.Reset())
	}))
}

// read calls do with a read-only connection, which ctx interrupts.
func (s *Store) read(ctx context.Context, do func(*sqlite.Conn) error) error {
	return withHint(s.listReaders.with(ctx, func(c *conn) error {
		c.SetInterrupt(ctx.Done())
		defer c.SetInterrupt(nil)
		return do(c.Conn)
	}))
}

// write runs do in a transaction on the writer's connection, which ctx interrupts.
func (s *Store) write(ctx context.Context, do func(*sqlite.Conn) error) error {
	return s.writeOn(ctx, s.writer, do)
}

// writeOn is write on a connection of p.
func (s *Store) writeOn(ctx context.Context, p *pool, do func(*sqlite.Conn) error) error {
	began := false
	err := s.withWriteLock(ctx, p, func() error {
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
		return fmt.Errorf("waiting to write to the file, perhaps because another process has locked it: %w", err)
	}
	return withHint(err)
}

// withWriteLock calls do while no other write of this process is in progress. A wait
// for that counts as one for a connection of p.
func (s *Store) withWriteLock(ctx context.Context, p *pool, do func() error) error {
	if !s.writeLock.TryLock() {
		began := time.Now()
		err := s.writeLock.Lock(ctx)
		p.countWait(began)
		if err != nil {
			return err
		}
	}
	defer s.writeLock.Unlock()
	return do()
}

// beginImmediate begins a write transaction. It waits for write transactions of other
// processes until ctx ends, at most for busyTimeout. From then on ctx interrupts conn.
func beginImmediate(ctx context.Context, conn *sqlite.Conn) (end func(*error), err error) {
	wait, cancel := context.WithTimeout(ctx, busyTimeout)
	defer cancel()
	conn.SetBlockOnBusy() // wait until interrupted
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
