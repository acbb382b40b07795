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
	err = s.inTx(ctx, slowFactor, func(ctx context.Context, tx pgx.Tx) error {
		ended, err = endWhere(ctx, tx, e, "hash = ANY($4)", hashBytes(tokens))
		return err
	})
	return ended, err
}

// endGrants is the statement that ends unspent grants.
const endGrants = "UPDATE auth_grant SET expires = created WHERE spent = 0 AND expires > created AND "

// endGrantsOfBrowsers ends the unspent grants of the logins of browsers' sessions. It
// is a statement of its own after the sessions were ended, which sees what was committed
// while their rows were locked.
func endGrantsOfBrowsers(ctx context.Context, tx pgx.Tx, sessions [][]byte) error {
	_, err := tx.Exec(ctx, endGrants+"(sign_in, sid, auth_time) IN (SELECT sign_in, sid, auth_time FROM session WHERE kind = $1 AND hash = ANY($2))",
		string(session.KindBrowser), sessions)
	if err != nil {
		return fmt.Errorf("end the grants of sessions: %w", err)
	}
	return nil
}

// EndGrant ends a grant.
func (s *Store) EndGrant(ctx context.Context, hash session.Hash) (bool, error) {
	n, err := s.execCount(ctx, endGrants+"hash = $1", hash[:])
	return err == nil && n > 0, err
}

// EndGrants ends the grants of the persons and logins that sel selects.
func (s *Store) EndGrants(ctx context.Context, sel session.Selector) (int, error) {
	sel.ID, sel.Kind, sel.Ended = "", "", true
	where, args, _ := whereClause(sel, session.Hash{})
	return s.execCount(ctx, endGrants+`hash IN (SELECT s.hash FROM auth_grant s JOIN sign_in i ON i.id = s.sign_in
		JOIN person p ON p.id = i.person JOIN identity f ON f.sign_in = i.id WHERE `+where+")", args...)
}

// hashBytes returns hashes in the type that the driver encodes as an array.
func hashBytes(tokens []session.Hash) [][]byte {
	all := make([][]byte, len(tokens))
	for i := range tokens {
		all[i] = tokens[i][:]
	}
	return all
}

// endWhere ends the live sessions that where selects. The arguments of where begin
// with $4.
func endWhere(ctx context.Context, tx pgx.Tx, e session.Ending, where string, args ...any) (ended int, err error) {
	var signIns []int64   // that have a refresh token
	var browsers [][]byte // of e.Grants
	err = tx.QueryRow(ctx, `
		WITH ended AS (
			UPDATE session SET ended = $1, reason = $2 WHERE ended = 0 AND `+where+` RETURNING hash, sign_in, kind
		), clients AS (
			UPDATE client SET ended_by = $3 WHERE $3 <> '' AND hash IN (SELECT hash FROM ended) RETURNING hash
		)
		SELECT (SELECT count(*) FROM ended), ARRAY(SELECT sign_in FROM provider_token WHERE sign_in IN (SELECT sign_in FROM ended)),
			ARRAY(SELECT hash FROM ended WHERE kind = 'browser')`,
		append([]any{session.Millis(e.At), string(e.Reason), text(e.By)}, args...)...).Scan(&ended, &signIns, &browsers)
	if err != nil {
		return 0, fmt.Errorf("end sessions: %w", err)
	}
	if e.Grants && len(browsers) > 0 {
		if err := endGrantsOfBrowsers(ctx, tx, browsers); err != nil {
			return 0, err
		}
	}
	return ended, setRevocable(ctx, tx, signIns, e.At)
}

// setRevocable records that the refresh tokens of sign-ins can be revoked, unless a
// sign-in has a live session. It locks the tokens first: of two transactions that end
// the last two sessions of a sign-in, the second sees the write of the first.
func setRevocable(ctx context.Context, tx pgx.Tx, signIns []int64, at time.Time) error {
	if len(signIns) == 0 {
		return nil
	}
	b := new(pgx.Batch)
	b.Queue("SELECT sign_in FROM provider_token WHERE sign_in = ANY($1) ORDER BY sign_in FOR UPDATE", signIns)
	b.Queue(`UPDATE provider_token r SET revocable_since = $1 WHERE r.sign_in = ANY($2) AND r.revocable_since = 0
		AND NOT EXISTS (SELECT 1 FROM session s WHERE s.sign_in = r.sign_in AND s.ended = 0)`, session.Millis(at), signIns)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("record that refresh tokens are revocable: %w", err)
	}
	return nil
}

// evict ends and deletes the sessions of an eviction.
func evict(ctx context.Context, tx pgx.Tx, e session.Eviction) error {
	if len(e.End) > 0 {
		if _, err := endWhere(ctx, tx, e.Ending, "hash = ANY($4)", hashBytes(e.End)); err != nil {
			return err
		}
	}
	if len(e.Delete) == 0 {
		return nil
	}
	signIns, err := deleteReturning(ctx, tx, "DELETE FROM session WHERE hash = ANY($1) RETURNING sign_in", hashBytes(e.Delete))
	if err == nil {
		err = setRevocable(ctx, tx, signIns, e.At)
	}
	if err != nil {
		return err
	}
	return deleteUnusedSignIns(ctx, tx, signIns)
}

// ListPendingEnds returns sign-ins with a pending end, and their live sessions.
func (s *Store) ListPendingEnds(ctx context.Context, before time.Time, after int64, limit int) (all []session.PendingEnd, err error) {
	err = s.read(ctx, slowFactor, func(ctx context.Context) error {
		all = nil
		rows, err := s.pool.Query(ctx, "SELECT "+signInColumns+`, p.provider, p.subject, s.hash, s.stamp FROM (
				SELECT * FROM sign_in WHERE pending_since > 0 AND pending_since <= $1 AND id > $2 ORDER BY id LIMIT $3
			) i JOIN person p ON p.id = i.person LEFT JOIN session s ON s.sign_in = i.id AND s.ended = 0 ORDER BY i.id`,
			session.Millis(before), after, limit)
		if err != nil {
			return err
		}
		var provider, subject text
		var hash []byte
		var stamp *text
		var found scannedSignIn
		_, err = pgx.ForEachRow(rows, append(found.dest(), &provider, &subject, &hash, &stamp), func() error {
			if len(all) == 0 || all[len(all)-1].SignIn.ID != found.ID {
				signIn, err := found.toSignIn()
				if err != nil {
					return err
				}
				all = append(all, session.PendingEnd{Provider: string(provider), Subject: string(subject), SignIn: signIn})
			}
			if stamp != nil {
				last := &all[len(all)-1]
				last.Sessions = append(last.Sessions, session.SessionStamp{Hash: session.Hash(hash), Stamp: string(*stamp)})
			}
			return nil
		})
		return err
	})
	return all, err
}

// FinishPendingEnd makes the pending end of a sign-in final, unless its provider has
// been asked since.
func (s *Store) FinishPendingEnd(ctx context.Context, signIn int64, lastAsked time.Time, tokens []session.Hash, e session.Ending) (done bool, err error) {
	err = s.inTx(ctx, slowFactor, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "UPDATE sign_in SET pending_since = 0, pending_reason = '' WHERE id = $1 AND last_asked = $2", signIn, session.Millis(lastAsked))
		if done = err == nil && tag.RowsAffected() > 0; !done {
			return err
		}
		_, err = endWhere(ctx, tx, e, "hash = ANY($4)", hashBytes(tokens))
		return err
	})
	return done, err
}
