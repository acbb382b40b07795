package sqlite

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// Lease lets one caller ask the provider about a person.
func (s *Store) Lease(ctx context.Context, person int64, asked, now, until time.Time) (bool, error) {
	var leased int
	err := s.write(ctx, func(conn *sqlite.Conn) (err error) {
		leased, err = execCount(conn, "UPDATE person SET lease = ? WHERE id = ? AND asked = ? AND lease <= ?", session.Millis(until), person, session.Millis(asked), session.Millis(now))
		return err
	})
	return err == nil && leased > 0, err
}

// Settle keeps a provider's answer.
func (s *Store) Settle(ctx context.Context, a *session.Settlement) (ended int, err error) {
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		person, err := readPerson(conn, "id = ? AND lease = ?", a.Person, session.Millis(a.Lease))
		if err != nil {
			return err
		}
		if err := writePerson(conn, a.Next(person), a.Facts); err != nil {
			return fmt.Errorf("keep the answer: %w", err)
		}
		if a.Adopt != "" {
			if err := exec(conn, "UPDATE session SET stamp = ? WHERE person = ? AND stamp = ''", a.Adopt, a.Person); err != nil {
				return fmt.Errorf("give sessions a stamp: %w", err)
			}
		}
		if a.Sealed != nil {
			if err := exec(conn, "UPDATE renewal SET body = ? WHERE person = ?", a.Sealed, a.Person); err != nil {
				return fmt.Errorf("keep the renewal: %w", err)
			}
		}
		if a.Lifetime > 0 {
			if err := exec(conn, "UPDATE session SET expires = created + ?1 WHERE person = ?2 AND ended = 0 AND expires > created + ?1", a.Lifetime.Milliseconds(), a.Person); err != nil {
				return fmt.Errorf("bound the life of sessions: %w", err)
			}
		}
		switch {
		case a.End.Why == "":
		case a.Spare != "":
			ended, err = endWhere(conn, a.End, "person = ? AND ended = 0 AND stamp <> '' AND stamp <> ?", a.Person, a.Spare)
		default:
			ended, err = endWhere(conn, a.End, "person = ? AND ended = 0", a.Person)
		}
		return err
	})
	return ended, err
}

// readPerson reads the person's row that where selects, or returns
// session.ErrNotFound.
func readPerson(conn *sqlite.Conn, where string, args ...any) (p session.Person, err error) {
	found := false
	err = each(conn, "SELECT id, version, stamp, checked, asked, answer, gone, lease FROM person WHERE "+where, func(stmt *sqlite.Stmt) error {
		at := func(column int) time.Time { return session.FromMillis(stmt.ColumnInt64(column)) }
		p = session.Person{
			ID: stmt.ColumnInt64(0), Stamp: stmt.ColumnText(2), Checked: at(3), Asked: at(4),
			Answer: session.Answer(stmt.ColumnInt64(5)), Gone: at(6), Lease: at(7),
		}
		found = true
		return readBytes(stmt, 1, p.Version[:])
	}, args...)
	if err == nil && !found {
		err = session.ErrNotFound
	}
	return p, err
}

// writePerson writes a person's columns, and the facts unless they are nil.
func writePerson(conn *sqlite.Conn, p session.Person, facts *session.Facts) error {
	if err := exec(conn, "UPDATE person SET version = ?, stamp = ?, checked = ?, asked = ?, answer = ?, gone = ?, lease = ? WHERE id = ?",
		p.Version[:], p.Stamp, session.Millis(p.Checked), session.Millis(p.Asked), p.Answer, session.Millis(p.Gone), session.Millis(p.Lease), p.ID); err != nil || facts == nil {
		return err
	}
	if err := exec(conn, "UPDATE person SET user_name = ? WHERE id = ?", facts.User, p.ID); err != nil {
		return err
	}
	return putFacts(conn, p.ID, *facts)
}

// Used keeps when sessions were redeemed last.
func (s *Store) Used(ctx context.Context, uses []session.Use) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		for _, u := range uses {
			later, err := execCount(conn, "UPDATE session SET used = ?1 WHERE hash = ?2 AND used < ?1", session.Millis(u.At), u.Token[:])
			if err == nil && later > 0 {
				err = exec(conn, "UPDATE client SET last_address = ?, last_id = ?, last_agent = ? WHERE hash = ?", u.Client.AddressText(), u.Client.ID, u.Client.UserAgent, u.Token[:])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
