package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// NoteEnding keeps what would have to be taken back.
func (s *Store) NoteEnding(ctx context.Context, provider string, u session.Undo) error {
	p, at := u.Person, session.Millis(u.At)
	if u.Held {
		return s.exec(ctx, `
			INSERT INTO undo (provider, person, who, seen, at, why, stamp, checked, gone) VALUES ($1, $2, $3, $4, 0, '', '', 0, 0)
			ON CONFLICT (provider, person) DO UPDATE SET seen = excluded.seen`, text(provider), p.ID, u.Who, at)
	}
	return s.exec(ctx, `
		INSERT INTO undo (provider, person, who, seen, at, why, stamp, checked, gone) VALUES ($1, $2, $3, $4, $4, $5, $6, $7, $8)
		ON CONFLICT (provider, person) DO UPDATE SET seen = excluded.seen, at = excluded.at,
			why = excluded.why, stamp = excluded.stamp, checked = excluded.checked, gone = excluded.gone`,
		text(provider), p.ID, u.Who, at, string(u.Why), text(p.Stamp), session.Millis(p.Checked), session.Millis(p.Gone))
}

// NoteAnswers keeps how many answers a replica had.
func (s *Store) NoteAnswers(ctx context.Context, provider, replica string, answers int, at time.Time) error {
	return s.exec(ctx, `
		INSERT INTO answers (provider, replica, count, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (provider, replica) DO UPDATE SET count = excluded.count, at = excluded.at`, text(provider), replica, answers, session.Millis(at))
}

// Trust returns what was noted since a time.
func (s *Store) Trust(ctx context.Context, provider, replica string, since time.Time) (t session.Trust, err error) {
	var doubted int64
	err = s.read(ctx, 1, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, `SELECT
			(SELECT CAST(coalesce(sum(count), 0) AS BIGINT) FROM answers WHERE provider = $1 AND replica <> $2 AND at > $3),
			(SELECT count(DISTINCT who) FROM undo WHERE provider = $1 AND seen > $3),
			coalesce((SELECT until FROM doubt WHERE provider = $1), 0)`, text(provider), replica, session.Millis(since)).Scan(&t.Answers, &t.Endings, &doubted)
	})
	t.Doubted = session.FromMillis(doubted)
	return t, err
}

// Doubt takes back what was noted since a time, in a transaction of its own
// after the one that makes everybody see that it does: whoever settles an ending
// meanwhile either sees that, or is seen.
func (s *Store) Doubt(ctx context.Context, provider string, since, until time.Time) error {
	if err := s.exec(ctx, "INSERT INTO doubt (provider, until) VALUES ($1, $2) ON CONFLICT (provider) DO UPDATE SET until = greatest(doubt.until, excluded.until)",
		text(provider), session.Millis(until)); err != nil {
		return err
	}
	return s.inTx(ctx, slow, func(ctx context.Context, tx pgx.Tx) error {
		b := new(pgx.Batch)
		// In the order of the persons, so that replicas that do this at once
		// never wait for each other in a circle.
		b.Queue(`
			SELECT p.id FROM person p JOIN undo u ON u.person = p.id WHERE u.provider = $1 AND u.at > $2 ORDER BY p.id FOR UPDATE OF p`, text(provider), session.Millis(since))
		b.Queue(`
			UPDATE person p SET stamp = u.stamp, checked = u.checked, gone = u.gone, answer = $3
			FROM undo u WHERE u.provider = $1 AND u.at > $2 AND p.id = u.person AND p.asked = u.at`, text(provider), session.Millis(since), int64(session.AnswerHeld))
		b.Queue(`
			WITH back AS (
				UPDATE session s SET ended = 0, why = ''
				FROM undo u WHERE u.provider = $1 AND u.at > $2 AND u.why <> '' AND s.person = u.person AND s.ended = u.at AND s.why = u.why
				RETURNING s.person
			)
			UPDATE renewal SET ended = 0 WHERE NOT revoked AND person IN (SELECT person FROM back)`, text(provider), session.Millis(since))
		return tx.SendBatch(ctx, b).Close()
	})
}

// forgetNoted deletes what was noted long ago.
func (s *Store) forgetNoted(ctx context.Context, t session.SweepTimes, limit int) (int, error) {
	n, err := s.deleted(ctx, `
		WITH chosen AS MATERIALIZED (
			SELECT provider, person FROM undo WHERE seen <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
		)
		DELETE FROM undo u USING chosen c WHERE u.provider = c.provider AND u.person = c.person`, session.Millis(t.Noted), limit)
	if err != nil {
		return n, err
	}
	_, err = s.deleted(ctx, "DELETE FROM answers WHERE at <= $1", session.Millis(t.Noted))
	return n, err
}
