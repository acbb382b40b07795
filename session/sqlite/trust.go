package sqlite

import (
	"context"
	"database/sql"
	"time"

	"shorepass/session"
)

// NoteEnding keeps what would have to be taken back.
func (s *Store) NoteEnding(ctx context.Context, provider string, u session.Undo) error {
	p := u.Person
	return s.inTx(ctx, func(tx *sql.Tx) error {
		at := session.Millis(u.At)
		if u.Held {
			_, err := tx.ExecContext(ctx, `INSERT INTO undo (provider, person, who, seen, at, why, stamp, checked, gone) VALUES (?, ?, ?, ?, 0, '', '', 0, 0)
				ON CONFLICT (provider, person) DO UPDATE SET seen = excluded.seen`, provider, p.ID, u.Who, at)
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO undo (provider, person, who, seen, at, why, stamp, checked, gone) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			provider, p.ID, u.Who, at, at, string(u.Why), p.Stamp, session.Millis(p.Checked), session.Millis(p.Gone))
		return err
	})
}

// NoteAnswers keeps how many answers a replica had.
func (s *Store) NoteAnswers(ctx context.Context, provider, replica string, answers int, at time.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO answers (provider, replica, count, at) VALUES (?, ?, ?, ?)", provider, replica, answers, session.Millis(at))
		return err
	})
}

// Trust returns what was noted since a time.
func (s *Store) Trust(ctx context.Context, provider, replica string, since time.Time) (session.Trust, error) {
	var t session.Trust
	var doubted int64
	err := s.read.QueryRowContext(ctx, `SELECT
		(SELECT coalesce(sum(count), 0) FROM answers WHERE provider = ?1 AND replica <> ?2 AND at > ?3),
		(SELECT count(DISTINCT who) FROM undo WHERE provider = ?1 AND seen > ?3),
		coalesce((SELECT until FROM doubt WHERE provider = ?1), 0)`, provider, replica, session.Millis(since)).Scan(&t.Answers, &t.Endings, &doubted)
	t.Doubted = session.FromMillis(doubted)
	return t, explain(err)
}

// Doubt takes back what was noted since a time, in a transaction of its own
// after the one that makes everybody see that it does: whoever settles an ending
// meanwhile either sees that, or is seen.
func (s *Store) Doubt(ctx context.Context, provider string, since, until time.Time) error {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO doubt (provider, until) VALUES (?, ?) ON CONFLICT (provider) DO UPDATE SET until = max(until, excluded.until)",
			provider, session.Millis(until))
		return err
	})
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT at, person, why, stamp, checked, gone FROM undo WHERE provider = ? AND at > ?", provider, session.Millis(since))
		if err != nil {
			return err
		}
		all, err := scan(rows, func(n *noted) []any { return []any{&n.at, &n.person, &n.why, &n.stamp, &n.checked, &n.gone} })
		if err != nil {
			return err
		}
		for _, n := range all {
			if err := n.takeBack(ctx, tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// noted is a row of undo.
type noted struct {
	at, person, checked, gone int64
	why, stamp                string
}

func (n noted) takeBack(ctx context.Context, tx *sql.Tx) error {
	if _, err := tx.ExecContext(ctx, "UPDATE person SET stamp = ?, checked = ?, gone = ?, answer = ? WHERE id = ? AND asked = ?",
		n.stamp, n.checked, n.gone, session.AnswerHeld, n.person, n.at); err != nil {
		return err
	}
	if n.why == "" {
		return nil
	}
	back, err := changed(tx.ExecContext(ctx, "UPDATE session SET ended = 0, why = '' WHERE person = ? AND ended = ? AND why = ?", n.person, n.at, n.why))
	if err != nil || !back {
		return err
	}
	_, err = tx.ExecContext(ctx, "UPDATE renewal SET ended = 0 WHERE person = ? AND revoked = 0", n.person)
	return err
}

// forgetNoted deletes what was noted long ago.
func forgetNoted(ctx context.Context, tx *sql.Tx, t session.SweepTimes, limit int) (int, error) {
	result, err := tx.ExecContext(ctx, "DELETE FROM undo WHERE (provider, person) IN (SELECT provider, person FROM undo WHERE seen <= ? LIMIT ?)", session.Millis(t.Noted), limit)
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM answers WHERE at <= ?", session.Millis(t.Noted)); err != nil {
		return 0, err
	}
	n, err := result.RowsAffected()
	return int(n), err
}
