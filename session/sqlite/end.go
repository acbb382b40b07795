package sqlite

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// End ends sessions.
func (s *Store) End(ctx context.Context, tokens []session.Hash, e session.Ending) (ended int, err error) {
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		ended, err = endSessions(conn, tokens, e)
		return err
	})
	return ended, err
}

// endSessions ends the sessions that are live.
func endSessions(conn *sqlite.Conn, tokens []session.Hash, e session.Ending) (ended int, err error) {
	at := session.Millis(e.At)
	for i := range tokens {
		signIn, found, err := queryInt(conn, "UPDATE session SET ended = ?, reason = ? WHERE hash = ? AND ended = 0 RETURNING sign_in", at, e.Reason, tokens[i][:])
		if err != nil {
			return 0, fmt.Errorf("end a session: %w", err)
		}
		if !found {
			continue
		}
		ended++
		if e.Grants {
			if err := endGrantsOfBrowser(conn, tokens[i], signIn); err != nil {
				return 0, err
			}
		}
		if err := setRevocable(conn, signIn, e.At); err != nil {
			return 0, err
		}
		if e.By == "" {
			continue
		}
		if err := exec(conn, "UPDATE client SET ended_by = ? WHERE hash = ?", e.By, tokens[i][:]); err != nil {
			return 0, fmt.Errorf("record who ended a session: %w", err)
		}
	}
	return ended, nil
}

// setRevocable records that the refresh token of a sign-in can be revoked, unless the
// sign-in has a live session.
func setRevocable(conn *sqlite.Conn, signIn int64, at time.Time) error {
	if err := exec(conn, `UPDATE provider_token SET revocable_since = ?1 WHERE sign_in = ?2 AND revocable_since = 0
		AND NOT EXISTS (SELECT 1 FROM session WHERE sign_in = ?2 AND ended = 0)`, session.Millis(at), signIn); err != nil {
		return fmt.Errorf("record that a refresh token is revocable: %w", err)
	}
	return nil
}

// endWhere ends the live sessions that where selects.
func endWhere(conn *sqlite.Conn, e session.Ending, where string, args ...any) (int, error) {
	var all []session.Hash
	err := forEachRow(conn, "SELECT hash FROM session WHERE ended = 0 AND "+where, func(stmt *sqlite.Stmt) error {
		var hash session.Hash
		err := readBytes(stmt, 0, hash[:])
		all = append(all, hash)
		return err
	}, args...)
	if err != nil {
		return 0, fmt.Errorf("find sessions to end: %w", err)
	}
	return endSessions(conn, all, e)
}

// ListPendingEnds returns sign-ins with a pending end, and their live sessions.
func (s *Store) ListPendingEnds(ctx context.Context, before time.Time, after int64, limit int) (all []session.PendingEnd, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		err := forEachRow(conn, "SELECT "+signInColumns+", p.provider, p.subject FROM sign_in i JOIN person p ON p.id = i.person WHERE i.pending_since > 0 AND i.pending_since <= ? AND i.id > ? ORDER BY i.id LIMIT ? + 0", func(stmt *sqlite.Stmt) error {
			signIn, err := scanSignIn(stmt, 1)
			all = append(all, session.PendingEnd{SignIn: signIn, Provider: stmt.ColumnText(12), Subject: stmt.ColumnText(13)})
			return err
		}, session.Millis(before), after, limit)
		for i := range all {
			if err == nil {
				all[i].Sessions, err = liveStamps(conn, all[i].SignIn.ID)
			}
		}
		return err
	})
	return all, err
}

func liveStamps(conn *sqlite.Conn, signIn int64) (all []session.SessionStamp, err error) {
	err = forEachRow(conn, "SELECT hash, stamp FROM session WHERE sign_in = ? AND ended = 0", func(stmt *sqlite.Stmt) error {
		one := session.SessionStamp{Stamp: stmt.ColumnText(1)}
		err := readBytes(stmt, 0, one.Hash[:])
		all = append(all, one)
		return err
	}, signIn)
	return all, err
}

// FinishPendingEnd makes the pending end of a sign-in final, unless its provider has
// been asked since.
func (s *Store) FinishPendingEnd(ctx context.Context, signIn int64, lastAsked time.Time, tokens []session.Hash, e session.Ending) (done bool, err error) {
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		n, err := execCount(conn, "UPDATE sign_in SET pending_since = 0, pending_reason = '' WHERE id = ? AND last_asked = ?", signIn, session.Millis(lastAsked))
		if err != nil || n == 0 {
			return err
		}
		done = true
		_, err = endSessions(conn, tokens, e)
		return err
	})
	return done && err == nil, err
}

// Sweep ends up to limit sessions whose lifetime is over. It deletes up to limit rows
// of each table, those that ended or expired long ago.
func (s *Store) Sweep(ctx context.Context, t session.SweepTimes, limit int) (touched int, err error) {
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		if touched, err = endWhere(conn, t.EndExpired(), "expires <= ? LIMIT ? + 0", session.Millis(t.Now), limit); err != nil {
			return err
		}
		for _, kind := range t.Kinds {
			n, err := endWhere(conn, t.EndIdle(), "kind = ? AND last_used > 0 AND last_used <= ? LIMIT ? + 0", kind.Kind, session.Millis(kind.Idle), limit-touched)
			if touched += n; err != nil {
				return err
			}
			n, err = endWhere(conn, t.EndUnused(), "kind = ? AND last_used = 0 AND created <= ? LIMIT ? + 0", kind.Kind, session.Millis(kind.Unused), limit-touched)
			if touched += n; err != nil {
				return err
			}
		}
		for _, deleteRows := range []func(*sqlite.Conn, session.SweepTimes, int) (int, error){deleteEndedSessions, deleteExpiredGrants, deleteExpiredWindows, deleteOldTallies} {
			n, err := deleteRows(conn, t, limit)
			if touched = max(touched, n); err != nil {
				return err
			}
		}
		return nil
	})
	return touched, err
}

// deletableSessions selects sessions that ended long ago, or were never used and
// ended a while ago. SQLite uses a partial index only if the query repeats its WHERE
// terms literally.
const deletableSessions = `SELECT hash FROM session WHERE ended > 0 AND ended <= ?1 AND provider_token_hash IS NULL
	UNION ALL SELECT hash FROM session WHERE ended > 0 AND ended > ?1 AND ended <= ?2 AND last_used = 0 AND provider_token_hash IS NULL LIMIT ?3 + 0`

// deleteEndedSessions deletes deletableSessions, and expired leases of first uses.
func deleteEndedSessions(conn *sqlite.Conn, t session.SweepTimes, limit int) (int, error) {
	signIns, err := deleteReturning(conn, "DELETE FROM session WHERE hash IN ("+deletableSessions+") RETURNING sign_in", session.Millis(t.DeleteEnded), session.Millis(t.DeleteUnused), limit)
	if err != nil {
		return 0, fmt.Errorf("delete sessions: %w", err)
	}
	if err := exec(conn, "DELETE FROM first_use WHERE until <= ?", session.Millis(t.Now)); err != nil {
		return 0, fmt.Errorf("delete leases of first uses: %w", err)
	}
	return len(signIns), deleteUnusedSignIns(conn, signIns)
}

// deleteReturning runs a DELETE … RETURNING sign_in, and returns the sign-ins.
func deleteReturning(conn *sqlite.Conn, query string, args ...any) (signIns []int64, err error) {
	err = forEachRow(conn, query, func(stmt *sqlite.Stmt) error {
		signIns = append(signIns, stmt.ColumnInt64(0))
		return nil
	}, args...)
	return signIns, err
}

func deleteUnusedSignIns(conn *sqlite.Conn, signIns []int64) error {
	for _, signIn := range signIns {
		if err := deleteUnusedSignIn(conn, signIn); err != nil {
			return err
		}
	}
	return nil
}

// deleteUnusedSignIn deletes a sign-in without a session, a grant and a refresh token,
// and a forgotten person with the last sign-in.
func deleteUnusedSignIn(conn *sqlite.Conn, signIn int64) error {
	person, deleted, err := queryInt(conn, `DELETE FROM sign_in WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM session WHERE sign_in = ?1)
		AND NOT EXISTS (SELECT 1 FROM auth_grant WHERE sign_in = ?1) AND NOT EXISTS (SELECT 1 FROM provider_token WHERE sign_in = ?1) RETURNING person`, signIn)
	if err == nil && deleted {
		err = deleteForgotten(conn, person)
	}
	if err != nil {
		return fmt.Errorf("delete a sign-in: %w", err)
	}
	return nil
}

// TakeRevocable deletes and returns the refresh tokens of sign-ins without a live
// session and without a grant that can be spent.
func (s *Store) TakeRevocable(ctx context.Context, now time.Time, limit int) (taken []session.SealedToken, err error) {
	err = s.write(ctx, func(conn *sqlite.Conn) (err error) {
		if taken, err = readSealed(conn, `r.revocable_since > 0 AND NOT EXISTS (
			SELECT 1 FROM auth_grant g WHERE g.sign_in = r.sign_in AND g.spent = 0 AND g.expires > ?) LIMIT ? + 0`, session.Millis(now), limit); err != nil {
			return err
		}
		for i := range taken {
			others, _, err := queryInt(conn, `SELECT count(*) FROM sign_in i JOIN sign_in o ON o.person = i.person AND o.provider_id = i.provider_id
				JOIN provider_token r ON r.sign_in = o.id WHERE i.id = ? AND r.revocable_since = 0`, taken[i].SignIn)
			if err == nil {
				err = exec(conn, "DELETE FROM provider_token WHERE sign_in = ?", taken[i].SignIn)
			}
			if err == nil {
				err = deleteUnusedSignIn(conn, taken[i].SignIn)
			}
			if err != nil {
				return err
			}
			taken[i].Others = others > 0
		}
		return nil
	})
	return taken, err
}
