package sqlite

import (
	"context"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// NoteEnding keeps what would have to be taken back.
func (s *Store) NoteEnding(ctx context.Context, provider string, u session.Undo) error {
	p := u.Person
	return s.write(ctx, func(conn *sqlite.Conn) error {
		at := session.Millis(u.At)
		if u.Held {
			return exec(conn, `INSERT INTO undo (provider, person, who, seen, at, why, stamp, checked, gone) VALUES (?, ?, ?, ?, 0, '', '', 0, 0)
				ON CONFLICT (provider, person) DO UPDATE SET seen = excluded.seen`, provider, p.ID, u.Who, at)
		}
		return exec(conn, "INSERT OR REPLACE INTO undo (provider, person, who, seen, at, why, stamp, checked, gone) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			provider, p.ID, u.Who, at, at, u.Why, p.Stamp, session.Millis(p.Checked), session.Millis(p.Gone))
	})
}

// NoteAnswers keeps how many answers a replica had.
func (s *Store) NoteAnswers(ctx context.Context, provider, replica string, answers int, at time.Time) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		return exec(conn, "INSERT OR REPLACE INTO answers (provider, replica, count, at) VALUES (?, ?, ?, ?)", provider, replica, answers, session.Millis(at))
	})
}

// Trust returns what was noted since a time.
func (s *Store) Trust(ctx context.Context, provider, replica string, since time.Time) (t session.Trust, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		return each(conn, `SELECT
			(SELECT coalesce(sum(count), 0) FROM answers WHERE provider = ?1 AND replica <> ?2 AND at > ?3),
			(SELECT count(DISTINCT who) FROM undo WHERE provider = ?1 AND seen > ?3),
			coalesce((SELECT until FROM doubt WHERE provider = ?1), 0)`, func(stmt *sqlite.Stmt) error {
			t = session.Trust{Answers: stmt.ColumnInt(0), Endings: stmt.ColumnInt(1), Doubted: session.FromMillis(stmt.ColumnInt64(2))}
			return nil
		}, provider, replica, session.Millis(since))
	})
	return t, err
}

// Doubt takes back what was noted since a time, in a transaction of its own
// after the one that makes everybody see that it does: whoever settles an ending
// meanwhile either sees that, or is seen.
func (s *Store) Doubt(ctx context.Context, provider string, since, until time.Time) error {
	err := s.write(ctx, func(conn *sqlite.Conn) error {
		return exec(conn, "INSERT INTO doubt (provider, until) VALUES (?, ?) ON CONFLICT (provider) DO UPDATE SET until = max(until, excluded.until)",
			provider, session.Millis(until))
	})
	if err != nil {
		return err
	}
	return s.write(ctx, func(conn *sqlite.Conn) error {
		var all []noted
		err := each(conn, "SELECT at, person, why, stamp, checked, gone FROM undo WHERE provider = ? AND at > ?", func(stmt *sqlite.Stmt) error {
			all = append(all, noted{
				at: stmt.ColumnInt64(0), person: stmt.ColumnInt64(1), why: stmt.ColumnText(2),
				stamp: stmt.ColumnText(3), checked: stmt.ColumnInt64(4), gone: stmt.ColumnInt64(5),
			})
			return nil
		}, provider, session.Millis(since))
		if err != nil {
			return err
		}
		for _, n := range all {
			if err := n.takeBack(conn); err != nil {
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

func (n noted) takeBack(conn *sqlite.Conn) error {
	if err := exec(conn, "UPDATE person SET stamp = ?, checked = ?, gone = ?, answer = ? WHERE id = ? AND asked = ?",
		n.stamp, n.checked, n.gone, session.AnswerHeld, n.person, n.at); err != nil {
		return err
	}
	if n.why == "" {
		return nil
	}
	back, err := execCount(conn, "UPDATE session SET ended = 0, why = '' WHERE person = ? AND ended = ? AND why = ?", n.person, n.at, n.why)
	if err != nil || back == 0 {
		return err
	}
	return exec(conn, "UPDATE renewal SET ended = 0 WHERE person = ? AND revoked = 0", n.person)
}

// forgetNoted deletes what was noted long ago.
func forgetNoted(conn *sqlite.Conn, t session.SweepTimes, limit int) (int, error) {
	n, err := execCount(conn, "DELETE FROM undo WHERE (provider, person) IN (SELECT provider, person FROM undo WHERE seen <= ? LIMIT ?)", session.Millis(t.Noted), limit)
	if err != nil {
		return 0, err
	}
	return n, exec(conn, "DELETE FROM answers WHERE at <= ?", session.Millis(t.Noted))
}
