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
		if err := settlePerson(conn, a); err != nil {
			return err
		}
		if a.Adopt {
			if err := exec(conn, "UPDATE session SET stamp = ? WHERE person = ? AND stamp = ''", a.Stamp, a.Person); err != nil {
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
		switch a.End {
		case "":
		case session.ReasonStamp:
			ended, err = endWhere(conn, ending{a.End, "", a.At}, "person = ? AND ended = 0 AND stamp <> '' AND stamp <> ?", a.Person, a.Stamp)
		default:
			ended, err = endWhere(conn, ending{a.End, "", a.At}, "person = ? AND ended = 0", a.Person)
		}
		return err
	})
	return ended, err
}

func settlePerson(conn *sqlite.Conn, a *session.Settlement) error {
	at := session.Millis(a.At)
	settled, err := execCount(conn, `
		UPDATE person SET lease = 0, asked = ?1, answer = ?2, gone = CASE
			WHEN ?2 = ?3 AND gone = 0 THEN ?1
			WHEN ?2 IN (?4, ?5) THEN 0
			ELSE gone END
		WHERE id = ?6 AND lease = ?7`,
		at, a.Answer, session.AnswerGone, session.AnswerVouched, session.AnswerRejected, a.Person, session.Millis(a.Lease))
	switch {
	case err != nil:
		return fmt.Errorf("keep the answer: %w", err)
	case settled == 0:
		return session.ErrNotFound
	}
	if a.Answer != session.AnswerVouched {
		return nil
	}
	if err := exec(conn, "UPDATE person SET checked = ?, user_name = ?, version = ?, stamp = CASE ?4 WHEN '' THEN stamp ELSE ?4 END WHERE id = ?5",
		at, a.Facts.User, a.Facts.Version[:], a.Stamp, a.Person); err != nil {
		return fmt.Errorf("keep the person: %w", err)
	}
	return putFacts(conn, a.Person, *a.Facts)
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
