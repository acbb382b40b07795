package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"time"

	"modernc.org/sqlite"

	"shorepass/providers"
	"shorepass/session"
)

// A finder is a connection with the statements prepared that are on the way of
// a request: those of a redemption, and what a login asks the counters. It uses
// the driver itself: database/sql would take as long again as SQLite does for
// the look-up, and longer where it prepares the statement each time.
type finder struct {
	conn       driver.Conn
	byToken    driver.StmtQueryContext
	byUpstream driver.StmtQueryContext
	facts      driver.StmtQueryContext
	marks      driver.StmtQueryContext
	dest       []driver.Value
	args       [2]driver.NamedValue
	toClose    []io.Closer
}

const findColumns = `s.hash, s.kind, s.method, s.service, s.mark, s.stamp, s.created, s.expires, s.used, s.ended, s.why,
	p.id, p.version, p.stamp, p.checked, p.asked, p.answer, p.gone, p.lease`

const findColumnCount = 19

func newFinder(dsn string) (_ *finder, err error) {
	f := &finder{dest: make([]driver.Value, findColumnCount+1)}
	defer func() {
		if err != nil {
			_ = f.close() // the first error is the one to tell
		}
	}()
	if f.conn, err = new(sqlite.Driver).Open(dsn); err != nil {
		return nil, err
	}
	f.toClose = append(f.toClose, f.conn)
	const unknown = "CASE WHEN p.version <> ?2 THEN (SELECT f.body FROM facts f WHERE f.person = p.id) END"
	const from = " FROM session s JOIN person p ON p.id = s.person WHERE "
	if f.byToken, err = f.prepare("SELECT " + findColumns + ", " + unknown + from + "s.hash = ?1"); err != nil {
		return nil, err
	}
	if f.byUpstream, err = f.prepare("SELECT " + findColumns + from + "s.upstream = ?"); err != nil {
		return nil, err
	}
	if f.facts, err = f.prepare("SELECT p.version, p.user_name, f.body FROM person p JOIN facts f ON f.person = p.id WHERE p.id = ?"); err != nil {
		return nil, err
	}
	if f.marks, err = f.prepare(marksQuery); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *finder) prepare(query string) (driver.StmtQueryContext, error) {
	stmt, err := f.conn.Prepare(query)
	if err != nil {
		return nil, fmt.Errorf("prepare a look-up: %w", err)
	}
	f.toClose = append(f.toClose, stmt)
	return stmt.(driver.StmtQueryContext), nil
}

func (f *finder) close() error {
	var errs []error
	for i := len(f.toClose) - 1; i >= 0; i-- {
		errs = append(errs, f.toClose[i].Close())
	}
	return errors.Join(errs...)
}

// Find looks a session up by its hash.
func (s *Store) Find(ctx context.Context, token session.Hash, known session.Version) (row *session.Row, err error) {
	err = s.withFinder(ctx, func(f *finder) error {
		row, err = oneRow(f, f.byToken, findColumnCount+1, wholeRowOf, token[:], known[:])
		return err
	})
	return row, err
}

// FindUpstream looks a session up by the provider's refresh token.
func (s *Store) FindUpstream(ctx context.Context, upstream session.Hash) (row *session.Row, err error) {
	err = s.withFinder(ctx, func(f *finder) error {
		row, err = oneRow(f, f.byUpstream, findColumnCount, rowOf, upstream[:])
		return err
	})
	return row, err
}

var errClosed = errors.New("the store is closed")

// Facts returns what is known of a person. It is on the way of each request of
// somebody who was not seen lately.
func (s *Store) Facts(ctx context.Context, person int64) (facts session.Facts, err error) {
	err = s.withFinder(ctx, func(f *finder) error {
		facts, err = oneRow(f, f.facts, factsColumnCount, factsOf, person)
		return err
	})
	return facts, err
}

// withFinder lends a finder to do.
func (s *Store) withFinder(ctx context.Context, do func(*finder) error) error {
	select {
	case s.openers <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.closed:
		return errClosed
	}
	defer func() { <-s.openers }()
	var f *finder
	select {
	case <-s.closed:
		return errClosed
	case f = <-s.finders:
	default:
		var err error
		if f, err = newFinder(dsn(s.file, "_query_only", "1")); err != nil {
			return explain(err)
		}
	}
	err := do(f)
	if err != nil && !errors.Is(err, session.ErrNotFound) {
		// Whatever is the matter with the connection, the next one begins anew.
		_ = f.close()
		return explain(err)
	}
	s.finders <- f
	return err
}

// oneRow runs a look-up without a context that can end: it would cost a
// goroutine, and what is looked up by a key is found or not at once, since in
// a write-ahead log readers wait for nobody.
func oneRow[T any](f *finder, stmt driver.StmtQueryContext, columns int, read func([]driver.Value) (T, error), args ...driver.Value) (T, error) {
	var none T
	for i, arg := range args {
		f.args[i] = driver.NamedValue{Ordinal: i + 1, Value: arg}
	}
	rows, err := stmt.QueryContext(context.Background(), f.args[:len(args)])
	if err != nil {
		return none, err
	}
	values := f.dest[:columns]
	switch err := rows.Next(values); {
	case err == io.EOF:
		return none, errors.Join(session.ErrNotFound, rows.Close())
	case err != nil:
		return none, errors.Join(err, rows.Close())
	}
	found, err := read(values)
	return found, errors.Join(err, rows.Close())
}

// rowOf reads the columns of findColumns.
func rowOf(v []driver.Value) (*session.Row, error) {
	c := columns{values: v}
	row := &session.Row{
		Kind: session.Kind(c.text(1)), Method: providers.Method(c.text(2)), Service: c.text(3), Mark: c.number(4), Stamp: c.text(5),
		Created: c.time(6), Expires: c.time(7), Used: c.time(8), Ended: c.time(9), Why: session.Reason(c.text(10)),
		Person: session.Person{
			ID: c.number(11), Stamp: c.text(13), Checked: c.time(14), Asked: c.time(15),
			Answer: session.Answer(c.number(16)), Gone: c.time(17), Lease: c.time(18),
		},
	}
	c.bytes(0, row.Hash[:])
	c.bytes(12, row.Person.Version[:])
	return row, c.err
}

// wholeRowOf reads the person's facts too, if they are there.
func wholeRowOf(v []driver.Value) (*session.Row, error) {
	row, err := rowOf(v)
	if err == nil {
		row.Body, _ = v[findColumnCount].([]byte) // NULL where it was known
	}
	return row, err
}

const factsColumnCount = 3

// factsOf reads what a person's look-up found.
func factsOf(v []driver.Value) (session.Facts, error) {
	c := columns{values: v}
	facts := session.Facts{User: c.text(1), Body: c.blob(2)}
	c.bytes(0, facts.Version[:])
	return facts, c.err
}

// columns reads values as the driver gives them, and keeps the first error.
type columns struct {
	values []driver.Value
	err    error
}

func (c *columns) number(i int) int64 {
	n, ok := c.values[i].(int64)
	c.check(ok, i)
	return n
}

func (c *columns) text(i int) string {
	t, ok := c.values[i].(string)
	c.check(ok, i)
	return t
}

func (c *columns) time(i int) time.Time { return fromMillis(c.number(i)) }

// blob is the driver's own copy, and the caller's to keep.
func (c *columns) blob(i int) []byte {
	b, ok := c.values[i].([]byte)
	c.check(ok, i)
	return b
}

func (c *columns) bytes(i int, into []byte) {
	b := c.blob(i)
	c.check(len(b) == len(into), i)
	copy(into, b)
}

func (c *columns) check(ok bool, i int) {
	if !ok && c.err == nil {
		c.err = fmt.Errorf("column %d of a session is damaged", i)
	}
}

// Times are kept as milliseconds, the zero Time as 0.

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
