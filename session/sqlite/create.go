package sqlite

import (
	"context"
	"errors"
	"fmt"
	"time"

	"zombiezen.com/go/sqlite"

	"shorepass/session"
)

// Create stores a new session.
func (s *Store) Create(ctx context.Context, d *session.Draft) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		if err := spendGrant(conn, d); err != nil {
			return fmt.Errorf("spend the grant: %w", err)
		}
		// The session that is replaced ends first, so that it neither counts for the
		// bound nor leaves the refresh token of a shared sign-in revocable.
		if err := replaceSession(conn, d); err != nil {
			return err
		}
		target, err := attachSignIn(conn, d)
		if err != nil {
			return fmt.Errorf("store the sign-in: %w", err)
		}
		if err := makeRoom(conn, target.person, d); err != nil {
			return fmt.Errorf("make room for the session: %w", err)
		}
		if err := insertSession(conn, target, d); err != nil {
			return fmt.Errorf("store the session: %w", err)
		}
		if err := deleteSurplus(conn, target.person, d); err != nil {
			return fmt.Errorf("delete ended sessions: %w", err)
		}
		return nil
	})
}

// spendGrant spends the grant that the session is created for, or returns ErrSpent.
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

// replaceSession ends the session that the new one replaces.
func replaceSession(conn *sqlite.Conn, d *session.Draft) error {
	if d.Replaces == nil {
		return nil
	}
	_, err := endSessions(conn, []session.Hash{*d.Replaces}, d.Replacement())
	return err
}

// requireLive returns ErrNotFound if a session that another is derived from is not live;
// from is nil where there is none.
func requireLive(conn *sqlite.Conn, from *session.Hash) error {
	if from == nil {
		return nil
	}
	_, found, err := queryInt(conn, "SELECT 1 FROM session WHERE hash = ? AND ended = 0", from[:])
	if err == nil && !found {
		err = session.ErrNotFound
	}
	return err
}

// attached holds the rows that a new session points to, and the session's stamp.
type attached struct {
	person, signIn int64
	stamp          string
}

// attachSignIn writes the change of a login to its sign-in, and returns the rows for the
// new session. A derived session changes nothing there.
func attachSignIn(conn *sqlite.Conn, d *session.Draft) (target attached, err error) {
	if d.Derived {
		if err := requireLive(conn, d.From); err != nil {
			return target, err
		}
		target = attached{signIn: d.SignIn.ID, stamp: d.Stamp}
		var found bool
		target.person, found, err = queryInt(conn, "SELECT person FROM sign_in WHERE id = ?", d.SignIn.ID)
		if err == nil && !found {
			err = session.ErrNotFound
		}
	} else {
		target, err = upsertSignIn(conn, d)
	}
	if err != nil {
		return target, err
	}
	return target, exec(conn, "UPDATE provider_token SET revocable_since = 0 WHERE sign_in = ? AND revocable_since > 0", target.signIn)
}

// upsertSignIn inserts or updates the rows of a login's person and sign-in.
func upsertSignIn(conn *sqlite.Conn, d *session.Draft) (target attached, err error) {
	target.person, _, err = queryInt(conn, `INSERT INTO person (provider, subject, user_name, last_seen) VALUES (?, ?, ?, ?)
		ON CONFLICT (provider, subject) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen),
			user_name = CASE WHEN last_seen > excluded.last_seen THEN user_name ELSE excluded.user_name END RETURNING id`,
		d.Provider, d.Subject, d.Identity.User, session.Millis(d.Created))
	if err != nil {
		return target, err
	}
	before, err := readSignIn(conn, "person = ? AND provider_id = ? AND login_id = ?", target.person, d.ProviderID, d.LoginID)
	if errors.Is(err, session.ErrNotFound) {
		err = exec(conn, `INSERT INTO sign_in (person, provider_id, login_id, identity_version, stamp, token_version, last_vouched, last_asked, last_answer, gone_since, pending_since, pending_reason, lease_until)
			VALUES (?, ?, ?, ?, '', 0, 0, 0, 0, 0, 0, '', 0)`, target.person, d.ProviderID, d.LoginID, before.Version[:])
		before.ID = conn.LastInsertRowID()
	}
	if err != nil {
		return target, err
	}
	change := d.Change(before)
	target.signIn, target.stamp = before.ID, d.StampOn(change.SignIn)
	if change.SignIn == before {
		return target, nil
	}
	return target, writeSignIn(conn, change)
}

// makeRoom evicts the sessions that d.Admit chooses, if the person has d.Bound live ones
// of the kind.
func makeRoom(conn *sqlite.Conn, person int64, d *session.Draft) error {
	if d.Admit == nil {
		return nil
	}
	count, _, err := queryInt(conn, "SELECT count(*) FROM session WHERE person = ? AND kind = ? AND ended = 0", person, d.Kind)
	if err != nil || count < int64(d.Bound) {
		return err
	}
	var live []session.LiveSession
	err = forEachRow(conn, "SELECT hash, created, last_used, provider_token_hash IS NOT NULL FROM session WHERE person = ? AND kind = ? AND ended = 0", func(stmt *sqlite.Stmt) error {
		one := session.LiveSession{Created: session.FromMillis(stmt.ColumnInt64(1)), LastUsed: session.FromMillis(stmt.ColumnInt64(2)), ProviderToken: stmt.ColumnBool(3)}
		err := readBytes(stmt, 0, one.Hash[:])
		live = append(live, one)
		return err
	}, person, d.Kind)
	if err != nil {
		return err
	}
	evicted, err := d.Admit(live)
	if err != nil {
		return err
	}
	if _, err := endSessions(conn, evicted.End, evicted.Ending); err != nil {
		return err
	}
	return deleteSessions(conn, evicted.Delete, evicted.At)
}

// deleteSessions deletes live sessions, and their sign-ins if those are unused then.
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

// deleteSurplus deletes the ended sessions of a person beyond d.KeepEnded.
func deleteSurplus(conn *sqlite.Conn, person int64, d *session.Draft) error {
	if d.KeepEnded == 0 {
		return nil
	}
	signIns, err := deleteReturning(conn, `DELETE FROM session WHERE hash IN (
		SELECT hash FROM session WHERE person = ? AND kind = ? AND ended > 0 AND provider_token_hash IS NULL
		ORDER BY ended DESC LIMIT ? + 0 OFFSET ?) RETURNING sign_in`, person, d.Kind, session.DeleteBatch, d.KeepEnded)
	if err != nil {
		return err
	}
	return deleteUnusedSignIns(conn, signIns)
}

func insertSession(conn *sqlite.Conn, target attached, d *session.Draft) error {
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
		d.Hash[:], target.signIn, target.person, d.Kind, l.Method, d.Service, target.stamp, l.Name, l.SID, l.ACR, l.AMRText(), session.Millis(l.Time), d.Limits,
		session.Millis(d.Created), session.Millis(d.Expires), tokenHash); err != nil {
		return err
	}
	return exec(conn, "INSERT INTO client (hash, address, id, agent, label, made_by) VALUES (?, ?, ?, ?, ?, ?)",
		d.Hash[:], d.Client.AddressText(), d.Client.ID, d.Client.UserAgent, d.Label, d.MadeBy)
}

// LeaseFirstUse gives one caller at a time the right to redeem a provider's refresh
// token that has no session yet.
func (s *Store) LeaseFirstUse(ctx context.Context, tokenHash session.Hash, now, until time.Time) (bool, error) {
	var leased int
	err := s.write(ctx, func(conn *sqlite.Conn) (err error) {
		// A caller that created the session has released its lease, so the session
		// must be checked too.
		leased, err = execCount(conn, `
			INSERT INTO first_use (provider_token_hash, until) SELECT ?1, ?3 WHERE NOT EXISTS (SELECT 1 FROM session WHERE provider_token_hash = ?1)
			ON CONFLICT (provider_token_hash) DO UPDATE SET until = excluded.until WHERE first_use.until <= ?2`, tokenHash[:], session.Millis(now), session.Millis(until))
		if err != nil || leased > 0 {
			return err
		}
		until, _, err := queryInt(conn, "SELECT until FROM first_use WHERE provider_token_hash = ?", tokenHash[:])
		if err == nil && until == session.Millis(session.Forever) {
			err = session.ErrForgotten
		}
		return err
	})
	return err == nil && leased > 0, err
}

// ReleaseFirstUse releases the lease.
func (s *Store) ReleaseFirstUse(ctx context.Context, tokenHash session.Hash) error {
	return s.write(ctx, func(conn *sqlite.Conn) error {
		return exec(conn, "DELETE FROM first_use WHERE provider_token_hash = ?", tokenHash[:])
	})
}
