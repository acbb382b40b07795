package sqlite

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/providers"
	"shorepass/session"
)

// A finder is a connection with the statements prepared that are on the way of
// a request: those of a redemption, and what a login asks the counters. It is
// another library's than those that go through database/sql, on the same SQLite:
// a driver makes a name, a type and a value of Go's of each column of each row,
// which takes as long again as the look-up, and twice that in a server whose
// caches are cold.
type finder struct {
	conn       *sqlite.Conn
	byToken    *sqlite.Stmt
	byUpstream *sqlite.Stmt
	facts      *sqlite.Stmt
	marks      *sqlite.Stmt
}

const findColumns = `s.hash, s.kind, s.method, s.service, s.mark, s.stamp, s.created, s.expires, s.used, s.ended, s.why,
	p.id, p.version, p.stamp, p.checked, p.asked, p.answer, p.gone, p.lease`

const findColumnCount = 19

func newFinder(file string) (_ *finder, err error) {
	path, err := filepath.Abs(file)
	if err != nil {
		return nil, err
	}
	f := new(finder)
	if f.conn, err = sqlite.OpenConn(path, sqlite.OpenReadWrite); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = f.close() // the first error is the one to tell
		}
	}()
	f.conn.SetBusyTimeout(busyTimeout)
	for _, pragma := range append(pragmas, "query_only(1)") {
		if err := sqlitex.ExecuteTransient(f.conn, "PRAGMA "+pragma, nil); err != nil {
			return nil, err
		}
	}
	const unknown = "CASE WHEN p.version <> ?2 THEN (SELECT f.body FROM facts f WHERE f.person = p.id) END"
	const from = " FROM session s JOIN person p ON p.id = s.person WHERE "
	for query, stmt := range map[string]**sqlite.Stmt{
		"SELECT " + findColumns + ", " + unknown + from + "s.hash = ?1":                                       &f.byToken,
		"SELECT " + findColumns + from + "s.upstream = ?1":                                                    &f.byUpstream,
		"SELECT p.version, p.user_name, f.body FROM person p JOIN facts f ON f.person = p.id WHERE p.id = ?1": &f.facts,
		marksQuery: &f.marks,
	} {
		if *stmt, err = f.conn.Prepare(query); err != nil {
			return nil, fmt.Errorf("prepare a look-up: %w", err)
		}
	}
	return f, nil
}

func (f *finder) close() error { return f.conn.Close() }

// Find looks a session up by its hash.
func (s *Store) Find(ctx context.Context, token session.Hash, known session.Version) (row *session.Row, err error) {
	err = s.withFinder(ctx, func(f *finder) error {
		f.byToken.BindBytes(1, token[:])
		f.byToken.BindBytes(2, known[:])
		return oneRow(f.byToken, func(c *found) {
			if row = rowOf(c); !c.stmt.ColumnIsNull(findColumnCount) { // which it is where it was known
				row.Body = c.blob(findColumnCount)
			}
		})
	})
	return row, err
}

// FindUpstream looks a session up by the provider's refresh token.
func (s *Store) FindUpstream(ctx context.Context, upstream session.Hash) (row *session.Row, err error) {
	err = s.withFinder(ctx, func(f *finder) error {
		f.byUpstream.BindBytes(1, upstream[:])
		return oneRow(f.byUpstream, func(c *found) { row = rowOf(c) })
	})
	return row, err
}

// Facts returns what is known of a person. It is on the way of each request of
// somebody who was not seen lately.
func (s *Store) Facts(ctx context.Context, person int64) (facts session.Facts, err error) {
	err = s.withFinder(ctx, func(f *finder) error {
		f.facts.BindInt64(1, person)
		return oneRow(f.facts, func(c *found) {
			facts = session.Facts{User: c.text(1), Body: c.blob(2)}
			c.bytes(0, facts.Version[:])
		})
	})
	return facts, err
}

var errClosed = errors.New("the store is closed")

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
		if f, err = newFinder(s.file); err != nil {
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

// oneRow runs a look-up, whose arguments are bound, without a context that can
// end: what is looked up by a key is found or not at once, since in a
// write-ahead log readers wait for nobody.
func oneRow(stmt *sqlite.Stmt, read func(*found)) error {
	there, err := stmt.Step()
	if err != nil {
		return err
	}
	if !there {
		return errors.Join(session.ErrNotFound, stmt.Reset())
	}
	c := found{stmt: stmt}
	read(&c)
	return errors.Join(c.err, stmt.Reset())
}

// columns are those of a session, from whichever library they come.
type columns interface {
	number(i int) int64
	text(i int) string
	bytes(i int, into []byte) // as many as there is room for
}

// rowOf reads the columns of findColumns.
func rowOf(c columns) *session.Row {
	at := func(i int) time.Time { return session.FromMillis(c.number(i)) }
	row := &session.Row{
		Kind: session.Kind(c.text(1)), Method: providers.Method(c.text(2)), Service: c.text(3), ProviderID: c.number(4), Stamp: c.text(5),
		Created: at(6), Expires: at(7), Used: at(8), Ended: at(9), Why: session.Reason(c.text(10)),
		Person: session.Person{
			ID: c.number(11), Stamp: c.text(13), Checked: at(14), Asked: at(15),
			Answer: session.Answer(c.number(16)), Gone: at(17), Lease: at(18),
		},
	}
	c.bytes(0, row.Hash[:])
	c.bytes(12, row.Person.Version[:])
	return row
}

// found is the row at which a statement stands. It keeps the first error.
type found struct {
	stmt *sqlite.Stmt
	err  error
}

func (c *found) number(i int) int64 { return c.stmt.ColumnInt64(i) }

func (c *found) text(i int) string { return c.stmt.ColumnText(i) }

func (c *found) bytes(i int, into []byte) {
	if c.stmt.ColumnBytes(i, into) != len(into) || c.stmt.ColumnLen(i) != len(into) {
		c.err = errDamaged(i)
	}
}

// blob is a copy.
func (c *found) blob(i int) []byte {
	b := make([]byte, c.stmt.ColumnLen(i))
	c.bytes(i, b)
	return b
}

func errDamaged(column int) error { return fmt.Errorf("column %d of a session is damaged", column) }
