package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"shorepass/session"
)

// ListPersons returns persons by user name and provider.
func (s *Store) ListPersons(ctx context.Context, user, provider string, after int64, limit int) (all []session.Person, err error) {
	err = s.read(ctx, slowFactor, func(ctx context.Context) error {
		rows, err := s.pool.Query(ctx, `SELECT p.id, p.provider, p.subject, p.user_name, p.last_seen,
			(SELECT count(*) FROM session s WHERE s.person = p.id AND s.ended = 0)
			FROM person p WHERE p.id > $1 AND p.last_seen > 0 AND ($2 = '' OR p.user_name = $2) AND ($3 = '' OR p.provider = $3) ORDER BY p.id LIMIT $4`,
			after, text(user), text(provider), limit)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (p session.Person, err error) {
			var seen int64
			err = row.Scan(&p.ID, (*text)(&p.Provider), (*text)(&p.Subject), (*text)(&p.User), &seen, &p.Live)
			p.LastSeen = session.FromMillis(seen)
			return p, err
		})
		return err
	})
	return all, err
}

// forgettable selects persons who were last seen at $1 or before, and have no session that
// lives or ended after $1.
const forgettable = `p.last_seen <= $1 AND NOT EXISTS (SELECT 1 FROM session s WHERE s.person = p.id AND s.ended = 0)
	AND NOT EXISTS (SELECT 1 FROM session s WHERE s.person = p.id AND s.ended > $1)`

// ListForgettable reads a page of persons, and returns the ids of those to be forgotten.
func (s *Store) ListForgettable(ctx context.Context, at time.Time, after int64, limit int) (ids []int64, last int64, err error) {
	err = s.read(ctx, slowFactor, func(ctx context.Context) error {
		ids, last = nil, 0
		rows, err := s.pool.Query(ctx, "SELECT p.id, "+forgettable+" FROM (SELECT * FROM person WHERE id > $2 AND last_seen <= $1 ORDER BY id LIMIT $3) p ORDER BY p.id",
			session.Millis(at), after, limit)
		if err != nil {
			return err
		}
		var forget bool
		_, err = pgx.ForEachRow(rows, []any{&last, &forget}, func() error {
			if forget {
				ids = append(ids, last)
			}
			return nil
		})
		return err
	})
	return ids, last, err
}

// ForgetPerson deletes a person. It locks the person first, as a login does, and checks
// after that.
func (s *Store) ForgetPerson(ctx context.Context, id int64, at, now time.Time) (done session.Forgotten, err error) {
	err = s.inTx(ctx, slowFactor, func(ctx context.Context, tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, "SELECT 1 FROM person WHERE id = $1 FOR UPDATE", id)
		if err == nil {
			err = requireRow(tag)
		}
		if err == nil && !at.IsZero() {
			if tag, err = tx.Exec(ctx, "SELECT 1 FROM person p WHERE p.id = $2 AND "+forgettable, session.Millis(at), id); err == nil {
				err = requireRow(tag)
			}
		}
		if err == nil {
			done, err = forgetPerson(ctx, tx, id, now)
		}
		return err
	})
	return done, err
}

// forgetPerson deletes a person. It retains rows for refresh tokens of the provider until
// they are revoked.
func forgetPerson(ctx context.Context, tx pgx.Tx, id int64, now time.Time) (done session.Forgotten, err error) {
	rows, err := tx.Query(ctx, "SELECT id FROM sign_in WHERE person = $1 ORDER BY id FOR UPDATE", id)
	if err != nil {
		return done, fmt.Errorf("delete a person: %w", err)
	}
	signIns, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return done, fmt.Errorf("delete a person: %w", err)
	}
	var noVersion session.Version
	b := new(pgx.Batch)
	b.Queue("SELECT count(*) FROM session WHERE person = $1 AND ended = 0", id).QueryRow(func(row pgx.Row) error { return row.Scan(&done.Sessions) })
	b.Queue(`INSERT INTO first_use (provider_token_hash, until) SELECT provider_token_hash, $2 FROM session WHERE person = $1 AND provider_token_hash IS NOT NULL
		ON CONFLICT (provider_token_hash) DO UPDATE SET until = excluded.until`, id, session.Millis(session.Forever))
	b.Queue("DELETE FROM session WHERE person = $1", id)
	b.Queue("DELETE FROM auth_grant WHERE sign_in = ANY($1)", signIns)
	b.Queue("UPDATE provider_token SET revocable_since = $2 WHERE sign_in = ANY($1) AND revocable_since = 0", signIns, session.Millis(now))
	b.Queue("DELETE FROM identity WHERE sign_in = ANY($1)", signIns)
	b.Queue("DELETE FROM sign_in i WHERE i.person = $1 AND NOT EXISTS (SELECT 1 FROM provider_token r WHERE r.sign_in = i.id)", id)
	// A login that joins what is left must write its identity again.
	b.Queue("UPDATE sign_in SET identity_version = $2 WHERE person = $1", id, noVersion[:])
	b.Queue("SELECT count(*) FROM sign_in WHERE person = $1", id).QueryRow(func(row pgx.Row) error { return row.Scan(&done.Tokens) })
	b.Queue("UPDATE person SET user_name = '', last_seen = 0 WHERE id = $1", id)
	queueDeleteForgotten(b, []int64{id})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return session.Forgotten{}, fmt.Errorf("delete a person: %w", err)
	}
	return done, nil
}

// queueDeleteForgotten deletes the rows of forgotten persons without a sign-in.
func queueDeleteForgotten(b *pgx.Batch, persons []int64) {
	b.Queue("DELETE FROM person p WHERE p.id = ANY($1) AND p.last_seen = 0 AND NOT EXISTS (SELECT 1 FROM sign_in i WHERE i.person = p.id)", persons)
}
