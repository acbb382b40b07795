package sqlite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// End ends sessions.
func (s *Store) End(ctx context.Context, tokens []session.Hash, e session.Ending) (ended int, err error) {
	endable, args := "ended = 0", []any{nil}
	if len(e.Replaces) > 0 {
		endable = "(ended = 0 OR " + whyIn(e.Replaces) + ")"
		args = append(args, reasons(e.Replaces)...)
	}
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		for _, token := range tokens {
			args[0] = token[:]
			n, err := endWhere(conn, e, "hash = ? AND "+endable, args...)
			if err != nil {
				return err
			}
			ended += n
		}
		return nil
	})
	return ended, err
}

// whyIn returns the condition that why is one of the reasons, with a placeholder
// for each.
func whyIn(all []session.Reason) string {
	return "why IN (?" + strings.Repeat(", ?", len(all)-1) + ")"
}

// reasons returns reasons as the arguments of a statement.
func reasons(all []session.Reason) []any {
	args := make([]any, len(all))
	for i, why := range all {
		args[i] = why
	}
	return args
}

// endWhere ends the sessions that a condition chooses.
func endWhere(conn *sqlite.Conn, e session.Ending, where string, args ...any) (int, error) {
	type chosen struct {
		hash   session.Hash
		person int64
	}
	var all []chosen
	err := each(conn, "SELECT hash, person FROM session WHERE "+where, func(stmt *sqlite.Stmt) error {
		c := chosen{person: stmt.ColumnInt64(1)}
		err := readBytes(stmt, 0, c.hash[:])
		all = append(all, c)
		return err
	}, args...)
	if err != nil {
		return 0, fmt.Errorf("find what ends: %w", err)
	}
	at := session.Millis(e.At)
	for _, c := range all {
		if err := exec(conn, "UPDATE session SET ended = ?, why = ? WHERE hash = ?", at, e.Why, c.hash[:]); err != nil {
			return 0, fmt.Errorf("end a session: %w", err)
		}
		if err := exec(conn, "UPDATE renewal SET ended = ?, revoked = ? WHERE person = ?", at, e.Final, c.person); err != nil {
			return 0, fmt.Errorf("end a renewal: %w", err)
		}
		if e.By == "" {
			continue
		}
		if err := exec(conn, "UPDATE client SET ended_by = ? WHERE hash = ?", e.By, c.hash[:]); err != nil {
			return 0, fmt.Errorf("note who ended a session: %w", err)
		}
	}
	return len(all), nil
}

// Sweep ends sessions whose time has come, and forgets those that ended long
// ago.
func (s *Store) Sweep(ctx context.Context, t session.SweepTimes, limit int) (touched int, err error) {
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		for _, step := range []struct {
			end   session.Ending
			where string
			until time.Time
		}{
			{t.EndExpired(), "ended = 0 AND expires <= ?", t.Now},
			{t.EndIdle(), "ended = 0 AND used > 0 AND used <= ?", t.Idle},
			{t.EndUnused(), "ended = 0 AND used = 0 AND created <= ?", t.Unused},
		} {
			n, err := endWhere(conn, step.end, step.where+" LIMIT ?", session.Millis(step.until), limit-touched)
			if err != nil {
				return err
			}
			touched += n
		}
		for _, forget := range []func(*sqlite.Conn, session.SweepTimes, int) (int, error){forget, forgetWindows, forgetNoted} {
			n, err := forget(conn, t, limit)
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
func forget(conn *sqlite.Conn, t session.SweepTimes, limit int) (int, error) {
	var persons []int64
	err := each(conn, `DELETE FROM session WHERE hash IN (
		SELECT hash FROM session WHERE ended > 0 AND ended <= ?1 AND upstream IS NULL
		UNION ALL SELECT hash FROM session WHERE ended > ?1 AND ended <= ?2 AND used = 0 AND upstream IS NULL
			AND NOT EXISTS (SELECT 1 FROM renewal r WHERE r.person = session.person)
		LIMIT ?3) RETURNING person`, func(stmt *sqlite.Stmt) error {
		persons = append(persons, stmt.ColumnInt64(0))
		return nil
	}, session.Millis(t.Forget), session.Millis(t.Noted), limit)
	if err != nil {
		return 0, fmt.Errorf("forget sessions: %w", err)
	}
	for _, person := range persons {
		if err := exec(conn, "DELETE FROM person WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM session WHERE person = ?1)", person); err != nil {
			return 0, fmt.Errorf("forget a person: %w", err)
		}
	}
	if err := exec(conn, "DELETE FROM claim WHERE until <= ?", session.Millis(t.Now)); err != nil {
		return 0, fmt.Errorf("forget claims: %w", err)
	}
	return len(persons), nil
}

// TakeRevocable takes renewals whose sessions have ended.
func (s *Store) TakeRevocable(ctx context.Context, before time.Time, limit int) (taken []session.Sealed, err error) {
	err = s.write(ctx, func(conn *sqlite.Conn) (err error) {
		if taken, err = readSealed(conn, "r.ended > 0 AND (r.revoked = 1 OR (r.revoked = 0 AND r.ended <= ?)) LIMIT ?", session.Millis(before), limit); err != nil {
			return err
		}
		for _, r := range taken {
			if err := exec(conn, "DELETE FROM renewal WHERE person = ?", r.Person); err != nil {
				return err
			}
		}
		return nil
	})
	return taken, err
}
