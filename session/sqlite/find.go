package sqlite

import (
	"context"
	"errors"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

const (
	signInColumns = `i.provider_id, i.id, i.identity_version, i.stamp, i.token_version, i.last_vouched, i.last_asked, i.last_answer,
	i.gone_since, i.pending_since, i.pending_reason, i.lease_until`

	findColumns = `s.hash, s.kind, s.service, s.stamp, s.method, s.login_name, s.sid, s.acr, s.amr, s.auth_time, s.limits,
	s.created, s.expires, s.last_used, s.ended, s.reason, s.person, ` + signInColumns

	signInAt        = 17 // index of the first of signInColumns
	findColumnCount = signInAt + 12
)

const (
	findFrom            = " FROM session s JOIN sign_in i ON i.id = s.sign_in WHERE "
	findBody            = ", (SELECT f.body FROM identity f WHERE f.sign_in = i.id)"
	findToken           = "SELECT " + findColumns + ", CASE WHEN i.identity_version <> ?2 THEN (SELECT f.body FROM identity f WHERE f.sign_in = i.id) END" + findFrom + "s.hash = ?1"
	findByProviderToken = "SELECT " + findColumns + findFrom + "s.provider_token_hash = ?1"
	findIdentity        = "SELECT i.identity_version, p.user_name, f.body FROM sign_in i JOIN person p ON p.id = i.person JOIN identity f ON f.sign_in = i.id WHERE i.id = ?1"
)

// Find reads a session by its hash.
func (s *Store) Find(ctx context.Context, token session.Hash, known session.Version) (row *session.Row, err error) {
	err = s.queryByKey(ctx, findToken, func(stmt *sqlite.Stmt) error {
		row, err = bindAndRead(stmt, token, known)
		return err
	})
	return row, err
}

// bindAndRead runs findToken or findGrant for a hash and the version of the identity
// that the caller knows.
func bindAndRead(stmt *sqlite.Stmt, hash session.Hash, known session.Version) (*session.Row, error) {
	stmt.BindBytes(1, hash[:])
	stmt.BindBytes(2, known[:])
	if err := firstRow(stmt); err != nil {
		return nil, err
	}
	row, err := readRow(stmt)
	if err == nil && !stmt.ColumnIsNull(findColumnCount) { // NULL where the caller knows the version
		row.Body = readBlob(stmt, findColumnCount)
	}
	return row, err
}

// FindByProviderToken reads a session by the hash of a provider's refresh token.
func (s *Store) FindByProviderToken(ctx context.Context, tokenHash session.Hash) (row *session.Row, err error) {
	err = s.queryByKey(ctx, findByProviderToken, func(stmt *sqlite.Stmt) error {
		stmt.BindBytes(1, tokenHash[:])
		if err := firstRow(stmt); err != nil {
			return err
		}
		row, err = readRow(stmt)
		return err
	})
	return row, err
}

// ListNotAskedSince returns a session of each sign-in that was last asked about at
// since or before.
func (s *Store) ListNotAskedSince(ctx context.Context, kind session.Kind, since time.Time, after int64, limit int) (all []session.Row, err error) {
	err = s.read(ctx, func(conn *sqlite.Conn) error {
		return forEachRow(conn, "SELECT "+findColumns+findBody+findFrom+"s.kind = ? AND s.ended = 0 AND i.last_asked <= ? AND i.id > ? GROUP BY i.id ORDER BY i.id LIMIT ? + 0", func(stmt *sqlite.Stmt) error {
			row, err := readRow(stmt)
			row.Body = readBlob(stmt, findColumnCount)
			all = append(all, *row)
			return err
		}, kind, session.Millis(since), after, limit)
	})
	return all, err
}

// Identity returns the identity of a sign-in. Every request of a person who is not
// cached waits for it.
func (s *Store) Identity(ctx context.Context, signIn int64) (identity session.StoredIdentity, err error) {
	err = s.queryByKey(ctx, findIdentity, func(stmt *sqlite.Stmt) error {
		stmt.BindInt64(1, signIn)
		if err := firstRow(stmt); err != nil {
			return err
		}
		identity = session.StoredIdentity{User: stmt.ColumnText(1), Body: readBlob(stmt, 2)}
		return readBytes(stmt, 0, identity.Version[:])
	})
	return identity, err
}

// readRow reads the columns of findColumns.
func readRow(stmt *sqlite.Stmt) (*session.Row, error) {
	number, text := stmt.ColumnInt64, stmt.ColumnText
	at := func(column int) time.Time { return session.FromMillis(number(column)) }
	amr, amrErr := session.ParseAMR(text(8))
	row := &session.Row{
		Kind: session.Kind(text(1)), Service: text(2), Stamp: text(3),
		Login:  session.Login{Name: text(5), SID: text(6), ACR: text(7), AMR: amr, Time: at(9)},
		Limits: text(10), Created: at(11), Expires: at(12), LastUsed: at(13), Ended: at(14), Reason: session.Reason(text(15)),
		Person: number(16), ProviderID: number(signInAt),
	}
	readText(stmt, 4, &row.Login.Method)
	var signInErr error
	row.SignIn, signInErr = scanSignIn(stmt, signInAt+1)
	return row, errors.Join(readBytes(stmt, 0, row.Hash[:]), amrErr, signInErr)
}

// scanSignIn reads the columns of signInColumns without provider_id; first is the
// index of i.id.
func scanSignIn(stmt *sqlite.Stmt, first int) (session.SignIn, error) {
	number := func(column int) int64 { return stmt.ColumnInt64(first + column) }
	at := func(column int) time.Time { return session.FromMillis(number(column)) }
	s := session.SignIn{
		ID: number(0), Stamp: stmt.ColumnText(first + 2), TokenVersion: number(3), LastVouched: at(4), LastAsked: at(5),
		LastAnswer: session.Answer(number(6)), GoneSince: at(7), PendingSince: at(8), PendingReason: session.Reason(stmt.ColumnText(first + 9)), LeaseUntil: at(10),
	}
	return s, readBytes(stmt, first+1, s.Version[:])
}
