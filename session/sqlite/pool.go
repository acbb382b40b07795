package sqlite

import (
	"context"
	"errors"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/session"
)

// busyTimeout is how long a statement waits for another process's transaction,
// each of which is short.
const busyTimeout = 5 * time.Second

// pragmas are for every connection that does not set them otherwise. Its cache is kept small: the kernel's
// serves all of them.
var pragmas = []string{"synchronous = FULL", "foreign_keys = ON", "cache_size = -2000", "trusted_schema = OFF"}

// pool is a bounded pool of connections to one file, opened at need. After an
// error a connection is closed, and the next caller opens another.
//
// It is not sqlitex.Pool, which keeps a broken connection, and which starts a
// goroutine at each loan to interrupt the connection when the caller's context
// ends: that takes 3 µs, and most look-ups little more.
type pool struct {
	file    string
	pragmas []string
	inUse   chan struct{} // one for each connection that is lent
	idle    chan *conn
	closed  chan struct{}
}

// conn is a connection with the look-ups that were prepared on it. The Conn
// keeps prepared statements too, but clears their bindings before the next use,
// and SQLite then often plans the query anew: ten times the look-up itself.
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

// with lends a connection to do, and waits for one until ctx ends. Where ctx
// interrupted a statement, the error is that of ctx.
func (p *pool) with(ctx context.Context, do func(*conn) error) error {
	c, err := p.acquire(ctx)
	if err != nil {
		return err
	}
	keep := false
	defer func() { p.release(c, keep) }() // after a panic too
	err = do(c)
	if sqlite.ErrCode(err) == sqlite.ResultInterrupt && ctx.Err() != nil {
		err = ctx.Err()
	}
	keep = err == nil || err == ctx.Err() || isRowError(err)
	return err
}

// isRowError reports whether an error says something of a row, and nothing of the
// connection.
func isRowError(err error) bool {
	return errors.Is(err, session.ErrNotFound) || errors.Is(err, session.ErrSpent) || errors.Is(err, session.ErrTooMany)
}

func (p *pool) acquire(ctx context.Context) (*conn, error) {
	select {
	case p.inUse <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-p.closed:
		return nil, errClosed
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

// release takes a connection back, and closes it unless it is to be kept.
func (p *pool) release(c *conn, keep bool) {
	if keep {
		p.idle <- c
	} else {
		_ = c.Close() // the error that broke it is the one to tell
	}
	<-p.inUse
}

// close waits until every connection is back, and closes them all.
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
