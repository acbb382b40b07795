package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"shorepass/session"
)

// ending says how sessions end.
type ending struct {
	why session.Reason
	by  string
	at  time.Time
}

// End ends sessions that live.
func (s *Store) End(ctx context.Context, tokens []session.Hash, why session.Reason, by string, at time.Time) (ended int, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		for _, token := range tokens {
			n, err := endWhere(ctx, tx, ending{why, by, at}, "hash = ? AND "+endable(why), token[:])
			if err != nil {
				return err
			}
			ended += n
		}
		return nil
	})
	return ended, err
}

// endable are the sessions that can end for a reason.
func endable(why session.Reason) string {
	if why != session.ReasonRevoked {
		return "ended = 0"
	}
	return "(ended = 0 OR " + refused + ")"
}

// refused are the sessions that ended because their provider refused somebody.
var refused = func() string {
	var quoted []string
	for _, why := range session.Refusals() {
		quoted = append(quoted, "'"+string(why)+"'")
	}
	return "why IN (" + strings.Join(quoted, ", ") + ")"
}()

// endWhere ends the sessions that a condition chooses.
func endWhere(ctx context.Context, tx *sql.Tx, e ending, where string, args ...any) (int, error) {
	type chosen struct {
		hash   []byte
		person int64
	}
	rows, err := tx.QueryContext(ctx, "SELECT hash, person FROM session WHERE "+where, args...)
	if err != nil {
		return 0, fmt.Errorf("find what ends: %w", err)
	}
	all, err := scan(rows, func(c *chosen) []any { return []any{&c.hash, &c.person} })
	if err != nil {
		return 0, fmt.Errorf("find what ends: %w", err)
	}
	at := session.Millis(e.at)
	// What a person or an operator ended stays so; the provider's token can be
	// revoked at once.
	revoked := e.why == session.ReasonRevoked || e.why == session.ReasonPerPerson
	for _, c := range all {
		if _, err := tx.ExecContext(ctx, "UPDATE session SET ended = ?, why = ? WHERE hash = ?", at, string(e.why), c.hash); err != nil {
			return 0, fmt.Errorf("end a session: %w", err)
		}
		if _, err := tx.ExecContext(ctx, "UPDATE renewal SET ended = ?, revoked = ? WHERE person = ?", at, revoked, c.person); err != nil {
			return 0, fmt.Errorf("end a renewal: %w", err)
		}
		if e.by == "" {
			continue
		}
		if _, err := tx.ExecContext(ctx, "UPDATE client SET ended_by = ? WHERE hash = ?", e.by, c.hash); err != nil {
			return 0, fmt.Errorf("note who ended a session: %w", err)
		}
	}
	return len(all), nil
}

// scan reads all rows; fields names where the columns of one go.
func scan[T any](rows *sql.Rows, fields func(*T) []any) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		var one T
		if err := rows.Scan(fields(&one)...); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

// Sweep ends sessions whose time has come, and forgets those that ended long
// ago.
func (s *Store) Sweep(ctx context.Context, t session.SweepTimes, limit int) (touched int, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		for _, step := range []struct {
			why   session.Reason
			where string
			args  []any
		}{
			{session.ReasonExpired, "ended = 0 AND expires <= ?", []any{session.Millis(t.Now)}},
			{session.ReasonIdle, "ended = 0 AND used > 0 AND used <= ?", []any{session.Millis(t.Idle)}},
			{session.ReasonUnused, "ended = 0 AND used = 0 AND created <= ?", []any{session.Millis(t.Unused)}},
		} {
			n, err := endWhere(ctx, tx, ending{step.why, "", t.Now}, step.where+" LIMIT ?", append(step.args, limit-touched)...)
			if err != nil {
				return err
			}
			touched += n
		}
		for _, forget := range []func(context.Context, *sql.Tx, session.SweepTimes, int) (int, error){forget, forgetCounted, forgetNoted} {
			n, err := forget(ctx, tx, t, limit)
			if touched = max(touched, n); err != nil {
				return err
			}
		}
		return nil
	})
	return touched, err
}

// forget deletes sessions that ended long ago, or were never used, and the
// persons who have none.
func forget(ctx context.Context, tx *sql.Tx, t session.SweepTimes, limit int) (int, error) {
	rows, err := tx.QueryContext(ctx, `DELETE FROM session WHERE hash IN (
		SELECT hash FROM session WHERE ended > 0 AND ended <= ?1 AND upstream IS NULL
		UNION ALL SELECT hash FROM session WHERE ended > ?1 AND ended <= ?2 AND used = 0 AND upstream IS NULL
			AND NOT EXISTS (SELECT 1 FROM renewal r WHERE r.person = session.person)
		LIMIT ?3) RETURNING person`, session.Millis(t.Forget), session.Millis(t.Noted), limit)
	if err != nil {
		return 0, fmt.Errorf("forget sessions: %w", err)
	}
	persons, err := scan(rows, func(p *int64) []any { return []any{p} })
	if err != nil {
		return 0, fmt.Errorf("forget sessions: %w", err)
	}
	for _, person := range persons {
		if _, err := tx.ExecContext(ctx, "DELETE FROM person WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM session WHERE person = ?1)", person); err != nil {
			return 0, fmt.Errorf("forget a person: %w", err)
		}
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM claim WHERE until <= ?", session.Millis(t.Now)); err != nil {
		return 0, fmt.Errorf("forget claims: %w", err)
	}
	return len(persons), nil
}

// TakeRevocable takes renewals whose sessions have ended.
func (s *Store) TakeRevocable(ctx context.Context, before time.Time, limit int) (taken []session.Sealed, err error) {
	err = s.inTx(ctx, func(tx *sql.Tx) error {
		rows, err := tx.QueryContext(ctx, `
			SELECT r.person, r.token, p.provider, p.mark, r.body FROM renewal r JOIN person p ON p.id = r.person
			WHERE r.ended > 0 AND (r.revoked = 1 OR (r.revoked = 0 AND r.ended <= ?)) LIMIT ?`, session.Millis(before), limit)
		if err != nil {
			return err
		}
		if taken, err = scanSealed(rows); err != nil {
			return err
		}
		for _, r := range taken {
			if _, err := tx.ExecContext(ctx, "DELETE FROM renewal WHERE person = ?", r.Person); err != nil {
				return err
			}
		}
		return nil
	})
	return taken, err
}
