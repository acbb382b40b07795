package sqlite

import (
	"context"
	"fmt"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"shorepass/session"
)

// PutGrant stores a new grant, and deletes the person's oldest beyond g.Keep.
func (s *Store) PutGrant(ctx context.Context, g *session.Grant) error {
	l := &g.Login
	return s.write(ctx, func(conn *sqlite.Conn) error {
		if err := requireLive(conn, g.From); err != nil {
			return err
		}
		if err := exec(conn, `
			INSERT INTO auth_grant (hash, kind, sign_in, method, service, stamp, login_name, sid, acr, amr, auth_time, data, created, expires)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			g.Hash[:], g.Kind, g.SignIn, l.Method, g.Service, g.Stamp, l.Name, l.SID, l.ACR, l.AMRText(), session.Millis(l.Time), g.Data,
			session.Millis(g.Created), session.Millis(g.Expires)); err != nil || g.Keep == 0 {
			return err
		}
		signIns, err := deleteReturning(conn, `DELETE FROM auth_grant WHERE hash IN (
			SELECT g.hash FROM sign_in i JOIN auth_grant g ON g.sign_in = i.id
			WHERE i.person = (SELECT person FROM sign_in WHERE id = ?) AND g.kind = ?
			ORDER BY g.created DESC, g.hash = ? DESC LIMIT ? + 0 OFFSET ?) RETURNING sign_in`, g.SignIn, g.Kind, g.Hash[:], session.DeleteBatch, g.Keep)
		if err != nil {
			return err
		}
		return deleteUnusedSignIns(conn, signIns)
	})
}

// findGrant reads a grant in the columns of the session that it would create.
const findGrant = `SELECT g.hash, g.kind, g.service, g.stamp, g.method, g.login_name, g.sid, g.acr, g.amr, g.auth_time, '', g.created, g.expires, g.spent, 0, '', i.person, ` +
	signInColumns + `, CASE WHEN i.identity_version <> ?2 THEN (SELECT f.body FROM identity f WHERE f.sign_in = i.id) END, g.data
	FROM auth_grant g JOIN sign_in i ON i.id = g.sign_in WHERE g.hash = ?1`

// FindGrant reads a grant by its hash.
func (s *Store) FindGrant(ctx context.Context, hash session.Hash, known session.Version) (found *session.StoredGrant, err error) {
	err = s.queryByKey(ctx, findGrant, func(stmt *sqlite.Stmt) error {
		row, err := bindAndRead(stmt, hash, known)
		if err == nil {
			found = &session.StoredGrant{Row: *row, Data: stmt.ColumnText(findColumnCount + 1)}
		}
		return err
	})
	return found, err
}

// endGrants is the statement that ends unspent grants.
const endGrants = "UPDATE auth_grant SET expires = created WHERE spent = 0 AND expires > created AND "

// endGrantsOfBrowser ends the unspent grants of the login of a browser's session.
func endGrantsOfBrowser(conn *sqlite.Conn, token session.Hash, signIn int64) error {
	err := exec(conn, endGrants+`sign_in = ? AND EXISTS (SELECT 1 FROM session s
		WHERE s.hash = ? AND s.kind = ? AND s.sid = auth_grant.sid AND s.auth_time = auth_grant.auth_time)`, signIn, token[:], session.KindBrowser)
	if err != nil {
		return fmt.Errorf("end the grants of a session: %w", err)
	}
	return nil
}

// EndGrant ends a grant.
func (s *Store) EndGrant(ctx context.Context, hash session.Hash) (bool, error) {
	n := 0
	err := s.write(ctx, func(conn *sqlite.Conn) (err error) {
		n, err = execCount(conn, endGrants+"hash = ?", hash[:])
		return err
	})
	return err == nil && n > 0, err
}

// EndGrants ends the grants of the persons and logins that sel selects.
func (s *Store) EndGrants(ctx context.Context, sel session.Selector) (n int, err error) {
	sel.ID, sel.Kind, sel.Ended = "", "", true
	where, args, _ := whereClause(sel)
	err = s.write(ctx, func(conn *sqlite.Conn) error {
		err := sqlitex.ExecuteTransient(conn, endGrants+`hash IN (SELECT s.hash FROM auth_grant s JOIN sign_in i ON i.id = s.sign_in
			JOIN person p ON p.id = i.person JOIN identity f ON f.sign_in = i.id WHERE `+where+")", &sqlitex.ExecOptions{Args: args})
		n = conn.Changes()
		return err
	})
	return n, err
}

// deleteExpiredGrants deletes grants that expired at t.DeleteGrants or before.
func deleteExpiredGrants(conn *sqlite.Conn, t session.SweepTimes, limit int) (int, error) {
	signIns, err := deleteReturning(conn, "DELETE FROM auth_grant WHERE hash IN (SELECT hash FROM auth_grant WHERE expires <= ? LIMIT ? + 0) RETURNING sign_in", session.Millis(t.DeleteGrants), limit)
	if err != nil {
		return 0, err
	}
	return len(signIns), deleteUnusedSignIns(conn, signIns)
}
