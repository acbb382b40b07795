package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"shorepass/session"
)

// Create stores a new session. As everywhere, rows are locked in the order person,
// sign-in, sessions, to avoid deadlocks. The lock on the person serializes the logins
// of one person, so that concurrent ones cannot exceed a bound.
func (s *Store) Create(ctx context.Context, d *session.Draft) error {
	return s.inTx(ctx, 1, func(ctx context.Context, tx pgx.Tx) error {
		person, signIn, err := lockSignIn(ctx, tx, d)
		if err != nil {
			return err
		}
		// The session that is replaced ends first, so that it neither counts for the bound
		// nor leaves the refresh token of a shared sign-in revocable.
		if d.Replaces != nil {
			if _, err := endWhere(ctx, tx, d.Replacement(), "hash = $4", d.Replaces[:]); err != nil {
				return err
			}
		}
		live, signIns, err := insertSession(ctx, tx, person, signIn, d)
		if err == nil {
			err = deleteUnusedSignIns(ctx, tx, signIns)
		}
		if err != nil || len(live) < d.Bound || d.Admit == nil {
			return err
		}
		evicted, err := d.Admit(live)
		if err != nil {
			return err
		}
		return evict(ctx, tx, evicted)
	})
}

// lockSignIn locks and returns the sign-in of a draft and its person, so that neither
// is deleted before the session is inserted. A first login inserts both, the sign-in as
// the zero SignIn, which insertSession then updates like an older one. Of two
// concurrent first logins the second waits, and reads the row that the first wrote.
func lockSignIn(ctx context.Context, tx pgx.Tx, d *session.Draft) (person int64, i session.SignIn, err error) {
	var row pgx.Row
	if d.Derived {
		row = tx.QueryRow(ctx, `
			WITH p AS MATERIALIZED (SELECT id FROM person WHERE id = (SELECT person FROM sign_in WHERE id = $1) FOR UPDATE)
			SELECT `+signInColumns+`, i.person FROM p JOIN sign_in i ON i.person = p.id WHERE i.id = $1 FOR UPDATE OF i`, d.SignIn.ID)
	} else {
		var blank session.Version
		row = tx.QueryRow(ctx, `
			WITH p AS (
				INSERT INTO person AS p (provider, subject, user_name, last_seen) VALUES ($1, $2, $3, $4)
				ON CONFLICT (provider, subject) DO UPDATE SET
					user_name = CASE WHEN excluded.last_seen < p.last_seen THEN p.user_name ELSE excluded.user_name END, last_seen = greatest(p.last_seen, excluded.last_seen)
				RETURNING id
			)
			INSERT INTO sign_in AS i (person, provider_id, login_id, identity_version, stamp, token_version, last_vouched, last_asked, last_answer, gone_since, pending_since, pending_reason, lease_until)
			SELECT id, $5, $6, $7, '', 0, 0, 0, 0, 0, 0, '', 0 FROM p
			ON CONFLICT (person, provider_id, login_id) DO UPDATE SET lease_until = i.lease_until
			RETURNING `+signInColumns+`, i.person`,
			text(d.Provider), text(d.Subject), text(d.Identity.User), session.Millis(d.Created), d.ProviderID, d.LoginID, blank[:])
	}
	if i, err = scanSignIn(row, &person); err != nil && !errors.Is(err, session.ErrNotFound) {
		err = fmt.Errorf("store the sign-in: %w", err)
	}
	return person, i, err
}

// insertSession stores the session and its login's changes of the sign-in, in one batch
// (one round trip). It returns the other live sessions of the person and kind if there
// are d.Bound or more, and the sign-ins of the ended sessions that it deleted.
func insertSession(ctx context.Context, tx pgx.Tx, person int64, signIn session.SignIn, d *session.Draft) (live []session.LiveSession, signIns []int64, err error) {
	b := new(pgx.Batch)
	if d.From != nil {
		// The lock lets a revocation of that session wait for the new one, and this
		// statement wait for a revocation.
		b.Queue("SELECT 1 FROM session WHERE hash = $1 AND ended = 0 FOR SHARE", d.From[:]).Exec(requireRow)
	}
	if d.Grant != nil {
		b.Queue("UPDATE auth_grant SET spent = $1 WHERE hash = $2 AND spent = 0 AND expires > $1", session.Millis(d.Created), d.Grant[:]).Exec(requireGrant)
	}
	if d.Admit != nil {
		// Without d.Bound live sessions no row is returned.
		b.Queue(`SELECT hash, created, last_used, provider_token_hash IS NOT NULL FROM session WHERE person = $1 AND kind = $2 AND ended = 0
			AND (SELECT count(*) FROM session WHERE person = $1 AND kind = $2 AND ended = 0) >= $3`, person, string(d.Kind), d.Bound).
			Query(func(rows pgx.Rows) (err error) {
				live, err = pgx.CollectRows(rows, scanLive)
				return err
			})
	}
	stamp := d.Stamp
	if !d.Derived {
		change := d.Change(signIn)
		if change.SignIn != signIn {
			queueSignIn(b, change)
		}
		stamp = d.StampOn(change.SignIn)
	}
	b.Queue("UPDATE provider_token SET revocable_since = 0 WHERE sign_in = $1", signIn.ID) // also where it is 0, to lock the row
	queueSession(b, person, signIn.ID, stamp, d)
	if d.KeepEnded > 0 {
		queueDeleteSurplus(b, person, d, &signIns)
	}
	err = tx.SendBatch(ctx, b).Close()
	if err != nil && !errors.Is(err, session.ErrSpent) && !errors.Is(err, session.ErrNotFound) {
		err = fmt.Errorf("store the session: %w", err)
	}
	return live, signIns, err
}

// queueDeleteSurplus deletes the ended sessions of a person beyond d.KeepEnded, and
// locks no others.
func queueDeleteSurplus(b *pgx.Batch, person int64, d *session.Draft, signIns *[]int64) {
	b.Queue(`DELETE FROM session WHERE hash = ANY(ARRAY(SELECT hash FROM session WHERE hash = ANY(ARRAY(
		SELECT hash FROM session WHERE person = $1 AND kind = $2 AND ended > 0 AND provider_token_hash IS NULL ORDER BY ended DESC LIMIT $3 OFFSET $4))
		FOR UPDATE SKIP LOCKED)) RETURNING sign_in`, person, string(d.Kind), session.DeleteBatch, d.KeepEnded).
		Query(func(rows pgx.Rows) (err error) {
			*signIns, err = pgx.CollectRows(rows, pgx.RowTo[int64])
			return err
		})
}

// requireGrant returns session.ErrSpent unless the statement has spent the grant.
func requireGrant(tag pgconn.CommandTag) error {
	if tag.RowsAffected() == 0 {
		return session.ErrSpent
	}
	return nil
}

// requireRow returns session.ErrNotFound unless the statement has found a row.
func requireRow(tag pgconn.CommandTag) error {
	if tag.RowsAffected() == 0 {
		return session.ErrNotFound
	}
	return nil
}

func scanLive(row pgx.CollectableRow) (l session.LiveSession, err error) {
	var hash []byte
	var created, used int64
	err = row.Scan(&hash, &created, &used, &l.ProviderToken)
	copy(l.Hash[:], hash)
	l.Created, l.LastUsed = session.FromMillis(created), session.FromMillis(used)
	return l, err
}

func queueSession(b *pgx.Batch, person, signIn int64, stamp string, d *session.Draft) {
	var tokenHash []byte
	if d.ProviderToken != nil {
		tokenHash = d.ProviderToken[:]
		b.Queue("DELETE FROM first_use WHERE provider_token_hash = $1", tokenHash)
	}
	l, c := &d.Login, &d.Client
	b.Queue(`INSERT INTO session (hash, sign_in, person, kind, method, service, stamp, login_name, sid, acr, amr, auth_time, limits, created, expires, provider_token_hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		d.Hash[:], signIn, person, string(d.Kind), string(l.Method), d.Service, text(stamp), text(l.Name), text(l.SID), text(l.ACR), l.AMRText(), session.Millis(l.Time),
		text(d.Limits), session.Millis(d.Created), session.Millis(d.Expires), tokenHash)
	b.Queue("INSERT INTO client (hash, address, id, agent, label, made_by) VALUES ($1, $2, $3, $4, $5, $6)",
		d.Hash[:], c.AddressText(), text(c.ID), text(c.UserAgent), text(d.Label), text(d.MadeBy))
}

// PutGrant stores a new grant, and deletes the person's oldest beyond g.Keep. It locks the
// person first, as a login does, to avoid deadlocks.
func (s *Store) PutGrant(ctx context.Context, g *session.Grant) error {
	l := &g.Login
	return s.inTx(ctx, 1, func(ctx context.Context, tx pgx.Tx) error {
		if err := lockGrantOrigin(ctx, tx, g); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `INSERT INTO auth_grant (hash, kind, sign_in, method, service, stamp, login_name, sid, acr, amr, auth_time, data, created, expires)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
			g.Hash[:], string(g.Kind), g.SignIn, string(l.Method), g.Service, text(g.Stamp), text(l.Name), text(l.SID), text(l.ACR), l.AMRText(), session.Millis(l.Time),
			text(g.Data), session.Millis(g.Created), session.Millis(g.Expires))
		if err != nil || g.Keep == 0 {
			return err
		}
		signIns, err := deleteReturning(ctx, tx, `DELETE FROM auth_grant WHERE hash = ANY(ARRAY(SELECT hash FROM auth_grant WHERE hash = ANY(ARRAY(
			SELECT g.hash FROM sign_in i JOIN auth_grant g ON g.sign_in = i.id
			WHERE i.person = (SELECT person FROM sign_in WHERE id = $1) AND g.kind = $2
			ORDER BY g.created DESC, g.hash = $3 DESC LIMIT $4 OFFSET $5)) FOR UPDATE SKIP LOCKED)) RETURNING sign_in`,
			g.SignIn, string(g.Kind), g.Hash[:], session.DeleteBatch, g.Keep)
		if err != nil {
			return err
		}
		return deleteUnusedSignIns(ctx, tx, signIns)
	})
}

// lockGrantOrigin locks the person and sign-in of a grant and the session that it is made
// from, which must be live: a revocation of that session waits for the grant, and the
// grant for a revocation.
func lockGrantOrigin(ctx context.Context, tx pgx.Tx, g *session.Grant) error {
	query := `WITH p AS MATERIALIZED (SELECT id FROM person WHERE id = (SELECT person FROM sign_in WHERE id = $1) FOR UPDATE),
		i AS MATERIALIZED (SELECT i.id FROM p JOIN sign_in i ON i.person = p.id WHERE i.id = $1 FOR KEY SHARE OF i) `
	args := []any{g.SignIn}
	if g.From == nil {
		query += "SELECT 1 FROM i"
	} else {
		query += "SELECT 1 FROM i JOIN session s ON s.sign_in = i.id WHERE s.hash = $2 AND s.ended = 0 FOR SHARE OF s"
		args = append(args, g.From[:])
	}
	tag, err := tx.Exec(ctx, query, args...)
	if err == nil {
		err = requireRow(tag)
	}
	return err
}

// LeaseFirstUse gives one caller at a time the right to redeem a provider's refresh
// token that has no session yet.
func (s *Store) LeaseFirstUse(ctx context.Context, tokenHash session.Hash, now, until time.Time) (leased bool, err error) {
	err = s.write(ctx, 1, func(ctx context.Context) error {
		tag, err := s.pool.Exec(ctx, `
			INSERT INTO first_use (provider_token_hash, until) VALUES ($1, $2)
			ON CONFLICT (provider_token_hash) DO UPDATE SET until = excluded.until WHERE first_use.until <= $3`, tokenHash[:], session.Millis(until), session.Millis(now))
		leased = err == nil && tag.RowsAffected() > 0
		return err
	})
	if err == nil && !leased {
		return false, s.requireUnforgotten(ctx, tokenHash)
	}
	if err != nil {
		return false, err
	}
	// A caller that created the session has released its lease. Only a read after
	// this lease was taken shows that session.
	switch _, err := s.FindByProviderToken(ctx, tokenHash); {
	case errors.Is(err, session.ErrNotFound):
		return true, nil
	case err != nil:
		return false, err
	}
	return false, s.ReleaseFirstUse(ctx, tokenHash)
}

// requireUnforgotten returns session.ErrForgotten if the session of a provider's refresh
// token was deleted with its person.
func (s *Store) requireUnforgotten(ctx context.Context, tokenHash session.Hash) error {
	forgotten := false
	err := s.read(ctx, 1, func(ctx context.Context) error {
		return s.pool.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM first_use WHERE provider_token_hash = $1 AND until = $2)", tokenHash[:], session.Millis(session.Forever)).Scan(&forgotten)
	})
	if err == nil && forgotten {
		err = session.ErrForgotten
	}
	return err
}

// ReleaseFirstUse releases the lease.
func (s *Store) ReleaseFirstUse(ctx context.Context, tokenHash session.Hash) error {
	return s.exec(ctx, "DELETE FROM first_use WHERE provider_token_hash = $1", tokenHash[:])
}

// exec runs one statement, and ignores its result.
func (s *Store) exec(ctx context.Context, query string, args ...any) error {
	return s.write(ctx, 1, func(ctx context.Context) error {
		_, err := s.pool.Exec(ctx, query, args...)
		return err
	})
}
