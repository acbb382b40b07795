package sqlite

import (
	"context"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// ListPersons returns persons by user name and provider.
func (s *Store) ListPersons(ctx context.Context, user, provider string, after int64, limit int) (all []session.Person, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		return forEachRow(conn, `SELECT p.id, p.provider, p.subject, p.user_name, p.last_seen,
			(SELECT count(*) FROM session s WHERE s.person = p.id AND s.ended = 0)
			FROM person p WHERE p.id > ?1 AND p.last_seen > 0 AND (?2 = '' OR p.user_name = ?2) AND (?3 = '' OR p.provider = ?3) ORDER BY p.id LIMIT ?4 + 0`,
			func(stmt *sqlite.Stmt) error {
				all = append(all, session.Person{
					ID: stmt.ColumnInt64(0), Provider: stmt.ColumnText(1), Subject: stmt.ColumnText(2), User: stmt.ColumnText(3),
					LastSeen: session.FromMillis(stmt.ColumnInt64(4)), Live: stmt.ColumnInt(5),
				})
				return nil
			}, after, user, provider, limit)
	})
	return all, err
}

// forgettable selects persons who were last seen at ?1 or before, and have no session that
// lives or ended after ?1.
const forgettable = `p.last_seen <= ?1 AND NOT EXISTS (SELECT 1 FROM session s WHERE s.person = p.id AND s.ended = 0)
	AND NOT EXISTS (SELECT 1 FROM session s WHERE s.person = p.id AND s.ended > ?1)`

// ListForgettable reads a page of persons, and returns the ids of those to be forgotten.
func (s *Store) ListForgettable(ctx context.Context, at time.Time, after int64, limit int) (ids []int64, last int64, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		return forEachRow(conn, "SELECT p.id, "+forgettable+" FROM (SELECT * FROM person WHERE id > ?2 AND last_seen <= ?1 ORDER BY id LIMIT ?3 + 0) p ORDER BY p.id", func(stmt *sqlite.Stmt) error {
			if last = stmt.ColumnInt64(0); stmt.ColumnBool(1) {
				ids = append(ids, last)
			}
			return nil
		}, session.Millis(at), after, limit)
	})
	return ids, last, err
}

// ForgetPerson deletes a person.
func (s *Store) ForgetPerson(ctx context.Context, id int64, at, now time.Time) (done session.Forgotten, err error) {
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		_, found, err := queryInt(conn, "SELECT 1 FROM person p WHERE p.id = ?2 AND (?1 = 0 OR "+forgettable+")", session.Millis(at), id)
		if err == nil && !found {
			err = session.ErrNotFound
		}
		if err == nil {
			done, err = forgetPerson(conn, id, now)
		}
		return err
	})
	return done, err
}

// forgetPerson deletes a person. It retains rows for refresh tokens of the provider until
// they are revoked.
func forgetPerson(conn *sqlite.Conn, id int64, now time.Time) (done session.Forgotten, err error) {
	live, _, err := queryInt(conn, "SELECT count(*) FROM session WHERE person = ? AND ended = 0", id)
	if err != nil {
		return done, err
	}
	signIns := "(SELECT id FROM sign_in WHERE person = ?)"
	for _, step := range []struct {
		statement string
		args      []any
	}{
		{`INSERT INTO first_use (provider_token_hash, until) SELECT provider_token_hash, ? FROM session WHERE person = ? AND provider_token_hash IS NOT NULL
			ON CONFLICT (provider_token_hash) DO UPDATE SET until = excluded.until`, []any{session.Millis(session.Forever), id}},
		{"DELETE FROM auth_grant WHERE sign_in IN " + signIns, []any{id}},
		{"DELETE FROM session WHERE person = ?", []any{id}},
		{"DELETE FROM identity WHERE sign_in IN " + signIns, []any{id}},
		{"DELETE FROM sign_in WHERE person = ? AND NOT EXISTS (SELECT 1 FROM provider_token r WHERE r.sign_in = sign_in.id)", []any{id}},
		// A login that joins what is left must write its identity again.
		{"UPDATE sign_in SET identity_version = zeroblob(16) WHERE person = ?", []any{id}},
		{"UPDATE provider_token SET revocable_since = ? WHERE revocable_since = 0 AND sign_in IN " + signIns, []any{session.Millis(now), id}},
		{"UPDATE person SET user_name = '', last_seen = 0 WHERE id = ?", []any{id}},
	} {
		if err := exec(conn, step.statement, step.args...); err != nil {
			return done, fmt.Errorf("delete a person: %w", err)
		}
	}
	tokens, _, err := queryInt(conn, "SELECT count(*) FROM sign_in WHERE person = ?", id)
	if err == nil {
		err = deleteForgotten(conn, id)
	}
	return session.Forgotten{Sessions: int(live), Tokens: int(tokens)}, err
}

// deleteForgotten deletes the row of a forgotten person without a sign-in.
func deleteForgotten(conn *sqlite.Conn, id int64) error {
	return exec(conn, "DELETE FROM person WHERE id = ?1 AND last_seen = 0 AND NOT EXISTS (SELECT 1 FROM sign_in WHERE person = ?1)", id)
}
