package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"shorepass/session"
)

// Lease lets one caller ask the provider about a person.
func (s *Store) Lease(ctx context.Context, person int64, asked, now, until time.Time) (bool, error) {
	var won bool
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, "UPDATE person SET lease = ? WHERE id = ? AND asked = ? AND lease <= ?", session.Millis(until), person, session.Millis(asked), session.Millis(now))
		won, err = changed(result, err)
		return err
	})
	return won, err
}

// Settle keeps a provider's answer.
func (s *Store) Settle(ctx context.Context, a *session.Settlement) (ended int, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		if err := settlePerson(ctx, tx, a); err != nil {
			return err
		}
		if a.Adopt {
			if _, err := tx.ExecContext(ctx, "UPDATE session SET stamp = ? WHERE person = ? AND stamp = ''", a.Stamp, a.Person); err != nil {
				return fmt.Errorf("give sessions a stamp: %w", err)
			}
		}
		if a.Sealed != nil {
			if _, err := tx.ExecContext(ctx, "UPDATE renewal SET body = ? WHERE person = ?", a.Sealed, a.Person); err != nil {
				return fmt.Errorf("keep the renewal: %w", err)
			}
		}
		if a.Lifetime > 0 {
			if _, err := tx.ExecContext(ctx, "UPDATE session SET expires = created + ?1 WHERE person = ?2 AND ended = 0 AND expires > created + ?1", a.Lifetime.Milliseconds(), a.Person); err != nil {
				return fmt.Errorf("bound the life of sessions: %w", err)
			}
		}
		switch a.End {
		case "":
		case session.ReasonStamp:
			ended, err = endWhere(ctx, tx, ending{a.End, "", a.At}, "person = ? AND ended = 0 AND stamp <> '' AND stamp <> ?", a.Person, a.Stamp)
		default:
			ended, err = endWhere(ctx, tx, ending{a.End, "", a.At}, "person = ? AND ended = 0", a.Person)
		}
		return err
	})
	return ended, err
}

func settlePerson(ctx context.Context, tx *sql.Tx, a *session.Settlement) error {
	at := session.Millis(a.At)
	result, err := tx.ExecContext(ctx, `
		UPDATE person SET lease = 0, asked = ?1, answer = ?2, gone = CASE
			WHEN ?2 = ?3 AND gone = 0 THEN ?1
			WHEN ?2 IN (?4, ?5) THEN 0
			ELSE gone END
		WHERE id = ?6 AND lease = ?7`,
		at, a.Answer, session.AnswerGone, session.AnswerVouched, session.AnswerRejected, a.Person, session.Millis(a.Lease))
	switch won, err := changed(result, err); {
	case err != nil:
		return fmt.Errorf("keep the answer: %w", err)
	case !won:
		return session.ErrNotFound
	}
	if a.Answer != session.AnswerVouched {
		return nil
	}
	if _, err = tx.ExecContext(ctx, "UPDATE person SET checked = ?, user_name = ?, version = ?, stamp = CASE ?4 WHEN '' THEN stamp ELSE ?4 END WHERE id = ?5",
		at, a.Facts.User, a.Facts.Version[:], a.Stamp, a.Person); err != nil {
		return fmt.Errorf("keep the person: %w", err)
	}
	return putFacts(ctx, tx, a.Person, *a.Facts)
}

// Used keeps when sessions were redeemed last.
func (s *Store) Used(ctx context.Context, uses []session.Use) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		used, err := tx.PrepareContext(ctx, "UPDATE session SET used = ?1 WHERE hash = ?2 AND used < ?1")
		if err != nil {
			return err
		}
		defer used.Close()
		client, err := tx.PrepareContext(ctx, "UPDATE client SET last_address = ?, last_id = ?, last_agent = ? WHERE hash = ?")
		if err != nil {
			return err
		}
		defer client.Close()
		for _, u := range uses {
			later, err := changed(used.ExecContext(ctx, session.Millis(u.At), u.Token[:]))
			if err == nil && later {
				_, err = client.ExecContext(ctx, u.Client.AddressText(), u.Client.ID, u.Client.UserAgent, u.Token[:])
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
