package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// End ends sessions.
func (s *Store) End(ctx context.Context, tokens []session.Hash, e session.Ending) (ended int, err error) {
	hashes := make([][]byte, len(tokens))
	for i := range tokens {
		hashes[i] = tokens[i][:]
	}
	err = s.write(ctx, slow, func(ctx context.Context) error {
		ended, err = endWhere(ctx, s.pool, e, "hash = ANY($5)", hashes)
		return err
	})
	return ended, err
}

// querier is the pool, or a transaction.
type querier interface {
	QueryRow(ctx context.Context, query string, args ...any) pgx.Row
}

// endWhere ends the sessions that can end by e and that a condition chooses,
// whose own arguments begin with $5. It is one statement, so that it is kept
// whole or not at all wherever it runs.
func endWhere(ctx context.Context, q querier, e session.Ending, where string, args ...any) (ended int, err error) {
	args = append([]any{session.Millis(e.At), string(e.Why), e.Final, text(e.By)}, args...)
	endable := "ended = 0"
	if len(e.Replaces) > 0 {
		args = append(args, reasons(e.Replaces))
		endable = fmt.Sprintf("(ended = 0 OR why = ANY($%d))", len(args))
	}
	err = q.QueryRow(ctx, `
		WITH over AS (
			UPDATE session SET ended = $1, why = $2 WHERE `+endable+` AND `+where+` RETURNING hash, person
		), renewals AS (
			UPDATE renewal SET ended = $1, revoked = $3 WHERE person IN (SELECT person FROM over) RETURNING person
		), told AS (
			UPDATE client SET ended_by = $4 WHERE hash IN (SELECT hash FROM over) RETURNING hash
		)
		SELECT count(*) FROM over`, args...).Scan(&ended)
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	return ended, nil
}

// reasons returns reasons as the driver takes them.
func reasons(all []session.Reason) []string {
	texts := make([]string, len(all))
	for i, why := range all {
		texts[i] = string(why)
	}
	return texts
}

// Sweep ends and forgets sessions whose time has come. What another replica is
// sweeping at the same moment is left to it. What is chosen stands in ARRAY(…),
// here and elsewhere, since a subquery that locks rows may be run more than once
// in a join, and would choose others each time.
func (s *Store) Sweep(ctx context.Context, t session.SweepTimes, limit int) (touched int, err error) {
	for _, step := range []struct {
		end   session.Ending
		where string
		args  []any
	}{
		{t.EndExpired(), "expires <= $5", []any{session.Millis(t.Now)}},
		{t.EndIdle(), "used_day > 0 AND used_day <= $5 AND used <= $6", []any{days(session.Millis(t.Idle)), session.Millis(t.Idle)}},
		{t.EndUnused(), "used_day = 0 AND created <= $5", []any{session.Millis(t.Unused)}},
	} {
		chosen := fmt.Sprintf("hash = ANY(ARRAY(SELECT hash FROM session WHERE ended = 0 AND %s LIMIT $%d FOR UPDATE SKIP LOCKED))", step.where, 5+len(step.args))
		err := s.write(ctx, slow, func(ctx context.Context) error {
			n, err := endWhere(ctx, s.pool, step.end, chosen, append(step.args, limit-touched)...)
			touched += n
			return err
		})
		if err != nil {
			return touched, err
		}
	}
	for _, forget := range []func(context.Context, session.SweepTimes, int) (int, error){s.forgetSessions, s.forgetClaims, s.forgetWindows, s.forgetNoted} {
		n, err := forget(ctx, t, limit)
		if touched = max(touched, n); err != nil {
			return touched, err
		}
	}
	return touched, nil
}

// forgetSessions deletes sessions that ended long ago, or were never used, and
// the persons who have none.
func (s *Store) forgetSessions(ctx context.Context, t session.SweepTimes, limit int) (forgotten int, err error) {
	err = s.inTx(ctx, slow, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `DELETE FROM session WHERE hash = ANY(ARRAY(
			SELECT hash FROM session WHERE ended > 0 AND upstream IS NULL AND (ended <= $1 OR used_day = 0 AND ended <= $2
				AND NOT EXISTS (SELECT 1 FROM renewal r WHERE r.person = session.person))
			ORDER BY ended LIMIT $3 FOR UPDATE SKIP LOCKED)) RETURNING person`, session.Millis(t.Forget), session.Millis(t.Noted), limit)
		if err != nil {
			return fmt.Errorf("forget sessions: %w", err)
		}
		persons, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return fmt.Errorf("forget sessions: %w", err)
		}
		if forgotten = len(persons); forgotten == 0 {
			return nil
		}
		// Whoever logs in at this moment holds the person's row until the session
		// is there, and then it must be seen: so first the lock, then the look.
		if _, err = tx.Exec(ctx, "SELECT id FROM person WHERE id = ANY($1) ORDER BY id FOR UPDATE", persons); err == nil {
			_, err = tx.Exec(ctx, "DELETE FROM person p WHERE p.id = ANY($1) AND NOT EXISTS (SELECT 1 FROM session s WHERE s.person = p.id)", persons)
		}
		if err != nil {
			return fmt.Errorf("forget persons: %w", err)
		}
		return nil
	})
	return forgotten, err
}

// forgetClaims deletes claims that are over.
func (s *Store) forgetClaims(ctx context.Context, t session.SweepTimes, limit int) (int, error) {
	return s.deleted(ctx, `DELETE FROM claim WHERE upstream = ANY(ARRAY(
		SELECT upstream FROM claim WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, session.Millis(t.Now), limit)
}

// deleted runs a statement that deletes, and returns how many rows it did.
func (s *Store) deleted(ctx context.Context, query string, args ...any) (n int, err error) {
	err = s.write(ctx, slow, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, query, args...)
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}

// TakeRevocable takes renewals whose sessions have ended.
func (s *Store) TakeRevocable(ctx context.Context, before time.Time, limit int) (taken []session.Sealed, err error) {
	err = s.write(ctx, slow, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `
			DELETE FROM renewal r USING person p WHERE p.id = r.person AND r.person = ANY(ARRAY(
				SELECT person FROM renewal WHERE ended > 0 AND (revoked OR ended <= $1) LIMIT $2 FOR UPDATE SKIP LOCKED))
			RETURNING r.person, r.token, p.provider, p.provider_id, r.body`, session.Millis(before), limit)
		taken, err = collectSealed(rows, err)
		return err
	})
	return taken, err
}

// days is a time in milliseconds as used_day has it.
func days(ms int64) int64 { return ms / (24 * time.Hour).Milliseconds() }
