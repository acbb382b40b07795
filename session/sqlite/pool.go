package sqlite

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/session"
)

// busyTimeout is how long a statement waits for a transaction of another process.
// Transactions are short.
const busyTimeout = 5 * time.Second

// pragmas are those of every connection, unless a pool overrides them. The page cache
// of a connection is small (2 MB), since the kernel's page cache serves all of them.
var pragmas = []string{"synchronous = FULL", "foreign_keys = ON", "cache_size = -2000", "trusted_schema = OFF"}

// pool is a bounded connection pool of one file. It opens a connection when none is
// idle, and closes one that an operation failed on.
//
// sqlitex.Pool reuses broken connections. It also starts a goroutine for each caller,
// which interrupts the connection when the caller's context ends: that costs 3 µs,
// about as much as most queries by key.
type pool struct {
	file    string
	pragmas []string
	inUse   chan struct{} // semaphore: one for each connection in use
	idle    chan *conn
	closed  chan struct{}

	waits  atomic.Uint64 // of operations for a connection
	waited atomic.Int64  // by all of them, in nanoseconds
}

// conn is a connection with a cache of its prepared queries by key; their number is
// fixed. sqlite.Conn caches prepared statements too, but clears their bindings before
// reuse. SQLite then often prepares the query again, which takes ten times as long as
// the query.
type conn struct {
	*sqlite.Conn
	cached map[string]*sqlite.Stmt
}

func (c *conn) prepareCached(query string) (stmt *sqlite.Stmt, err error) {
	if stmt = c.cached[query]; stmt == nil {
		if stmt, err = c.Prepare(query); err == nil {
			c.cached[query] = stmt
		}
	}
	return stmt, err
}

func newPool(file string, size int, more ...string) *pool {
	return &pool{
		file:    file,
		pragmas: append(slices.Clone(pragmas), more...),
		inUse:   make(chan struct{}, size),
		idle:    make(chan *conn, size),
		closed:  make(chan struct{}),
	}
}

var errClosed = errors.New("the store is closed")

// with calls do with a connection of the pool, and waits for one until ctx ends. If
// ctx interrupts a statement, the error is that of ctx.
func (p *pool) with(ctx context.Context, do func(*conn) error) error {
	c, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	healthy := false
	defer func() { p.release(c, healthy) }() // after a panic too
	err = do(c)
	if sqlite.ErrCode(err) == sqlite.ResultInterrupt && ctx.Err() != nil {
		err = ctx.Err()
	}
	healthy = err == nil || err == ctx.Err() || isRowError(err)
	return err
}

// isRowError reports whether an error concerns a row, and not the connection.
func isRowError(err error) bool {
	return errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrSpent) || errors.Is(err, session.ErrTooMany)
}

func (p *pool) acquire(ctx context.Context) (*conn, error) {
	select {
	case p.inUse <- struct{}{}:
	default:
		if err := p.await(ctx); err != nil {
			return nil, err
		}
	}
	select {
	case c := <-p.idle:
		return c, nil
	default:
	}
	c, err := p.open()
	if err != nil {
		<-p.inUse
	}
	return c, err
}

// await waits for a free connection. acquire calls it only if none is free, because
// ctx.Done makes a channel.
func (p *pool) await(ctx context.Context) error {
	began := time.Now()
	defer func() { p.countWait(began) }()
	select {
	case p.inUse <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.closed:
		return errClosed
	}
}

func (p *pool) countWait(began time.Time) {
	p.waits.Add(1)
	p.waited.Add(int64(time.Since(began)))
}

func (p *pool) stats() session.PoolStats {
	return session.PoolStats{InUse: len(p.inUse), Idle: len(p.idle), Max: cap(p.inUse), Waits: p.waits.Load(), Waited: time.Duration(p.waited.Load())}
}

func (p *pool) open() (*conn, error) {
	c, err := sqlite.OpenConn(p.file, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	c.SetBusyTimeout(busyTimeout)
	for _, pragma := range p.pragmas {
		if err := sqlitex.ExecuteTransient(c, "PRAGMA "+pragma, nil); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return &conn{Conn: c, cached: make(map[string]*sqlite.Stmt)}, nil
}

// release returns a connection to the pool, or closes it after an error.
func (p *pool) release(c *conn, healthy bool) {
	if healthy {
		p.idle <- c
	} else {
		_ = c.Close() // the caller returns the error of the operation
	}
	<-p.inUse
}

// close waits until no connection is in use, and closes them all.
func (p *pool) close() error {
	close(p.closed)
	for range cap(p.inUse) {
		p.inUse <- struct{}{}
	}
	close(p.idle)
	var errs []error
	for c := range p.idle {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
