package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// Sweep ends up to limit sessions whose lifetime is over. It deletes up to limit rows
// of each table, those that ended or expired long ago. SKIP LOCKED leaves rows to
// another replica that sweeps them at the same time. Here and elsewhere ARRAY(…) wraps
// the subquery that locks rows: in a join it may run more than once, and would select
// other rows each time.
func (s *Store) Sweep(ctx context.Context, t session.SweepTimes, limit int) (touched int, err error) {
	for _, step := range sweepSteps(t) {
		selected := fmt.Sprintf("hash = ANY(ARRAY(SELECT hash FROM session WHERE ended = 0 AND %s LIMIT $%d FOR UPDATE SKIP LOCKED))", step.where, 4+len(step.args))
		var ended int
		err := s.inTx(ctx, slowFactor, func(ctx context.Context, tx pgx.Tx) error {
			ended, err = endWhere(ctx, tx, step.ending, selected, append(step.args, limit-touched)...)
			return err
		})
		if touched += ended; err != nil {
			return touched, err
		}
	}
	for _, deleteRows := range []func(context.Context, session.SweepTimes, int) (int, error){s.deleteEndedSessions, s.deleteExpiredGrants, s.deleteExpiredFirstUses, s.deleteExpiredWindows, s.deleteOldTallies} {
		n, err := deleteRows(ctx, t, limit)
		if touched = max(touched, n); err != nil {
			return touched, err
		}
	}
	return touched, nil
}

// sweepStep ends the live sessions that where selects, with arguments from $4 on.
type sweepStep struct {
	ending session.Ending
	where  string
	args   []any
}

func sweepSteps(t session.SweepTimes) []sweepStep {
	steps := []sweepStep{{t.EndExpired(), "expires <= $4", []any{session.Millis(t.Now)}}}
	for _, k := range t.Kinds {
		idle := session.Millis(k.Idle)
		steps = append(steps,
			sweepStep{t.EndIdle(), "kind = $4 AND last_used_day > 0 AND last_used_day <= $5 AND last_used <= $6", []any{string(k.Kind), toDays(idle), idle}},
			sweepStep{t.EndUnused(), "kind = $4 AND last_used_day = 0 AND created <= $5", []any{string(k.Kind), session.Millis(k.Unused)}})
	}
	return steps
}

// deleteEndedSessions deletes sessions that ended long ago, or were never used and
// ended a while ago. Each of the two queries has a partial index; one query for both
// would use neither.
func (s *Store) deleteEndedSessions(ctx context.Context, t session.SweepTimes, limit int) (int, error) {
	n := 0
	for _, old := range []struct {
		where  string
		before time.Time
	}{{"ended > 0 AND provider_token_hash IS NULL", t.DeleteEnded}, {"ended > 0 AND provider_token_hash IS NULL AND last_used_day = 0", t.DeleteUnused}} {
		deleted, err := s.deleteWithSignIns(ctx, `DELETE FROM session WHERE hash = ANY(ARRAY(
			SELECT hash FROM session WHERE `+old.where+` AND ended <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING sign_in`,
			session.Millis(old.before), limit-n)
		if n += deleted; err != nil {
			return n, err
		}
	}
	return n, nil
}

// deleteExpiredGrants deletes grants that expired at t.DeleteGrants or before.
func (s *Store) deleteExpiredGrants(ctx context.Context, t session.SweepTimes, limit int) (int, error) {
	return s.deleteWithSignIns(ctx, `DELETE FROM auth_grant WHERE hash = ANY(ARRAY(
		SELECT hash FROM auth_grant WHERE expires <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING sign_in`, session.Millis(t.DeleteGrants), limit)
}

// deleteWithSignIns runs a DELETE … RETURNING sign_in, and deletes the sign-ins that
// are unused then. It returns how many rows the statement deleted.
func (s *Store) deleteWithSignIns(ctx context.Context, query string, args ...any) (n int, err error) {
	err = s.inTx(ctx, slowFactor, func(ctx context.Context, tx pgx.Tx) error {
		signIns, err := deleteReturning(ctx, tx, query, args...)
		if n = len(signIns); err != nil {
			return err
		}
		return deleteUnusedSignIns(ctx, tx, signIns)
	})
	return n, err
}

// deleteReturning runs a DELETE … RETURNING sign_in, and returns the sign-ins.
func deleteReturning(ctx context.Context, tx pgx.Tx, query string, args ...any) ([]int64, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	signIns, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("delete: %w", err)
	}
	return signIns, nil
}

// deleteUnusedSignIns deletes those of the sign-ins without a session, a grant and a
// refresh token, and a forgotten person with the last sign-in. It locks the persons before it
// checks: a concurrent login holds that lock until it has committed its session, which
// the check then sees.
func deleteUnusedSignIns(ctx context.Context, tx pgx.Tx, signIns []int64) error {
	if len(signIns) == 0 {
		return nil
	}
	rows, err := tx.Query(ctx, "SELECT id FROM person WHERE id IN (SELECT person FROM sign_in WHERE id = ANY($1)) ORDER BY id FOR UPDATE", signIns)
	if err != nil {
		return fmt.Errorf("delete sign-ins: %w", err)
	}
	persons, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("delete sign-ins: %w", err)
	}
	b := new(pgx.Batch)
	b.Queue("SELECT id FROM sign_in WHERE id = ANY($1) ORDER BY id FOR UPDATE", signIns)
	b.Queue(`DELETE FROM sign_in i WHERE i.id = ANY($1) AND NOT EXISTS (SELECT 1 FROM session s WHERE s.sign_in = i.id)
		AND NOT EXISTS (SELECT 1 FROM auth_grant g WHERE g.sign_in = i.id) AND NOT EXISTS (SELECT 1 FROM provider_token r WHERE r.sign_in = i.id)`, signIns)
	queueDeleteForgotten(b, persons)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("delete sign-ins: %w", err)
	}
	return nil
}

// deleteExpiredFirstUses deletes expired leases of first uses.
func (s *Store) deleteExpiredFirstUses(ctx context.Context, t session.SweepTimes, limit int) (int, error) {
	return s.execCount(ctx, `DELETE FROM first_use WHERE provider_token_hash = ANY(ARRAY(
		SELECT provider_token_hash FROM first_use WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED))`, session.Millis(t.Now), limit)
}

// execCount runs a DELETE, and returns how many rows it deleted.
func (s *Store) execCount(ctx context.Context, query string, args ...any) (n int, err error) {
	err = s.write(ctx, slowFactor, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, query, args...)
		n = int(tag.RowsAffected())
		return err
	})
	return n, err
}

// TakeRevocable deletes and returns the refresh tokens of sign-ins without a live
// session and without a grant that can be spent. The last column is
// session.SealedToken.Others. It leaves the tokens of persons whom a login has locked to
// the next call: that login may need them.
func (s *Store) TakeRevocable(ctx context.Context, now time.Time, limit int) (taken []session.SealedToken, err error) {
	err = s.inTx(ctx, slowFactor, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			DELETE FROM provider_token r USING sign_in i JOIN person p ON p.id = i.person WHERE i.id = r.sign_in AND r.revocable_since > 0 AND r.sign_in = ANY(ARRAY(
				SELECT d.sign_in FROM provider_token d JOIN sign_in t ON t.id = d.sign_in JOIN person o ON o.id = t.person WHERE d.revocable_since > 0
				AND NOT EXISTS (SELECT 1 FROM session s WHERE s.sign_in = d.sign_in AND s.ended = 0)
				AND NOT EXISTS (SELECT 1 FROM auth_grant g WHERE g.sign_in = d.sign_in AND g.spent = 0 AND g.expires > $1)
				LIMIT $2 FOR UPDATE OF o, d SKIP LOCKED))
			RETURNING `+sealedColumns+`, EXISTS (SELECT 1 FROM sign_in o JOIN provider_token l ON l.sign_in = o.id
				WHERE o.person = i.person AND o.provider_id = i.provider_id AND o.id <> i.id AND l.revocable_since = 0)`, session.Millis(now), limit)
		if taken, err = collectSealed(rows, err); err != nil {
			return err
		}
		var signIns []int64
		for i := range taken {
			signIns = append(signIns, taken[i].SignIn)
		}
		return deleteUnusedSignIns(ctx, tx, signIns)
	})
	return taken, err
}

// toDays returns a time in milliseconds as last_used_day stores it.
func toDays(ms int64) int64 { return ms / (24 * time.Hour).Milliseconds() }
