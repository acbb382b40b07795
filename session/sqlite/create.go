package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// Create keeps a new session.
func (s *Store) Create(ctx context.Context, d *session.Draft) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		if err := spendGrant(conn, d); err != nil {
			return fmt.Errorf("spend the grant: %w", err)
		}
		at, err := attachSignIn(conn, d)
		if err != nil {
			return fmt.Errorf("keep the sign-in: %w", err)
		}
		if err := makeRoom(conn, at.person, d); err != nil {
			return fmt.Errorf("make room for the session: %w", err)
		}
		if err := insertSession(conn, at, d); err != nil {
			return fmt.Errorf("keep the session: %w", err)
		}
		if err := deleteSurplus(conn, at.person, d); err != nil {
			return fmt.Errorf("forget ended sessions: %w", err)
		}
		return nil
	})
}

// spendGrant marks the grant spent that a session is made for.
func spendGrant(conn *sqlite.Conn, d *session.Draft) error {
	if d.Grant == nil {
		return nil
	}
	now := session.Millis(d.Created)
	spent, err := execCount(conn, "UPDATE auth_grant SET spent = ?1 WHERE hash = ?2 AND spent = 0 AND expires > ?1", now, d.Grant[:])
	if err == nil && spent == 0 {
		err = session.ErrSpent
	}
	return err
}

// attached are the rows that a new session points to.
type attached struct {
	person, signIn int64
	stamp          string
}

// attachSignIn returns the sign-in of a new session, as its login changes it.
func attachSignIn(conn *sqlite.Conn, d *session.Draft) (at attached, err error) {
	if d.Derived {
		at = attached{signIn: d.SignIn.ID, stamp: d.Stamp}
		var found bool
		at.person, found, err = queryInt(conn, "SELECT person FROM sign_in WHERE id = ?", d.SignIn.ID)
		if err == nil && !found {
			err = session.ErrNotFound
		}
	} else {
		at, err = upsertSignIn(conn, d)
	}
	if err != nil {
		return at, err
	}
	return at, exec(conn, "UPDATE provider_token SET revocable_since = 0 WHERE sign_in = ? AND revocable_since > 0", at.signIn)
}

// upsertSignIn writes what a login changes of the person's row and the sign-in's.
func upsertSignIn(conn *sqlite.Conn, d *session.Draft) (at attached, err error) {
	at.person, _, err = queryInt(conn, `INSERT INTO person (provider, subject, user_name, last_seen) VALUES (?, ?, ?, ?)
		ON CONFLICT (provider, subject) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen),
			user_name = CASE WHEN last_seen > excluded.last_seen THEN user_name ELSE excluded.user_name END RETURNING id`,
		d.Provider, d.Subject, d.Identity.User, session.Millis(d.Created))
	if err != nil {
		return at, err
	}
	was, err := readSignIn(conn, "person = ? AND provider_id = ? AND login_id = ?", at.person, d.ProviderID, d.LoginID)
	if errors.Is(err, session.ErrNotFound) {
		err = exec(conn, `INSERT INTO sign_in (person, provider_id, login_id, identity_version, stamp, token_version, last_vouched, last_asked, last_answer, gone_since, pending_since, pending_reason, lease_until)
			VALUES (?, ?, ?, ?, '', 0, 0, 0, 0, 0, 0, '', 0)`, at.person, d.ProviderID, d.LoginID, was.Version[:])
		was.ID = conn.LastInsertRowID()
	}
	if err != nil {
		return at, err
	}
	is := d.Next(was)
	at.signIn, at.stamp = was.ID, d.StampOn(is)
	return at, writeSignIn(conn, was, is, &d.Identity, d.Sealed)
}

// makeRoom makes room for another session of a person.
func makeRoom(conn *sqlite.Conn, person int64, d *session.Draft) error {
	count, _, err := queryInt(conn, "SELECT count(*) FROM session WHERE person = ? AND kind = ? AND ended = 0", person, d.Kind)
	if err != nil || count < int64(d.Bound) {
		return err
	}
	var live []session.LiveSession
	err = forEachRow(conn, "SELECT hash, created, last_used, provider_token_hash IS NOT NULL FROM session WHERE person = ? AND kind = ? AND ended = 0", func(stmt *sqlite.Stmt) error {
		one := session.LiveSession{Created: session.FromMillis(stmt.ColumnInt64(1)), Used: session.FromMillis(stmt.ColumnInt64(2)), ProviderToken: stmt.ColumnBool(3)}
		err := readBytes(stmt, 0, one.Hash[:])
		live = append(live, one)
		return err
	}, person, d.Kind)
	if err != nil {
		return err
	}
	gives, err := d.Admit(live)
	if err != nil {
		return err
	}
	if _, err := endSessions(conn, gives.End, gives.Ending); err != nil {
		return err
	}
	return deleteSessions(conn, gives.Delete, gives.At)
}

// deleteSessions deletes live sessions, and sign-ins that have no use without them.
func deleteSessions(conn *sqlite.Conn, tokens []session.Hash, at time.Time) error {
	for i := range tokens {
		signIn, found, err := queryInt(conn, "DELETE FROM session WHERE hash = ? RETURNING sign_in", tokens[i][:])
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		if err := setRevocable(conn, signIn, at); err != nil {
			return err
		}
		if err := deleteUnusedSignIn(conn, signIn); err != nil {
			return err
		}
	}
	return nil
}

// deleteBatch is how many ended sessions a login forgets at most, and how many
// grants another one.
const deleteBatch = 200

// deleteSurplus deletes the ended sessions of a person that are too many.
func deleteSurplus(conn *sqlite.Conn, person int64, d *session.Draft) error {
	if d.KeepEnded == 0 {
		return nil
	}
	signIns, err := deleteReturning(conn, `DELETE FROM session WHERE hash IN (
		SELECT hash FROM session WHERE person = ? AND kind = ? AND ended > 0 AND provider_token_hash IS NULL
		ORDER BY ended DESC LIMIT ? OFFSET ?) RETURNING sign_in`, person, d.Kind, deleteBatch, d.KeepEnded)
	if err != nil {
		return err
	}
	return deleteUnusedSignIns(conn, signIns)
}

func insertSession(conn *sqlite.Conn, at attached, d *session.Draft) error {
	var tokenHash any // NULL
	if d.ProviderToken != nil {
		tokenHash = d.ProviderToken[:]
		if err := exec(conn, "DELETE FROM first_use WHERE provider_token_hash = ?", tokenHash); err != nil {
			return err
		}
	}
	l := &d.Login
	if err := exec(conn, `
		INSERT INTO session (hash, sign_in, person, kind, method, service, stamp, login_name, sid, acr, amr, auth_time, limits, created, expires, provider_token_hash)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.Hash[:], at.signIn, at.person, d.Kind, l.Method, d.Service, at.stamp, l.Name, l.SID, l.ACR, l.AMRText(), session.Millis(l.Time), d.Limits,
		session.Millis(d.Created), session.Millis(d.Expires), tokenHash); err != nil {
		return err
	}
	return exec(conn, "INSERT INTO client (hash, address, id, agent, label, made_by) VALUES (?, ?, ?, ?, ?, ?)",
		d.Hash[:], d.Client.AddressText(), d.Client.ID, d.Client.UserAgent, d.Label, d.MadeBy)
}

// Claim lets one caller ask about a refresh token that has no session yet.
func (s *Store) LeaseFirstUse(ctx context.Context, tokenHash session.Hash, now, until time.Time) (bool, error) {
	var leased int
	err := s.write(ctx, func(conn *sqlite.Conn) (err error) {
		// Whoever made a session of it in the meantime has given up the lease.
		leased, err = execCount(conn, `
			INSERT INTO first_use (provider_token_hash, until) SELECT ?1, ?3 WHERE NOT EXISTS (SELECT 1 FROM session WHERE provider_token_hash = ?1)
			ON CONFLICT (provider_token_hash) DO UPDATE SET until = excluded.until WHERE first_use.until <= ?2`, tokenHash[:], session.Millis(now), session.Millis(until))
		return err
	})
	return err == nil && leased > 0, err
}

// ReleaseFirstUse gives up the lease.
func (s *Store) ReleaseFirstUse(ctx context.Context, tokenHash session.Hash) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		return exec(conn, "DELETE FROM first_use WHERE provider_token_hash = ?", tokenHash[:])
	})
}
