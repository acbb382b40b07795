package sqlite

import (
	"context"
	"errors"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

const findColumns = `s.hash, s.kind, s.method, s.service, s.provider_id, s.stamp, s.created, s.expires, s.used, s.ended, s.why,
	p.id, p.version, p.stamp, p.checked, p.asked, p.answer, p.gone, p.lease`

const findColumnCount = 19

const (
	findFrom     = " FROM session s JOIN person p ON p.id = s.person WHERE "
	findToken    = "SELECT " + findColumns + ", CASE WHEN p.version <> ?2 THEN (SELECT f.body FROM facts f WHERE f.person = p.id) END" + findFrom + "s.hash = ?1"
	findUpstream = "SELECT " + findColumns + findFrom + "s.upstream = ?1"
	findFacts    = "SELECT p.version, p.user_name, f.body FROM person p JOIN facts f ON f.person = p.id WHERE p.id = ?1"
)

// Find looks a session up by its hash.
func (s *Store) Find(ctx context.Context, token session.Hash, known session.Version) (row *session.Row, err error) {
	err = s.lookUp(ctx, findToken, func(stmt *sqlite.Stmt) error {
		stmt.BindBytes(1, token[:])
		stmt.BindBytes(2, known[:])
		if err := firstRow(stmt); err != nil {
			return err
		}
		if row, err = readRow(stmt); err == nil && !stmt.ColumnIsNull(findColumnCount) { // NULL where the caller knows the version
			row.Body = readBlob(stmt, findColumnCount)
		}
		return err
	})
	return row, err
}

// FindUpstream looks a session up by the provider's refresh token.
func (s *Store) FindUpstream(ctx context.Context, upstream session.Hash) (row *session.Row, err error) {
	err = s.lookUp(ctx, findUpstream, func(stmt *sqlite.Stmt) error {
		stmt.BindBytes(1, upstream[:])
		if err := firstRow(stmt); err != nil {
			return err
		}
		row, err = readRow(stmt)
		return err
	})
	return row, err
}

// Facts returns what is known of a person. It is on the way of each request of
// somebody who was not seen lately.
func (s *Store) Facts(ctx context.Context, person int64) (facts session.Facts, err error) {
	err = s.lookUp(ctx, findFacts, func(stmt *sqlite.Stmt) error {
		stmt.BindInt64(1, person)
		if err := firstRow(stmt); err != nil {
			return err
		}
		facts = session.Facts{User: stmt.ColumnText(1), Body: readBlob(stmt, 2)}
		return readBytes(stmt, 0, facts.Version[:])
	})
	return facts, err
}

// readRow reads the columns of findColumns.
func readRow(stmt *sqlite.Stmt) (*session.Row, error) {
	number, text := stmt.ColumnInt64, stmt.ColumnText
	at := func(column int) time.Time { return session.FromMillis(number(column)) }
	row := &session.Row{
		Kind: session.Kind(text(1)), Service: text(3), ProviderID: number(4), Stamp: text(5),
		Created: at(6), Expires: at(7), Used: at(8), Ended: at(9), Why: session.Reason(text(10)),
		Person: session.Person{
			ID: number(11), Stamp: text(13), Checked: at(14), Asked: at(15),
			Answer: session.Answer(number(16)), Gone: at(17), Lease: at(18),
		},
	}
	readText(stmt, 2, &row.Method)
	return row, errors.Join(readBytes(stmt, 0, row.Hash[:]), readBytes(stmt, 12, row.Person.Version[:]))
}
